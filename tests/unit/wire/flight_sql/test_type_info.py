"""The types that lake tables can have, as JDBC and ODBC ask for them."""

from __future__ import annotations

import re

import duckdb
import pyarrow as pa
import pytest

from flight_server.engines.lake.sql_types import natural_of
from flight_server.errors import InvalidRequest
from flight_server.testing.types import CASES
from flight_server.wire.flight_sql.columns import described
from flight_server.wire.flight_sql.type_info import (
    TYPE_INFO,
    TYPE_INFO_SCHEMA,
    Searchable,
    TypeInfo,
    Xdbc,
    type_info,
)
from tests.unit.wire.flight_sql.driver_protocol import numbers

LAYOUT = """\
type_name: string not null
data_type: int32 not null
column_size: int32
literal_prefix: string
literal_suffix: string
create_params: list<item: string not null>
  child 0, item: string not null
nullable: int32 not null
case_sensitive: bool not null
searchable: int32 not null
unsigned_attribute: bool
fixed_prec_scale: bool not null
auto_increment: bool
local_type_name: string
minimum_scale: int32
maximum_scale: int32
sql_data_type: int32 not null
datetime_subcode: int32
num_prec_radix: int32
interval_precision: int32"""
LITERALS = {
    "BLOB": "\\x01",
    "DATE": "2024-01-31",
    "JSON": "{}",
    "LIST": "1",
    "MAP": "'a': 1",
    "STRUCT": "'a': 1",
    "INTERVAL": "1 month",
    "TIME": "10:00:00",
    "TIME_NS": "10:00:00",
    "UUID": "00000000-0000-0000-0000-000000000000",
    "VARCHAR": "a",
}
NESTED = {"LIST": "[]", "STRUCT": "STRUCT", "MAP": "MAP"}


def test_layout() -> None:
    assert TYPE_INFO_SCHEMA.to_string() == LAYOUT
    assert type_info().schema == type_info(12345).schema == TYPE_INFO_SCHEMA


def test_every_type_that_a_lake_keeps_is_there() -> None:
    """Nothing more, but for JSON's twin of text, either."""
    kept: set[str] = set()
    for case in CASES:
        try:
            seen = natural_of(case.field.type, case.field.name, top=True).sql
        except InvalidRequest:
            continue
        plain = re.sub(r"\(.*\)$", "", seen)
        kept.add("LIST" if plain.endswith("]") else plain)
    assert {info.type_name for info in TYPE_INFO} == kept


def test_order_and_choice() -> None:
    rows = type_info().to_pylist()
    order = [(row["data_type"], row["type_name"]) for row in rows]
    assert order == sorted(order)
    assert len(rows) == len(TYPE_INFO)
    assert [row["type_name"] for row in type_info(Xdbc.BIGINT).to_pylist()] == ["BIGINT", "UBIGINT"]
    assert type_info(12345).num_rows == 0


def test_numbers_are_the_protocols() -> None:
    known = {name.removeprefix("XDBC_"): n for name, n in numbers("XdbcDataType").items()}
    assert {one.name.replace("UNKNOWN", "UNKNOWN_TYPE"): int(one) for one in Xdbc}.items() <= (
        known.items()
    )
    ways = {name.removeprefix("SEARCHABLE_"): n for name, n in numbers("Searchable").items()}
    assert {one.name: int(one) for one in Searchable}.items() <= ways.items()
    subcodes = numbers("XdbcDatetimeSubcode")
    assert {
        info.type_name: info.datetime_subcode for info in TYPE_INFO if info.datetime_subcode
    } == {
        "DATE": subcodes["XDBC_SUBCODE_DATE"],
        "TIME": subcodes["XDBC_SUBCODE_TIME"],
        "TIME_NS": subcodes["XDBC_SUBCODE_TIME"],
        "TIMESTAMP": subcodes["XDBC_SUBCODE_TIMESTAMP"],
        "TIMESTAMP_S": subcodes["XDBC_SUBCODE_TIMESTAMP"],
        "TIMESTAMP_MS": subcodes["XDBC_SUBCODE_TIMESTAMP"],
        "TIMESTAMP_NS": subcodes["XDBC_SUBCODE_TIMESTAMP"],
        "TIMESTAMP WITH TIME ZONE": subcodes["XDBC_SUBCODE_TIMESTAMP_WITH_TIMEZONE"],
    }


@pytest.mark.parametrize("info", TYPE_INFO, ids=lambda info: str(info.type_name))
def test_moments_have_a_general_type(info: TypeInfo) -> None:
    is_moment = info.data_type in (Xdbc.DATE, Xdbc.TIME, Xdbc.TIMESTAMP)
    assert info.row()["sql_data_type"] == (Xdbc.DATETIME if is_moment else info.data_type)


@pytest.mark.parametrize(
    "info",
    [info for info in TYPE_INFO if info.literal_prefix],
    ids=lambda info: str(info.type_name),
)
def test_literals_are_of_their_type(info: TypeInfo) -> None:
    text = LITERALS.get(info.type_name, "2024-01-31 10:00:00")
    (kind,) = duckdb.sql(f"SELECT {info.literal_prefix}{text}{info.literal_suffix}").types
    if info.type_name == "JSON":
        # A text is taken for JSON where a column is JSON.
        assert str(kind) == "VARCHAR"
    elif info.type_name in NESTED:
        assert NESTED[info.type_name] in str(kind)
    else:
        assert str(kind) == info.type_name


@pytest.mark.parametrize("info", TYPE_INFO, ids=lambda info: str(info.type_name))
def test_parameters_may_be_given(info: TypeInfo) -> None:
    if info.parameters:
        numbers_given = ", ".join("5" for _ in info.parameters)
        duckdb.sql(f"SELECT NULL::{info.type_name}({numbers_given})")
    else:
        assert info.type_name not in ("DECIMAL", "VARCHAR")


def test_no_column_is_larger_than_its_type() -> None:
    """Floats are told in bits here and in digits there, UUIDs in bytes and in characters."""
    types = {info.type_name: info for info in TYPE_INFO if info.radix != 2}
    del types["UUID"]
    checked = 0
    for case in CASES:
        name, precision, scale = described(case.field.type, kept=True)
        info = types.get(name.partition("(")[0])
        # No table holds decimals of more than 38 digits.
        if (
            info is not None
            and precision is not None
            and not pa.types.is_decimal256(case.field.type)
        ):
            assert precision <= (info.column_size or 0)
            assert (scale or 0) <= (info.maximum_scale or 0)
            checked += 1
    assert checked > 20
