"""Catalogs, schemas and tables: laid out as the protocol says, and no more than may be known."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from flight_server.engines.lake.engine import LakeEngine
from flight_server.model import Author, TableRef, TableSpec
from flight_server.operations import Call, Services
from flight_server.operations.sessions import Session
from flight_server.wire.flight_sql import catalog, keys
from tests.unit.wire.flight_sql.conftest import STAFF, engine

# As the protocol's implementations in C++, Go and Java compare them.
LAYOUTS = {
    "CATALOGS_SCHEMA": "catalog_name: string not null",
    "SCHEMAS_SCHEMA": "catalog_name: string\ndb_schema_name: string not null",
    "TABLES_SCHEMA": (
        "catalog_name: string\ndb_schema_name: string\n"
        "table_name: string not null\ntable_type: string not null"
    ),
    "TABLES_WITH_SCHEMA_SCHEMA": (
        "catalog_name: string\ndb_schema_name: string\ntable_name: string not null\n"
        "table_type: string not null\ntable_schema: binary not null"
    ),
    "TABLE_TYPES_SCHEMA": "table_type: string not null",
}


def found(services: Services, call: Call, *wanted: Any, **more: Any) -> list[str]:
    """The tables that are found, as catalog.namespace.name."""
    rows = catalog.tables(services, call, *wanted, **more).to_pylist()
    keys = ("catalog_name", "db_schema_name", "table_name")
    return [".".join(row[key] for key in keys) for row in rows]


def spaces(services: Services, call: Call, *wanted: str | None) -> list[str]:
    rows = catalog.schemas(services, call, *wanted).to_pylist()
    return [f"{row['catalog_name']}.{row['db_schema_name']}" for row in rows]


def columns(services: Services, call: Call, *wanted: str) -> pa.Schema:
    """The columns of the one table that is found."""
    place, schema, table = wanted
    answer = catalog.tables(services, call, place, schema, table, include_schema=True)
    (message,) = answer["table_schema"]
    return pa.ipc.read_schema(message.as_buffer())


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name: str) -> None:
    assert getattr(catalog, name).to_string() == LAYOUTS[name]


def test_answers_have_their_layouts(services: Services, admin: Call, nobody: Call) -> None:
    for call in (admin, nobody):
        assert catalog.catalogs(services, call).schema == catalog.CATALOGS_SCHEMA
        assert catalog.schemas(services, call).schema == catalog.SCHEMAS_SCHEMA
        assert catalog.tables(services, call).schema == catalog.TABLES_SCHEMA
        more = catalog.tables(services, call, include_schema=True)
        assert more.schema == catalog.TABLES_WITH_SCHEMA_SCHEMA
    assert catalog.table_types().schema == catalog.TABLE_TYPES_SCHEMA


def test_everything_in_its_order(services: Services, admin: Call) -> None:
    assert catalog.catalogs(services, admin)["catalog_name"].to_pylist() == ["archive", "lake"]
    assert spaces(services, admin) == [
        "archive.main",
        "archive.old",
        "lake.main",
        "lake.sales",
        "lake.vault",
    ]
    assert found(services, admin) == [
        "archive.main.staff",
        "archive.old.open",
        "lake.main.open",
        "lake.main.secret",
        "lake.main.staff",
        "lake.sales.Daily",
        "lake.sales.inbox",
        "lake.sales.secret_too",
        "lake.vault.gold",
    ]


def test_what_may_not_be_known_of_is_not_there(services: Services, clerk: Call) -> None:
    assert catalog.catalogs(services, clerk)["catalog_name"].to_pylist() == ["lake"]
    assert spaces(services, clerk) == ["lake.main", "lake.sales"]
    assert found(services, clerk) == ["lake.main.open", "lake.main.staff", "lake.sales.inbox"]
    assert found(services, clerk, "archive") == found(services, clerk, "absent") == []


def test_who_may_nothing_sees_nothing(services: Services, nobody: Call) -> None:
    assert catalog.catalogs(services, nobody).num_rows == 0
    assert spaces(services, nobody) == found(services, nobody) == []


def test_columns_that_may_not_be_read_are_not_there(services: Services, clerk: Call) -> None:
    assert columns(services, clerk, "lake", "main", "staff").names == ["id", "name"]
    # It may be written into; what is in it is hidden.
    assert columns(services, clerk, "lake", "sales", "inbox").names == []


def test_columns_are_described(services: Services, admin: Call) -> None:
    schema = columns(services, admin, "lake", "sales", "Daily")
    told = schema.field("pay").metadata
    assert not schema.field("id").nullable
    assert told[b"ARROW:FLIGHT:SQL:TYPE_NAME"] == b"DECIMAL(10, 2)"
    assert told[b"ARROW:FLIGHT:SQL:TABLE_NAME"] == b"Daily"
    assert told[b"ARROW:FLIGHT:SQL:REMARKS"] == told[b"comment"] == b"in euros"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ((None, None, "S%F"), ["archive.main.staff", "lake.main.staff"]),
        (("LAKE", "MAIN", "s_aff"), ["lake.main.staff"]),
        (("lake", "sa%", "daily"), ["lake.sales.Daily"]),
        (("lake", None, "secret%"), ["lake.main.secret", "lake.sales.secret_too"]),
        (("lake", None, "secret\\_too"), ["lake.sales.secret_too"]),
        (("lake", None, "secret\\%"), []),
        # Catalogs are given by their names, never by patterns.
        (("la%", None, None), []),
        # Everything here has a catalog and a schema.
        (("", None, None), []),
        ((None, "", None), []),
        ((None, None, ""), []),
    ],
)
def test_patterns(
    services: Services, admin: Call, wanted: tuple[str | None, ...], expected: list[str]
) -> None:
    assert found(services, admin, *wanted) == expected
    assert found(services, admin, *wanted, include_schema=True) == expected


def test_schemas_by_pattern(services: Services, admin: Call) -> None:
    assert spaces(services, admin, None, "MA_N") == ["archive.main", "lake.main"]
    assert spaces(services, admin, "Lake", "%a%") == ["lake.main", "lake.sales", "lake.vault"]
    assert spaces(services, admin, "") == []


def test_types_of_tables(services: Services, with_temporary: Call) -> None:
    assert catalog.table_types()["table_type"].to_pylist() == ["LOCAL TEMPORARY", "TABLE", "VIEW"]
    temporary = ["temp.main.scratch"]
    everything = found(services, with_temporary)
    assert found(services, with_temporary, table_types=["local temporary"]) == temporary
    assert found(services, with_temporary, table_types=["TABLE", "VIEW"]) == everything[:-1]
    assert found(services, with_temporary, table_types=["VIEW"]) == []
    rows = catalog.tables(services, with_temporary, "temp").to_pylist()
    assert [row["table_type"] for row in rows] == ["LOCAL TEMPORARY"]


def test_temporary_tables_are_their_sessions_own(
    services: Services, with_temporary: Call, clerk: Call, admin: Call
) -> None:
    assert spaces(services, with_temporary, "temp") == ["temp.main"]
    assert found(services, with_temporary)[-1] == "temp.main.scratch"
    assert columns(services, with_temporary, "temp", "main", "scratch").names[-1] == "pay"
    for call in (clerk, admin, replace(clerk, session=Session("clerk"))):
        assert "temp" not in catalog.catalogs(services, call)["catalog_name"].to_pylist()
        assert found(services, call, "temp") == spaces(services, call, "temp") == []


def test_a_thousand_tables(services: Services, admin: Call) -> None:
    schema = pa.schema([(f"c{number}", pa.int64()) for number in range(10)])
    tables = {f"many__t{number:04}": TableSpec(schema) for number in range(1000)}
    many = replace(services, engines={"lake": engine("lake", **tables)})
    started = time.perf_counter()
    assert catalog.tables(many, admin, include_schema=True).num_rows == 1000
    assert len(found(many, admin, None, "many", "t00%")) == 100
    assert time.perf_counter() - started < 5


def test_no_table_is_described(
    services: Services, admin: Call, lake: LakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That would count its rows."""
    for name in ("one", "two"):
        lake.create_table(TableRef.of(name), TableSpec(STAFF, key=("id",)), Author("test"))
    monkeypatch.setattr(LakeEngine, "describe", None)
    monkeypatch.setattr(LakeEngine, "scan", None)
    few = replace(services, engines={"lake": lake})
    assert found(few, admin) == ["lake.main.one", "lake.main.two"]
    assert columns(few, admin, "lake", "main", "two").names == STAFF.names
    assert keys.primary_keys(few, admin, None, None, "one").num_rows == 1


def test_a_namespace_that_goes_meanwhile(
    services: Services, admin: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody drops it between the list of namespaces and that of its tables."""
    lake: Any = services.engines["lake"]
    listed: Callable[[], list[str]] = lake.namespaces
    monkeypatch.setattr(lake, "namespaces", lambda: [*listed(), "gone"])
    for include_schema in (False, True):
        got = found(services, admin, "lake", include_schema=include_schema)
        assert len(got) == 7
