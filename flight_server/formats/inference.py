"""The types that sample rows seem to have: for tables that are made from what is there.

Nothing that could be lost is guessed: numbers with leading zeros stay text, integers too large for
64 bits become decimals, and values of several kinds in one column become JSON. What is told is a
sample's truth: more rows may have others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.formats.json_lines import Source, loaded_json

# How much of a body is looked at.
SAMPLE_BYTES_MAX = 2**20
COLUMNS_MAX = 10_000
# Deeper than that values are JSON.
NESTING_MAX = 16
_INTEGER_MAX = 2**63
_WIDE = pa.decimal128(38, 0)
_DAY = r"\d{4}-\d{2}-\d{2}"
_CLOCK = rf"{_DAY}[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{{1,6}})?)?"
_UUID = "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
# What text is, by the expression that all of it matches; the first that fits.
_TEXTS: tuple[tuple[str, pa.DataType], ...] = (
    (_DAY, pa.date32()),
    (rf"{_CLOCK}(?:[zZ]|[+-]\d{{2}}:?\d{{2}})", pa.timestamp("us", "UTC")),
    (_CLOCK, pa.timestamp("us")),
    (_UUID, pa.uuid()),
)
_BARE: tuple[tuple[str, pa.DataType], ...] = (
    ("true|false", pa.bool_()),
    (r"-?(?:0|[1-9]\d{0,17})", pa.int64()),
    (r"-?(?:0|[1-9]\d{0,37})", _WIDE),
    (r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", pa.float64()),
)


@dataclass(frozen=True)
class Inferred:
    """What a sample says: its columns, how many rows it has, and how many are null in each."""

    schema: pa.Schema
    rows: int
    nulls: Mapping[str, int]


def from_rows(rows: Sequence[Any]) -> Inferred:
    """From rows of JSON. InvalidRequest (invalid_data) where one is no object."""
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise _invalid(f"Row {number} of the sample is no object.")
    names = list(dict.fromkeys(name for row in rows for name in row))
    _check_count(len(rows), len(names))
    columns = {name: [row.get(name) for row in rows] for name in names}
    fields = [pa.field(name, _type(values)) for name, values in columns.items()]
    nulls = {name: values.count(None) for name, values in columns.items()}
    return Inferred(pa.schema(fields), len(rows), nulls)


def from_lines(source: Source) -> Inferred:
    """From the first lines of JSON, one row in each."""
    lines = _sample(source).splitlines()
    return from_rows(
        [
            loaded_json(line, f"Line {number} of the sample")
            for number, line in enumerate(lines, start=1)
            if line.strip()
        ]
    )


@dataclass(frozen=True)
class Dialect:
    """How a file of CSV is written. `names` are its columns where no header names them."""

    delimiter: str = ","
    quote: str = '"'
    names: tuple[str, ...] = ()
    null_values: tuple[str, ...] = ()


def from_csv(source: Source, dialect: Dialect = Dialect()) -> Inferred:
    """From the first lines of CSV, whose header names the columns. An empty field is null."""
    return from_delimited(_sample(source), dialect)


def from_delimited(sample: bytes, dialect: Dialect) -> Inferred:
    """As `from_csv`, from whole lines."""
    table = _texts(sample, dialect)
    _check_count(table.num_rows, table.num_columns)
    fields, nulls = [], {}
    for name, column in zip(table.schema.names, table.columns, strict=True):
        is_null = pc.is_in(column, pa.array(["", *dialect.null_values]))
        known = column.filter(pc.invert(is_null)).combine_chunks()
        fields.append(pa.field(name, _type_of_texts(known, (*_BARE, *_TEXTS))))
        nulls[name] = len(column) - len(known)
    return Inferred(pa.schema(fields), table.num_rows, nulls)


def _sample(source: Source) -> bytes:
    """The whole lines among the first bytes."""
    data = source.read(SAMPLE_BYTES_MAX + 1)
    if len(data) <= SAMPLE_BYTES_MAX:
        return data
    end = data.rfind(b"\n")
    if end < 0:
        raise _invalid("The first line of the body is too long to tell its columns from it.")
    return data[: end + 1]


def _texts(sample: bytes, dialect: Dialect) -> pa.Table:
    """CSV as columns of text. The last row may be cut within a quoted line; it is left out."""
    parsing = pa.csv.ParseOptions(
        delimiter=dialect.delimiter,
        quote_char=dialect.quote,
        newlines_in_values=True,
        invalid_row_handler=lambda row: "skip",
    )
    try:
        names = list(dialect.names) or _header(sample, dialect)
        return pa.csv.read_csv(
            pa.BufferReader(sample),
            pa.csv.ReadOptions(
                use_threads=False,
                block_size=max(len(sample), SAMPLE_BYTES_MAX) + 1,
                column_names=list(dialect.names) or None,
            ),
            parsing,
            pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        reason = str(error).splitlines()[0]
        raise _invalid(f"The CSV does not parse: {reason[:200]}") from None


def _header(sample: bytes, dialect: Dialect) -> list[str]:
    header = pa.csv.read_csv(
        pa.BufferReader(sample.split(b"\n", 1)[0] + b"\n"),
        pa.csv.ReadOptions(use_threads=False, block_size=SAMPLE_BYTES_MAX),
        pa.csv.ParseOptions(delimiter=dialect.delimiter, quote_char=dialect.quote),
    )
    names: list[str] = header.schema.names
    if len(set(names)) < len(names):
        raise _invalid("The header of the CSV names a column twice.")
    return names


def _type(values: Iterable[Any], depth: int = 0) -> pa.DataType:
    """What values of JSON have in common; text where nothing is known of them."""
    known = [value for value in values if value is not None]
    shapes = {_shape(value) for value in known}
    if not shapes:
        return pa.string()
    if shapes == {int, float}:
        return pa.float64()
    if len(shapes) > 1 or depth > NESTING_MAX:
        return pa.json_()
    [shape] = shapes
    if shape is int:
        return _whole(known)
    if shape is str:
        return _type_of_texts(_array(known), _TEXTS)
    if shape is list:
        return pa.list_(_type(itertools.chain.from_iterable(known), depth + 1))
    if shape is dict:
        return _struct(known, depth + 1)
    return pa.bool_() if shape is bool else pa.float64()


def _shape(value: Any) -> type:
    if isinstance(value, Decimal | float):
        return float
    return dict if isinstance(value, Mapping) else type(value)


def _whole(values: Sequence[int]) -> pa.DataType:
    largest = max(map(abs, values))
    if largest < _INTEGER_MAX:
        return pa.int64()
    return _WIDE if largest < 10**38 else pa.float64()


def _array(values: Sequence[str]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        raise _invalid("Half of a surrogate pair in the sample is no character.") from None


def _struct(values: Sequence[Mapping[str, Any]], depth: int) -> pa.DataType:
    names = list(dict.fromkeys(name for value in values for name in value))
    if not names or len({name.lower() for name in names}) < len(names):
        return pa.json_()
    return pa.struct(
        [pa.field(name, _type([value.get(name) for value in values], depth)) for name in names]
    )


def type_of_texts(texts: pa.Array) -> pa.DataType:
    """The type that all of these texts look like; text where there are none."""
    return _type_of_texts(texts, (*_BARE, *_TEXTS))


def _type_of_texts(texts: pa.Array, patterns: Sequence[tuple[str, pa.DataType]]) -> pa.DataType:
    for pattern, kind in patterns if len(texts) else ():
        if pc.all(pc.match_substring_regex(texts, f"^(?:{pattern})$")).as_py():
            return kind if _parses(texts, kind) else pa.string()
    return pa.string()


def _parses(texts: pa.Array, kind: pa.DataType) -> bool:
    """Whether what looks like days are days: the 30th of February is none."""
    if not pa.types.is_date(kind) and not pa.types.is_timestamp(kind):
        return True
    days = pc.utf8_slice_codeunits(texts, 0, 10)
    try:
        days.cast(pa.timestamp("s"))
    except pa.ArrowInvalid:
        return False
    return True


def _check_count(rows: int, columns: int) -> None:
    if not rows or not columns:
        raise _invalid("There is no row to tell the columns from.")
    if columns > COLUMNS_MAX:
        raise _invalid(f"The sample has {columns} columns; {COLUMNS_MAX} are allowed.")


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code=ErrorCode.INVALID_DATA)
