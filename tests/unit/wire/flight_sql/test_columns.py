"""Every column says what it is in SQL, and keeps what it said before."""

from __future__ import annotations

import pyarrow as pa
import pytest

from flight_server.engines.lake.sql_types import natural_of
from flight_server.errors import InvalidRequest
from flight_server.model import TableRef
from flight_server.testing.types import CASES, TypeCase
from flight_server.wire.flight_sql.columns import described, with_column_metadata

TABLE = TableRef("lake", "sales", "daily")


def told(field: pa.Field, table: TableRef | None = None) -> dict[str, str]:
    """What Flight SQL says of a column, by the last word of each key."""
    (found,) = with_column_metadata(pa.schema([field]), table)
    return {
        name.decode().removeprefix("ARROW:FLIGHT:SQL:"): value.decode()
        for name, value in found.metadata.items()
    }


def test_a_column_of_a_table() -> None:
    assert told(pa.field("v", pa.decimal128(10, 2)), TABLE) == {
        "CATALOG_NAME": "lake",
        "DB_SCHEMA_NAME": "sales",
        "SCHEMA_NAME": "sales",
        "TABLE_NAME": "daily",
        "TYPE_NAME": "DECIMAL(10, 2)",
        "PRECISION": "10",
        "SCALE": "2",
        "IS_AUTO_INCREMENT": "0",
        "IS_CASE_SENSITIVE": "0",
        "IS_READ_ONLY": "0",
        "IS_SEARCHABLE": "1",
    }


def test_a_column_of_a_result() -> None:
    assert told(pa.field("v", pa.string())) == {
        "TYPE_NAME": "VARCHAR",
        "IS_AUTO_INCREMENT": "0",
        "IS_CASE_SENSITIVE": "1",
        "IS_READ_ONLY": "1",
        "IS_SEARCHABLE": "1",
    }


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (pa.bool_(), ("BOOLEAN", 1, None)),
        (pa.uint64(), ("UBIGINT", 20, 0)),
        (pa.float64(), ("DOUBLE", 15, None)),
        (pa.date32(), ("DATE", 10, None)),
        (pa.time64("us"), ("TIME", len("10:00:00.123456"), 6)),
        (pa.timestamp("ms"), ("TIMESTAMP_MS", len("2024-01-31 10:00:00.123"), 3)),
        (pa.timestamp("us", "UTC"), ("TIMESTAMP WITH TIME ZONE", 32, 6)),
        (pa.month_day_nano_interval(), ("INTERVAL", None, None)),
        (pa.duration("s"), ("INTERVAL", None, None)),
        (pa.uuid(), ("UUID", 36, None)),
        (pa.json_(), ("JSON", None, None)),
        (pa.large_binary(), ("BLOB", None, None)),
        (pa.string_view(), ("VARCHAR", None, None)),
        (pa.dictionary(pa.int8(), pa.string()), ("VARCHAR", None, None)),
        (pa.list_(pa.list_(pa.int32())), ("INTEGER[][]", None, None)),
        (pa.list_(pa.float32(), 3), ("FLOAT[3]", None, None)),
        (pa.map_(pa.string(), pa.uuid()), ("MAP(VARCHAR, UUID)", None, None)),
        (pa.struct([('a "b"', pa.int8())]), ('STRUCT("a ""b""" TINYINT)', None, None)),
        (pa.dense_union([pa.field("n", pa.int8())]), ('UNION("n" TINYINT)', None, None)),
        (pa.null(), ("NULL", None, None)),
    ],
    ids=str,
)
def test_types_of_results(kind: pa.DataType, expected: tuple[str, int | None, int | None]) -> None:
    assert described(kind) == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.name))
def test_a_lakes_column_has_the_name_of_what_sql_sees(case: TypeCase) -> None:
    try:
        seen_as = natural_of(case.field.type, case.field.name, top=True).sql
    except InvalidRequest:
        # No table holds such a column; it has a name none the less.
        assert described(case.field.type, kept=True)[0]
    else:
        assert described(case.field.type, kept=True)[0] == seen_as


def test_what_was_there_is_kept() -> None:
    field = pa.field("v", pa.int8(), nullable=False, metadata={"unit": "kg", "comment": "net"})
    schema = pa.schema([field], metadata={"made by": "us"})
    found = with_column_metadata(schema, TABLE)
    assert found.metadata == schema.metadata
    assert not found.field("v").nullable
    assert found.field("v").metadata[b"unit"] == b"kg"
    assert told(field)["REMARKS"] == told(field)["comment"] == "net"


def test_what_another_server_said_is_gone() -> None:
    """A table made of another one's result would otherwise pass for that one."""
    stale = {"ARROW:FLIGHT:SQL:TABLE_NAME": "other", "ARROW:FLIGHT:SQL:TYPE_NAME": "NUMBER"}
    found = told(pa.field("v", pa.int8(), metadata=stale))
    assert found["TYPE_NAME"] == "TINYINT"
    assert "TABLE_NAME" not in found


def test_schemas_that_differ_in_metadata_alone_are_told_apart() -> None:
    """Arrow holds them to be equal, and the answers are remembered."""
    one, other = (pa.field("v", pa.int8(), metadata={"comment": text}) for text in ("one", "other"))
    assert (told(one)["REMARKS"], told(other)["REMARKS"]) == ("one", "other")
    assert told(one, TABLE)["TABLE_NAME"] == "daily"
    assert told(one, TableRef.of("t"))["TABLE_NAME"] == "t"


def test_a_result_is_looked_at_once() -> None:
    schema = pa.schema([pa.field(f"c{number}", pa.int64()) for number in range(50)])
    assert with_column_metadata(schema) is with_column_metadata(schema)
    assert with_column_metadata(pa.schema([])) == pa.schema([])
