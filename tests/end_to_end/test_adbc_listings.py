"""What the ADBC Flight SQL driver lists of tables and the server, and what it never asks for."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from adbc_driver_flightsql import dbapi

CITIES = pa.table({"id": [1, 2, 3], "city": ["Wien", "Zürich", None]})


@pytest.fixture
def cities(adbc: Any, name: str) -> str:
    """A table of three cities."""
    with adbc.cursor() as cursor:
        assert cursor.adbc_ingest(name, CITIES) == 3
    return name


@pytest.fixture
def keyed(adbc: Any, name: str) -> str:
    """A table with a key, whose columns differ in what they may hold."""
    with adbc.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, city VARCHAR, price DECIMAL(9, 2))"
        )
    return name


def objects(connection: Any, depth: str, **filters: Any) -> dict[str, Any]:
    """The catalogs that are listed, by name."""
    found = connection.adbc_get_objects(depth=depth, **filters).read_all().to_pylist()
    return {catalog["catalog_name"]: catalog["catalog_db_schemas"] for catalog in found}


def listed(connection: Any, depth: str, table: str, **filters: Any) -> dict[str, Any]:
    """What is listed of a table of `main`, which may be one of several namespaces."""
    filters |= {"db_schema_filter": "main", "table_name_filter": table}
    [schema] = objects(connection, depth, **filters)["lake"]
    [found] = schema["db_schema_tables"]
    return dict(found)


def test_objects_are_listed_at_every_depth(adbc: Any, keyed: str) -> None:
    only = {"catalog_filter": "lake", "db_schema_filter": "main", "table_name_filter": keyed}
    assert objects(adbc, "catalogs")["lake"] is None
    schemas = objects(adbc, "db_schemas", catalog_filter="lake")["lake"]
    assert {"db_schema_name": "main", "db_schema_tables": None} in schemas
    assert objects(adbc, "tables", **only) == {
        "lake": [{
            "db_schema_name": "main",
            "db_schema_tables": [{
                "table_name": keyed,
                "table_type": "TABLE",
                "table_columns": None,
                "table_constraints": None,
            }],
        }]
    }  # fmt: skip


@pytest.mark.parametrize("depth", ["columns", "all"])
def test_columns_are_listed_with_types_and_ordinals(adbc: Any, keyed: str, depth: str) -> None:
    table = listed(adbc, depth, keyed)
    told = ("column_name", "ordinal_position", "xdbc_type_name", "xdbc_data_type")
    assert [tuple(column[key] for key in told) for column in table["table_columns"]] == [
        ("id", 1, "BIGINT", -5),
        ("city", 2, "VARCHAR", 12),
        ("price", 3, "DECIMAL(9, 2)", 3),
    ]


@pytest.mark.parametrize("depth", ["columns", "all"])
def test_columns_of_one_pattern_are_listed(adbc: Any, keyed: str, depth: str) -> None:
    table = listed(adbc, depth, keyed, column_name_filter="c%")
    assert [column["column_name"] for column in table["table_columns"]] == ["city"]


def test_nullability_is_told_by_the_tables_schema(adbc: Any, keyed: str) -> None:
    schema = adbc.adbc_get_table_schema(keyed)
    assert [field.nullable for field in schema] == [False, True, True]
    table = listed(adbc, "all", keyed)
    # The driver reads that schema too, and fills in neither of these.
    for column in table["table_columns"]:
        assert (column["xdbc_nullable"], column["xdbc_is_nullable"]) == (None, None)


def test_constraints_are_never_asked_for(
    adbc: Any, keyed: str, received: list[tuple[str, str]]
) -> None:
    table = listed(adbc, "all", keyed)
    assert table["table_constraints"] == []
    listing = ("CommandGetCatalogs", "CommandGetDbSchemas", "CommandGetTables")
    assert set(received) == {
        (call, name) for call in ("GetFlightInfo", "DoGet") for name in listing
    }


@pytest.mark.parametrize("ask", ["adbc_get_statistics", "adbc_get_statistic_names"])
def test_statistics_are_never_asked_for(
    adbc: Any, cities: str, received: list[tuple[str, str]], ask: str
) -> None:
    with pytest.raises(dbapi.NotSupportedError, match="NOT_IMPLEMENTED"):
        getattr(adbc, ask)()
    assert received == []
    with adbc.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {cities}")
        assert cursor.fetchall() == [(3,)]
    assert ("GetFlightInfo", "CommandPreparedStatementQuery") in received, "calls are recorded"


def test_schema_types_and_facts_are_told(adbc: Any, cities: str) -> None:
    assert adbc.adbc_get_table_schema(cities).equals(CITIES.schema)
    assert adbc.adbc_get_table_schema(
        cities, catalog_filter="lake", db_schema_filter="main"
    ).equals(CITIES.schema)
    with pytest.raises(dbapi.ProgrammingError):
        adbc.adbc_get_table_schema("no_such_table")
    assert "TABLE" in adbc.adbc_get_table_types()
    info = adbc.adbc_get_info()
    assert info["vendor_name"] == "Pixelflight"
    assert info["vendor_version"]
