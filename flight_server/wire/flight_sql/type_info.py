"""CommandGetXdbcTypeInfo: the types that columns of lake tables can have, as JDBC and ODBC ask.

Tools read it when they make tables for others: which name to write, with which parameters, and
how to write a value. Names are DuckDB's; numbers are those of `XdbcDataType`, which has none for
UUIDs (they are bytes there) and for nested types (unknown).
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from enum import IntEnum

import pyarrow as pa

TYPE_INFO_SCHEMA = pa.schema(
    [
        pa.field("type_name", pa.string(), nullable=False),
        pa.field("data_type", pa.int32(), nullable=False),
        pa.field("column_size", pa.int32()),
        pa.field("literal_prefix", pa.string()),
        pa.field("literal_suffix", pa.string()),
        pa.field("create_params", pa.list_(pa.field("item", pa.string(), nullable=False))),
        pa.field("nullable", pa.int32(), nullable=False),
        pa.field("case_sensitive", pa.bool_(), nullable=False),
        pa.field("searchable", pa.int32(), nullable=False),
        pa.field("unsigned_attribute", pa.bool_()),
        pa.field("fixed_prec_scale", pa.bool_(), nullable=False),
        pa.field("auto_increment", pa.bool_()),
        pa.field("local_type_name", pa.string()),
        pa.field("minimum_scale", pa.int32()),
        pa.field("maximum_scale", pa.int32()),
        pa.field("sql_data_type", pa.int32(), nullable=False),
        pa.field("datetime_subcode", pa.int32()),
        pa.field("num_prec_radix", pa.int32()),
        pa.field("interval_precision", pa.int32()),
    ]
)
# Texts and bytes end with memory only; this is the most that the column can say.
LENGTH_MAX = 2**31 - 1


class Xdbc(IntEnum):
    """Those of the protocol's numbers of types that are used."""

    UNKNOWN = 0
    DECIMAL = 3
    INTEGER = 4
    SMALLINT = 5
    REAL = 7
    DOUBLE = 8
    DATETIME = 9
    INTERVAL = 10
    VARCHAR = 12
    DATE = 91
    TIME = 92
    TIMESTAMP = 93
    BINARY = -2
    VARBINARY = -3
    BIGINT = -5
    TINYINT = -6
    BIT = -7


class Searchable(IntEnum):
    """How WHERE takes a column."""

    BASIC = 2  # everything but LIKE
    FULL = 3


@dataclass(frozen=True)
class TypeInfo:
    """One type: the columns of the answer in their order, without the abbreviations."""

    type_name: str
    data_type: int
    column_size: int | None = None
    literal_prefix: str | None = None
    literal_suffix: str | None = None
    parameters: tuple[str, ...] | None = None
    nullable: int = 1
    case_sensitive: bool = False
    searchable: int = Searchable.BASIC
    unsigned_attribute: bool | None = None
    fixed_prec_scale: bool = False
    auto_increment: bool | None = None
    local_type_name: str | None = None
    minimum_scale: int | None = None
    maximum_scale: int | None = None
    sql_data_type: int | None = None
    datetime_subcode: int | None = None
    radix: int | None = None
    interval_precision: int | None = None

    def row(self) -> dict[str, object]:
        """As a row of the answer."""
        general = self.data_type if self.sql_data_type is None else self.sql_data_type
        row = dict(zip(TYPE_INFO_SCHEMA.names, astuple(self), strict=True))
        return row | {"sql_data_type": int(general)}


def type_info(data_type: int | None = None) -> pa.Table:
    """The types, of one number or all, ordered by number and name."""
    found = [info for info in TYPE_INFO if data_type in (None, info.data_type)]
    rows = [info.row() for info in sorted(found, key=lambda it: (it.data_type, it.type_name))]
    return pa.Table.from_pylist(rows, TYPE_INFO_SCHEMA)


