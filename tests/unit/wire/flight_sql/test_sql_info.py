"""Every SqlInfo code has its answer, of the type that drivers read, and the answers are true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from flight_server.engines.lake.engine import LakeEngine
from flight_server.model import SqlRequest
from flight_server.operations import Call, Services, query
from flight_server.settings import Settings
from flight_server.wire.flight_sql.facts import CONVERSIONS, SQL_INFO, Kind
from flight_server.wire.flight_sql.sql_info import SQL_INFO_SCHEMA, sql_info
from tests.unit.wire.flight_sql.driver_protocol import numbers

# As the protocol's implementations in C++, Go and Java compare it.
LAYOUT = pa.schema(
    [
        pa.field("info_name", pa.uint32(), nullable=False),
        pa.field(
            "value",
            pa.dense_union(
                [
                    pa.field("string_value", pa.string(), nullable=False),
                    pa.field("bool_value", pa.bool_(), nullable=False),
                    pa.field("bigint_value", pa.int64(), nullable=False),
                    pa.field("int32_bitmask", pa.int32(), nullable=False),
                    pa.field("string_list", pa.list_(pa.string()), nullable=False),
                    pa.field(
                        "int32_to_int32_list_map",
                        pa.map_(pa.int32(), pa.list_(pa.int32())),
                        nullable=False,
                    ),
                ]
            ),
            nullable=False,
        ),
    ]
)
LEFT_OUT = {6, 7}
PYTHON_TYPES = {
    Kind.STRING: str,
    Kind.BOOL: bool,
    Kind.BIGINT: int,
    Kind.INT32: int,
    Kind.STRINGS: list,
    Kind.MAP: list,
}


def value(services: Services, name: str) -> Any:
    """What is answered to one code."""
    (code,) = (info.code for info in SQL_INFO if info.name == name)
    (row,) = sql_info(services, [code]).to_pylist()
    assert row["info_name"] == code
    return row["value"]


def test_every_code_of_the_protocol_is_there() -> None:
    assert {info.name: info.code for info in SQL_INFO} == numbers("SqlInfo")
    assert [info.code for info in SQL_INFO] == sorted({info.code for info in SQL_INFO})


def test_layout(services: Services) -> None:
    assert SQL_INFO_SCHEMA.equals(LAYOUT)
    for codes in ([], [0], [508, 517], [99999]):
        found = sql_info(services, codes)
        assert found.schema.equals(LAYOUT)
        found.validate(full=True)


def test_all_and_some_and_unknown(services: Services) -> None:
    everything = sql_info(services)["info_name"].to_pylist()
    assert everything == [info.code for info in SQL_INFO if info.code not in LEFT_OUT]
    # What has no value is left out, and so is what nobody knows.
    assert sql_info(services, [563, 7, 0, 99999])["info_name"].to_pylist() == [0, 563]


def test_what_is_left_out_says_why() -> None:
    assert {info.code for info in SQL_INFO if info.value is None} == LEFT_OUT
    assert all(info.note.startswith("left out: ") for info in SQL_INFO if info.value is None)


def test_values_are_in_the_branch_of_their_kind(services: Services) -> None:
    kinds = {info.code: info.kind for info in SQL_INFO}
    found = sql_info(services)
    branches = found["value"].combine_chunks().type_codes.to_pylist()
    for row, branch in zip(found.to_pylist(), branches, strict=True):
        kind = kinds[row["info_name"]]
        assert branch == kind
        assert type(row["value"]) is PYTHON_TYPES[kind]


def test_it_travels(services: Services) -> None:
    found, sink = sql_info(services), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, found.schema) as writer:
        writer.write_table(found)
    assert pa.ipc.open_stream(sink.getvalue()).read_all().equals(found)


def test_timeouts_are_those_of_the_settings(services: Services) -> None:
    settings = Settings(statement_idle_seconds=1.5, transaction_idle_seconds=10**9)
    other = replace(services, settings=settings)
    assert value(other, "FLIGHT_SQL_SERVER_STATEMENT_TIMEOUT") == 1500
    assert value(other, "FLIGHT_SQL_SERVER_TRANSACTION_TIMEOUT") == 2**31 - 1


@pytest.mark.parametrize(
    ("name", "enumeration", "member"),
    [
        ("FLIGHT_SQL_SERVER_TRANSACTION", "SqlSupportedTransaction", "TRANSACTION_TRANSACTION"),
        ("SQL_IDENTIFIER_CASE", "SqlSupportedCaseSensitivity", "CASE_INSENSITIVE"),
        ("SQL_QUOTED_IDENTIFIER_CASE", "SqlSupportedCaseSensitivity", "CASE_INSENSITIVE"),
        ("SQL_NULL_ORDERING", "SqlNullOrdering", "SORTED_AT_END"),
        ("SQL_DEFAULT_TRANSACTION_ISOLATION", "SqlTransactionIsolationLevel", "REPEATABLE_READ"),
    ],
)
def test_ordinals(services: Services, name: str, enumeration: str, member: str) -> None:
    (number,) = (n for key, n in numbers(enumeration).items() if key.endswith(member))
    assert value(services, name) == number


@pytest.mark.parametrize(
    ("name", "enumeration", "members"),
    [
        ("SQL_SUPPORTED_GROUP_BY", "SqlSupportedGroupBy", ["UNRELATED", "BEYOND_SELECT"]),
        ("SQL_SUPPORTED_GRAMMAR", "SupportedSqlGrammar", ["MINIMUM_GRAMMAR", "CORE_GRAMMAR"]),
        ("SQL_ANSI92_SUPPORTED_LEVEL", "SupportedAnsi92SqlGrammarLevel", ["ENTRY_SQL"]),
        ("SQL_OUTER_JOINS_SUPPORT_LEVEL", "SqlOuterJoinsSupportLevel", ["LIMITED", "FULL"]),
        (
            "SQL_SUPPORTED_SUBQUERIES",
            "SqlSupportedSubqueries",
            ["COMPARISONS", "EXISTS", "INS", "QUANTIFIEDS"],
        ),
        ("SQL_SUPPORTED_UNIONS", "SqlSupportedUnions", ["SQL_UNION", "UNION_ALL"]),
        (
            "SQL_SUPPORTED_TRANSACTIONS_ISOLATION_LEVELS",
            "SqlTransactionIsolationLevel",
            ["REPEATABLE_READ"],
        ),
        ("SQL_SUPPORTED_RESULT_SET_TYPES", "SqlSupportedResultSetType", ["FORWARD_ONLY"]),
    ],
)
def test_bitmasks(services: Services, name: str, enumeration: str, members: list[str]) -> None:
    known = numbers(enumeration)
    bits = {number for key, number in known.items() if any(member in key for member in members)}
    assert value(services, name) == sum(1 << bit for bit in bits)


STATEMENTS = {
    "SQL_SUPPORTS_COLUMN_ALIASING": "SELECT 1 AS one",
    "SQL_SUPPORTS_TABLE_CORRELATION_NAMES": "SELECT t.a FROM (VALUES (1)) AS t(a)",
    "SQL_SUPPORTS_EXPRESSIONS_IN_ORDER_BY": "FROM range(3) t(a) ORDER BY -a",
    "SQL_SUPPORTS_ORDER_BY_UNRELATED": "SELECT a FROM (VALUES (1, 2)) t(a, b) ORDER BY b",
    "SQL_SUPPORTS_LIKE_ESCAPE_CLAUSE": "SELECT 'a_b' LIKE 'a!_b' ESCAPE '!'",
    "SQL_CORRELATED_SUBQUERIES_SUPPORTED": (
        "SELECT (SELECT max(b) FROM range(9) u(b) WHERE b < a) FROM range(3) t(a)"
    ),
}
BITS = {
    "SQL_SUPPORTED_GROUP_BY": [
        "SELECT count(*) FROM (VALUES (1, 2)) t(a, b) GROUP BY b",
        "SELECT a, count(*) FROM (VALUES (1, 2)) t(a, b) GROUP BY a, b",
    ],
    "SQL_SUPPORTED_SUBQUERIES": [
        "FROM range(3) t(a) WHERE a = (SELECT max(b) FROM range(2) u(b))",
        "FROM range(3) t(a) WHERE EXISTS (FROM range(2))",
        "FROM range(3) t(a) WHERE a IN (FROM range(2))",
        "FROM range(3) t(a) WHERE a > ANY (FROM range(2)) AND a >= ALL (FROM range(2))",
    ],
    "SQL_SUPPORTED_UNIONS": ["SELECT 1 UNION SELECT 2", "SELECT 1 UNION ALL SELECT 2"],
    "SQL_OUTER_JOINS_SUPPORT_LEVEL": [
        "SELECT 1",
        "FROM range(3) t(a) LEFT JOIN range(2) u(b) ON a = b",
        "FROM range(3) t(a) FULL OUTER JOIN range(2) u(b) ON a < b",
    ],
}


@pytest.fixture
def on_lake(services: Services, lake: LakeEngine) -> Services:
    return replace(services, engines={"lake": lake})


def rows(services: Services, call: Call, sql: str) -> list[tuple[Any, ...]]:
    answer = query(services, call, SqlRequest(sql))
    table = pa.Table.from_batches(list(answer), answer.schema)
    return [tuple(row.values()) for row in table.to_pylist()]


def test_what_is_said_to_work_does(on_lake: Services, admin: Call) -> None:
    for name, sql in STATEMENTS.items():
        assert value(on_lake, name) is True
        assert rows(on_lake, admin, sql)
    for name, several in BITS.items():
        for bit, sql in enumerate(several):
            assert value(on_lake, name) >> bit & 1 or sql == "SELECT 1"
            assert rows(on_lake, admin, sql)
    assert rows(on_lake, admin, "SELECT 'a' || NULL") == [(None,)]
    assert rows(on_lake, admin, "SELECT 1 AS a$ä") == [(1,)]
    # An alias may be a table's name.
    assert rows(on_lake, admin, "FROM (VALUES (1)) t(a), (VALUES (2)) AS u(t)") == [(1, 2)]
    for direction in ("ASC", "DESC"):
        nulls = "FROM (VALUES (1), (NULL)) t(a) ORDER BY a "
        assert rows(on_lake, admin, nulls + direction)[-1] == (None,)


EXAMPLES = {
    "BIGINT": "1",
    "BINARY": "'\\x01'::BLOB",
    "BIT": "true",
    "CHAR": "'1'",
    "DATE": "DATE '2024-01-31'",
    "DECIMAL": "1.5",
    "FLOAT": "1.5",
    "INTEGER": "1",
    "INTERVAL_DAY_TIME": "INTERVAL 1 DAY",
    "INTERVAL_YEAR_MONTH": "INTERVAL 1 YEAR",
    "LONGVARBINARY": "'\\x01'::BLOB",
    "LONGVARCHAR": "'1'",
    "NUMERIC": "1.5",
    "REAL": "1.5",
    "SMALLINT": "1",
    "TIME": "TIME '10:00:00'",
    "TIMESTAMP": "TIMESTAMP '2024-01-31 10:00:00'",
    "TINYINT": "1",
    "VARBINARY": "'\\x01'::BLOB",
    "VARCHAR": "'1'",
}
# Where DuckDB calls a type something else.
NAMES = {
    "BIT": "BOOLEAN",
    "LONGVARCHAR": "VARCHAR",
    "LONGVARBINARY": "BLOB",
    "INTERVAL_DAY_TIME": "INTERVAL",
    "INTERVAL_YEAR_MONTH": "INTERVAL",
}


def test_conversions_are_those_of_duckdb() -> None:
    types = {
        number: name.removeprefix("SQL_CONVERT_")
        for name, number in numbers("SqlSupportsConvert").items()
    }
    assert {
        source: [target for target in types if casts(types[source], types[target])]
        for source in types
    } == CONVERSIONS


def casts(source: str, target: str) -> bool:
    """Whether there is such a cast at all; that a value does not fit is another matter."""
    one, other = (NAMES.get(name, name) for name in (source, target))
    try:
        duckdb.sql(f"SELECT CAST(x AS {other}) FROM (SELECT {EXAMPLES[source]}::{one} AS x)")
        duckdb.sql(
            f"SELECT CAST(x AS {other}) FROM (SELECT {EXAMPLES[source]}::{one} AS x FROM range(1))"
        ).fetchall()
    except duckdb.ConversionException as error:
        return "Unimplemented type for cast" not in str(error)
    return True
