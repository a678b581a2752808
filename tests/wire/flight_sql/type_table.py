"""What DuckDB's types come out as, and what Arrow's types are as parameters and by ingest.

The documents print it, asked of a server; tests hold the values of each line to it.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from flight_server.testing.server import local_server
from flight_server.testing.types import CASES, TypeCase
from tests.conformance.lake_types import kept_as
from tests.fix_client import Client
from tests.fix_flight_sql import SqlClient
from tests.fix_server import QUIET


@dataclass(frozen=True)
class SqlCase:
    """A type of DuckDB, a value of it as SQL writes it, and as Python has what arrives."""

    name: str
    text: str
    value: Any


SQL_CASES = (
    SqlCase("BOOLEAN", "true", True),
    SqlCase("TINYINT", "-128", -128),
    SqlCase("SMALLINT", "-32768", -32768),
    SqlCase("INTEGER", "-2147483648", -(2**31)),
    SqlCase("BIGINT", "-9223372036854775808", -(2**63)),
    SqlCase("HUGEINT", "'" + "9" * 38 + "'", Decimal("9" * 38)),
    SqlCase("UTINYINT", "255", 255),
    SqlCase("USMALLINT", "65535", 65535),
    SqlCase("UINTEGER", "4294967295", 2**32 - 1),
    SqlCase("UBIGINT", "18446744073709551615", 2**64 - 1),
    SqlCase("FLOAT", "0.5", 0.5),
    SqlCase("DOUBLE", "1e300", 1e300),
    SqlCase("DECIMAL(9, 2)", "'1234567.89'", Decimal("1234567.89")),
    SqlCase("DECIMAL(38, 10)", "'" + "9" * 28 + ".0000000001'", Decimal("9" * 28 + ".0000000001")),
    SqlCase("VARCHAR", "'ü🛩'", "ü🛩"),
    SqlCase("BLOB", r"'\x00\xFF'", b"\x00\xff"),
    SqlCase("BIT", "'101'", b"\x05\xfd"),
    SqlCase(
        "UUID", "'12345678-1234-1234-1234-123456789abc'", "12345678-1234-1234-1234-123456789abc"
    ),
    SqlCase("JSON", "'[1]'", "[1]"),
    SqlCase("DATE", "'2026-01-31'", dt.date(2026, 1, 31)),
    SqlCase("TIME", "'23:59:59.999999'", dt.time(23, 59, 59, 999999)),
    SqlCase("TIME_NS", "'12:00:00.000001'", dt.time(12, 0, 0, 1)),
    SqlCase("TIMESTAMP", "'2026-01-31 12:00:00.000001'", dt.datetime(2026, 1, 31, 12, 0, 0, 1)),
    SqlCase("TIMESTAMP_S", "'2026-01-31 12:00:00'", dt.datetime(2026, 1, 31, 12)),
    SqlCase("TIMESTAMP_MS", "'2026-01-31 12:00:00'", dt.datetime(2026, 1, 31, 12)),
    SqlCase("TIMESTAMP_NS", "'2026-01-31 12:00:00'", dt.datetime(2026, 1, 31, 12)),
    SqlCase(
        "TIMESTAMP WITH TIME ZONE",
        "'2026-01-31 14:00:00+02'",
        dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC),
    ),
    SqlCase("INTERVAL", "'1 month 2 days 3 seconds'", pa.MonthDayNano([1, 2, 3 * 10**9])),
    SqlCase("ENUM('a', 'b')", "'b'", "b"),
    SqlCase("INTEGER[]", "[1, NULL]", [1, None]),
    SqlCase("INTEGER[3]", "[1, 2, NULL]", [1, 2, None]),
    SqlCase("STRUCT(a INTEGER, b VARCHAR)", "{'a': 1, 'b': NULL}", {"a": 1, "b": None}),
    SqlCase("MAP(VARCHAR, INTEGER)", "MAP {'a': 1}", [("a", 1)]),
    SqlCase("UNION(n INTEGER, t VARCHAR)", "'x'", "x"),
    SqlCase('"NULL"', "NULL", None),
)
# What Arrow has no type for: a value that would be another one, and the cast that keeps it.
REFUSED_FROM_SQL = (
    SqlCase("UHUGEINT", f"'{2**128 - 1}'", str(2**128 - 1)),
    SqlCase("BIGNUM", "'" + "9" * 60 + "'", "9" * 60),
    SqlCase("TIME WITH TIME ZONE", "'12:00:00+02'", "12:00:00+02"),
    SqlCase("VARIANT", "1", "1"),
)
# What cannot be a parameter, although all the others can.
REFUSED_AS_PARAMETER = {
    "decimal256(76, 10)": "DuckDB's decimals have 38 digits at most",
    "struct<>": "it has no fields",
}
PARAMETERS = tuple(case for case in CASES if case.name not in REFUSED_AS_PARAMETER)
INGESTED = tuple(case for case in CASES if kept_as(case.field)[0] != "—")


def sql_values(sql: SqlClient) -> pa.Table:
    """A row with a value of each type of DuckDB, in columns that are numbered."""
    values = (
        f"CAST({case.text} AS {case.name}) AS v{number}" for number, case in enumerate(SQL_CASES)
    )
    return sql.query(f"SELECT {', '.join(values)}")


def value_of(case: TypeCase) -> pa.Array:
    """One of its values: the first that is not null, of spans of time one that INTERVAL holds."""
    kind = case.values.type
    if pa.types.is_duration(kind):
        return pa.array([5000], kind)
    if pa.types.is_interval(kind):
        return pa.array([pa.MonthDayNano([1, 2, 3000])], kind)
    valid = (at for at, value in enumerate(case.values) if value.is_valid)
    return case.values.slice(next(valid, 0), 1)


def parameters(sql: SqlClient) -> tuple[pa.Table, dict[str, str]]:
    """A value of each type as it comes back from a query, and its type in SQL."""
    sent = {f"p{number}": value_of(case) for number, case in enumerate(PARAMETERS)}
    values = sql.prepare(f"SELECT {', '.join(f'${name} AS {name}' for name in sent)}")
    values.bind(pa.table(sent))
    kinds = sql.prepare(f"SELECT {', '.join(f'typeof(${name}) AS {name}' for name in sent)}")
    kinds.bind(pa.table(sent))
    (row,) = kinds.query().to_pylist()
    names = (case.name for case in PARAMETERS)
    return values.query(), dict(zip(names, row.values(), strict=True))


def outgoing() -> Iterator[tuple[str, str]]:
    """The lines of the table of DuckDB's types."""
    with _asked() as sql:
        found = sql_values(sql).schema
    for case, field in zip(SQL_CASES, found, strict=True):
        yield f"`{case.name}`", f"`{field.type}`"
    for case in REFUSED_FROM_SQL:
        yield f"`{case.name}`", "refused: cast it to VARCHAR"


def incoming() -> Iterator[tuple[str, str, str]]:
    """The lines of the table of Arrow's types."""
    with _asked() as sql:
        _, kinds = parameters(sql)
    for case in CASES:
        refusal = REFUSED_AS_PARAMETER.get(case.name)
        kept, note = kept_as(case.field)
        yield (
            f"`{case.name}`",
            f"refused: {refusal}" if refusal else f"`{kinds[case.name]}`",
            note if kept == "—" else "as it is",
        )


@contextmanager
def _asked() -> Iterator[SqlClient]:
    """A client of a server of its own, while the block runs."""
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        server = opened.enter_context(local_server(folder / "data", **QUIET))
        yield SqlClient(opened.enter_context(closing(Client(server.url, server.key))))
