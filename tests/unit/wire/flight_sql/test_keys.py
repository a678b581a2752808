"""Primary keys of what may be read; no foreign keys of what there is; errors for all else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flight_server.errors import ErrorCode, InvalidRequest, NotFound
from flight_server.operations import Call, Services
from flight_server.wire.flight_sql import keys

# In the order of the implementations, which compare: the protocol's text has the last two
# columns the other way round.
PRIMARY = """\
catalog_name: string
db_schema_name: string
table_name: string not null
column_name: string not null
key_sequence: int32 not null
key_name: string"""
FOREIGN = """\
pk_catalog_name: string
pk_db_schema_name: string
pk_table_name: string not null
pk_column_name: string not null
fk_catalog_name: string
fk_db_schema_name: string
fk_table_name: string not null
fk_column_name: string not null
key_sequence: int32 not null
fk_key_name: string
pk_key_name: string
update_rule: uint8 not null
delete_rule: uint8 not null"""


def key_of(services: Services, call: Call, *table: str | None) -> list[tuple[object, ...]]:
    """The rows of a table's key but for the key's name, which it has none of."""
    *place, name = table
    catalog, schema = [None] * (2 - len(place)) + place
    assert name is not None
    rows = keys.primary_keys(services, call, catalog, schema, name).to_pylist()
    assert {row.pop("key_name") for row in rows} <= {None}
    return [tuple(row.values()) for row in rows]


def test_layouts() -> None:
    assert keys.PRIMARY_KEYS_SCHEMA.to_string() == PRIMARY
    assert keys.FOREIGN_KEYS_SCHEMA.to_string() == FOREIGN


def test_a_key_in_its_order(services: Services, admin: Call) -> None:
    expected = [
        ("lake", "sales", "Daily", "name", 1),
        ("lake", "sales", "Daily", "pay", 2),
    ]
    for table in (("lake", "sales", "Daily"), ("LAKE", "SALES", "daily"), ("Daily",)):
        assert key_of(services, admin, *table) == expected
    found = keys.primary_keys(services, admin, None, None, "Daily")
    assert found.schema == keys.PRIMARY_KEYS_SCHEMA


def test_a_table_without_a_key(services: Services, admin: Call) -> None:
    assert key_of(services, admin, "lake", "main", "open") == []


def test_a_name_that_several_have(services: Services, admin: Call) -> None:
    """One of them has a key."""
    assert [row[:3] for row in key_of(services, admin, "staff")] == [("lake", "main", "staff")] * 2
    assert key_of(services, admin, "archive", "main", "staff") == []


def test_a_key_shows_only_where_all_of_it_may_be_read(
    services: Services, clerk: Call, admin: Call
) -> None:
    assert [row[3] for row in key_of(services, clerk, "lake", "main", "staff")] == ["id", "name"]
    # Visible, and not to be read.
    assert key_of(services, clerk, "lake", "sales", "inbox") == []


def test_temporary_tables_have_keys(services: Services, with_temporary: Call) -> None:
    assert key_of(services, with_temporary, "scratch") == [("temp", "main", "scratch", "id", 1)]


CALLS: dict[str, Callable[[Services, Call, str], object]] = {
    "primary": lambda services, call, table: keys.primary_keys(
        services, call, "lake", "main", table
    ),
    "anywhere": lambda services, call, table: keys.primary_keys(services, call, None, None, table),
    "foreign": lambda services, call, table: keys.foreign_keys(
        services, call, "lake", "main", table
    ),
    "cross, as the first": lambda services, call, table: keys.cross_reference(
        services, call, ("lake", "main", table), ("lake", "main", "open")
    ),
    "cross, as the second": lambda services, call, table: keys.cross_reference(
        services, call, ("lake", "main", "open"), ("lake", None, table)
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_hidden_table_looks_missing(services: Services, clerk: Call, name: str) -> None:
    with pytest.raises(NotFound) as hidden:
        CALLS[name](services, clerk, "secret")
    with pytest.raises(NotFound) as missing:
        CALLS[name](services, clerk, "absent")
    assert hidden.value.code is missing.value.code is ErrorCode.TABLE_NOT_FOUND
    assert str(hidden.value).replace("secret", "absent") == str(missing.value)


@pytest.mark.parametrize("name", CALLS)
def test_a_name_that_cannot_be(services: Services, clerk: Call, name: str) -> None:
    with pytest.raises(InvalidRequest):
        CALLS[name](services, clerk, "")


def test_there_are_no_foreign_keys(services: Services, clerk: Call) -> None:
    for found in (
        keys.foreign_keys(services, clerk, None, None, "staff"),
        keys.cross_reference(services, clerk, (None, None, "open"), ("lake", "main", "STAFF")),
    ):
        assert found.num_rows == 0
        assert found.schema == keys.FOREIGN_KEYS_SCHEMA