def _integer(name: str, number: Xdbc, digits: int, unsigned: bool = False) -> TypeInfo:
    return TypeInfo(
        name,
        number,
        digits,
        unsigned_attribute=unsigned,
        auto_increment=False,
        minimum_scale=0,
        maximum_scale=0,
        radix=10,
    )


def _float(name: str, number: Xdbc, bits: int) -> TypeInfo:
    return TypeInfo(name, number, bits, unsigned_attribute=False, auto_increment=False, radix=2)


def _text(name: str, length: int | None, parameters: tuple[str, ...] | None = None) -> TypeInfo:
    return TypeInfo(
        name,
        Xdbc.VARCHAR,
        length,
        "'",
        "'",
        parameters,
        case_sensitive=True,
        searchable=Searchable.FULL,
    )


def _moment(name: str, number: Xdbc, characters: int, digits: int | None, subcode: int) -> TypeInfo:
    return TypeInfo(
        name,
        number,
        characters,
        f"{name} '",
        "'",
        minimum_scale=digits,
        maximum_scale=digits,
        sql_data_type=Xdbc.DATETIME,
        datetime_subcode=subcode,
    )


TYPE_INFO: tuple[TypeInfo, ...] = (
    TypeInfo("BOOLEAN", Xdbc.BIT, 1),
    _integer("TINYINT", Xdbc.TINYINT, 3),
    _integer("SMALLINT", Xdbc.SMALLINT, 5),
    _integer("INTEGER", Xdbc.INTEGER, 10),
    _integer("BIGINT", Xdbc.BIGINT, 19),
    _integer("UTINYINT", Xdbc.TINYINT, 3, unsigned=True),
    _integer("USMALLINT", Xdbc.SMALLINT, 5, unsigned=True),
    _integer("UINTEGER", Xdbc.INTEGER, 10, unsigned=True),
    _integer("UBIGINT", Xdbc.BIGINT, 20, unsigned=True),
    _float("FLOAT", Xdbc.REAL, 24),
    _float("DOUBLE", Xdbc.DOUBLE, 53),
    TypeInfo(
        "DECIMAL",
        Xdbc.DECIMAL,
        38,
        parameters=("precision", "scale"),
        unsigned_attribute=False,
        auto_increment=False,
        minimum_scale=0,
        maximum_scale=38,
        radix=10,
    ),
    # DuckDB takes a length and does not hold anybody to it.
    _text("VARCHAR", LENGTH_MAX, ("length",)),
    _text("JSON", LENGTH_MAX),
    TypeInfo("BLOB", Xdbc.VARBINARY, LENGTH_MAX, "'", "'::BLOB"),
    TypeInfo("UUID", Xdbc.BINARY, 16, "'", "'::UUID"),
    _moment("DATE", Xdbc.DATE, 10, None, 1),
    _moment("TIME", Xdbc.TIME, 15, 6, 2),
    _moment("TIME_NS", Xdbc.TIME, 18, 9, 2),
    _moment("TIMESTAMP", Xdbc.TIMESTAMP, 26, 6, 3),
    _moment("TIMESTAMP_S", Xdbc.TIMESTAMP, 19, 0, 3),
    _moment("TIMESTAMP_MS", Xdbc.TIMESTAMP, 23, 3, 3),
    _moment("TIMESTAMP_NS", Xdbc.TIMESTAMP, 29, 9, 3),
    _moment("TIMESTAMP WITH TIME ZONE", Xdbc.TIMESTAMP, 32, 6, 5),
    # Neither by year and month alone nor by day and second, which XDBC knows, but by all of them.
    TypeInfo("INTERVAL", Xdbc.INTERVAL, literal_prefix="INTERVAL '", literal_suffix="'"),
    TypeInfo("LIST", Xdbc.UNKNOWN, literal_prefix="[", literal_suffix="]"),
    TypeInfo("MAP", Xdbc.UNKNOWN, literal_prefix="MAP {", literal_suffix="}"),
    TypeInfo("STRUCT", Xdbc.UNKNOWN, literal_prefix="{", literal_suffix="}"),
)
