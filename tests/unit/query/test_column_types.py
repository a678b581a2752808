"""Each type that DuckDB knows, as a column's."""

import duckdb
import pyarrow as pa
import pytest

from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.query.column_types import column_type

TYPES: list[tuple[str, pa.DataType]] = [
    ("BOOLEAN", pa.bool_()),
    ("TINYINT", pa.int8()),
    ("SMALLINT", pa.int16()),
    ("int4", pa.int32()),
    ("BIGINT", pa.int64()),
    ("HUGEINT", pa.decimal128(38, 0)),
    ("UTINYINT", pa.uint8()),
    ("USMALLINT", pa.uint16()),
    ("UINTEGER", pa.uint32()),
    ("UBIGINT", pa.uint64()),
    ("REAL", pa.float32()),
    ("DOUBLE PRECISION", pa.float64()),
    ("DECIMAL", pa.decimal128(18, 3)),
    ("NUMERIC(38, 10)", pa.decimal128(38, 10)),
    ("VARCHAR", pa.string()),
    ("character varying(5)", pa.string()),
    ("TEXT", pa.string()),
    ("BYTEA", pa.binary()),
    ("DATE", pa.date32()),
    ("TIME", pa.time64("us")),
    ("TIME_NS", pa.time64("ns")),
    ("TIMESTAMP", pa.timestamp("us")),
    ("TIMESTAMP(0)", pa.timestamp("s")),
    ("TIMESTAMP_S", pa.timestamp("s")),
    ("TIMESTAMP_MS", pa.timestamp("ms")),
    ("TIMESTAMP_NS", pa.timestamp("ns")),
    ("TIMESTAMP WITH TIME ZONE", pa.timestamp("us", "UTC")),
    ("INTERVAL", pa.month_day_nano_interval()),
    ("UUID", pa.uuid()),
    ("JSON", pa.json_(pa.string())),
    ("INTEGER[][]", pa.list_(pa.list_(pa.int32()))),
    ("INTEGER ARRAY", pa.list_(pa.int32())),
    ("FLOAT[3]", pa.list_(pa.float32(), 3)),
    ("FLOAT[2][]", pa.list_(pa.list_(pa.float32(), 2))),
    (
        'STRUCT(a INTEGER, "b c" VARCHAR[])',
        pa.struct([("a", pa.int32()), ("b c", pa.list_(pa.string()))]),
    ),
    ("MAP(VARCHAR, DECIMAL(4, 2))", pa.map_(pa.string(), pa.decimal128(4, 2))),
    ("/* x */ INTEGER -- y", pa.int32()),
]

REFUSED = [
    "UHUGEINT",
    "BIGNUM",
    "BIT",
    "TIMETZ",
    "ENUM('a', 'b')",
    "UNION(a INTEGER, b VARCHAR)",
    "GEOMETRY",
    "VARIANT",
]


@pytest.mark.parametrize(("text", "expected"), TYPES, ids=[text for text, _ in TYPES])
def test_types_that_tables_hold(text: str, expected: pa.DataType) -> None:
    assert column_type(text, "c") == expected


@pytest.mark.parametrize("text", REFUSED)
def test_types_that_they_do_not_hold(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        column_type(f"STRUCT(x {text})", "c")
    assert refused.value.code is ErrorCode.UNSUPPORTED_TYPE
    assert "'c" in refused.value.message
    assert "hold" in refused.value.message.partition(";")[2]


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "lake.main.mood",
        "INTEGER) AS a, CAST(1 AS INTEGER",
        "INTEGER) FROM read_csv('x') WHERE (1",
        "INTEGER COLLATE nocase",
        "DECIMAL(99)",
        "STRUCT(a INTEGER, a INTEGER)",
        "",
        "INTEGER)); DROP TABLE t; --",
    ],
)
def test_what_is_no_type(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        column_type(text, "c")
    assert refused.value.code is ErrorCode.UNSUPPORTED_TYPE
    assert "'c'" in refused.value.message


def test_every_type_of_duckdb_is_spoken_of() -> None:
    names = duckdb.sql("SELECT DISTINCT logical_type FROM duckdb_types()").fetchall()
    for (name,) in names:
        text = {"ENUM": "ENUM('a')", "LIST": "INT[]", "ARRAY": "INT[2]"}.get(name, name)
        if name in ("MAP", "STRUCT", "UNION"):
            text = "MAP(INT, INT)" if name == "MAP" else f"{name}(a INT)"
        if name in ('"NULL"', "NULL", "ANY", "TYPE", "POINTER"):
            continue
        assert "; " in refusal(text), name


def refusal(text: str) -> str:
    try:
        column_type(text, "c")
    except InvalidRequest as error:
        return error.message
    return "none; it is held"
