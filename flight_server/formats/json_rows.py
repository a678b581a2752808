"""Many rows as JSON, written by DuckDB: one object a row, at millions of rows a second.

`json_texts` says what the JSON of each type is. DuckDB writes the same for nearly all types; where
it cannot, and for a handful of rows, for which setting it to work takes longer than they do, the
texts are made one by one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from flight_server.formats import json_texts

# Fewer values than these are written faster one by one.
FEW_VALUES = 1000
DIGITS_MAX = 38

Expression = Callable[[str], str]


class JsonWriter:
    """Writes batches of one schema as JSON objects."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._layout = layout_of(schema)

    def rows(self, batch: pa.RecordBatch, before: str = "", after: str = "\n") -> list[Any]:
        """The rows as pieces of text in UTF-8; each row stands between `before` and `after`."""
        few = batch.num_rows * max(1, batch.num_columns) <= FEW_VALUES
        if few or self._layout is None:
            texts = json_texts.lines(batch)
            return ["".join(f"{before}{text}{after}" for text in texts).encode()]
        sql = self._layout.json_sql(batch, before, after)
        return [piece for chunk in _run(self._layout, batch, sql) for piece in _bytes_of(chunk)]


def layout_of(schema: pa.Schema) -> Layout | None:
    """How DuckDB can write the schema's columns; None where one is of a type that it cannot."""
    plain = [plain_type(field.type) for field in schema]
    if None in plain or not plain:
        return None
    return Layout(schema, [kind for kind in plain if kind is not None])


class Layout:
    """The columns of a schema as DuckDB is given them, and what it makes of each."""

    def __init__(self, schema: pa.Schema, plain: list[pa.DataType]) -> None:
        self._names = schema.names
        self._written = [written(field.type) for field in schema]
        self._casts = [
            None if field.type.equals(kind) else kind
            for field, kind in zip(schema, plain, strict=True)
        ]
        self._doubles = [place for place, kind in enumerate(plain) if kinds.is_float64(kind)]
        self.schema = pa.schema([(place_of(at), kind) for at, kind in enumerate(plain)])
        self._sql: dict[tuple[Any, ...], str] = {}

    def given(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch under names of ours and without encodings."""
        columns = [
            column if kind is None else decoded(column).cast(kind)
            for column, kind in zip(batch.columns, self._casts, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def expression(self, place: int) -> str:
        """What is written of a column: a value of JSON, or a text."""
        write = self._written[place]
        return place_of(place) if write is None else write(place_of(place))

    def json_sql(self, batch: pa.RecordBatch, before: str, after: str) -> str:
        """The statement that writes each row as an object."""
        # NaN is rare, and looking out for it takes longer than to see that there is none.
        finite = tuple(_is_finite(batch.column(place)) for place in self._doubles)
        key = (before, after, finite)
        if key not in self._sql:
            free = {place for place, is_free in zip(self._doubles, finite, strict=True) if is_free}
            pairs = ", ".join(
                f"{text(name)}, {place_of(at) if at in free else self.expression(at)}"
                for at, name in enumerate(self._names)
            )
            parts = [text(before), f"json_object({pairs})", text(after)]
            self._sql[key] = f"SELECT {' || '.join(p for p in parts if p != text(''))} FROM given"
        return self._sql[key]


def _run(layout: Layout, batch: pa.RecordBatch, sql: str) -> Iterator[pa.Array]:
    yield from run(layout.given(batch), sql).column(0).chunks


def run(batch: pa.RecordBatch, sql: str) -> pa.Table:
    """What a statement makes of the batch, which it reads as `given`."""
    stream = pa.RecordBatchReader.from_batches(batch.schema, [batch]).__arrow_c_stream__()
    with _database().cursor() as cursor:
        cursor.register("given", stream)
        return cursor.execute(sql).to_arrow_table()


def place_of(place: int) -> str:
    """The name of a column in a statement."""
    return f"c{place}"


def text(value: str) -> str:
    """The text as a literal of SQL. NUL, which no SQL holds, is put together."""
    parts = [f"'{part.replace(chr(39), chr(39) * 2)}'" for part in value.split("\0")]
    return parts[0] if len(parts) == 1 else f"({' || chr(0) || '.join(parts)})"


def plain_type(kind: pa.DataType) -> pa.DataType | None:
    """The type in which DuckDB is given values of this one; None where there is none."""
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if kinds.is_dictionary(kind) or kinds.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if kinds.is_struct(kind):
        return _plain_struct(kind)
    if kinds.is_map(kind):
        entry = _plain_struct(pa.struct([("key", kind.key_type), ("value", kind.item_type)]))
        # As a list: a map of DuckDB's has no key twice.
        return None if entry is None else pa.list_(entry)
    if kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind):
        item = None if kinds.is_run_end_encoded(kind.value_type) else plain_type(kind.value_type)
        return None if item is None else pa.list_(item)
    # Arrow makes broken lists of views.
    return None if kinds.is_nested(kind) else _plain_leaf(kind)


def _plain_struct(kind: pa.DataType) -> pa.DataType | None:
    names = [kind.field(at).name for at in range(kind.num_fields)]
    fields = [plain_type(kind.field(at).type) for at in range(kind.num_fields)]
    encoded = any(kinds.is_run_end_encoded(kind.field(at).type) for at in range(kind.num_fields))
    if not names or None in fields or encoded or "" in names:
        return None
    if len({name.lower() for name in names}) < len(names):
        return None
    return pa.struct(list(zip(names, fields, strict=True)))


def _plain_leaf(kind: pa.DataType) -> pa.DataType | None:
    if kinds.is_decimal(kind):
        scale = max(kind.scale, 0)
        # DuckDB leaves out the zero before the point where there is no digit for it.
        digits = max(kind.precision + scale - kind.scale, scale + 1)
        return pa.decimal128(digits, scale) if digits <= DIGITS_MAX else None
    if kinds.is_timestamp(kind):
        return pa.timestamp(kind.unit)
    for is_one, plain in _PLAIN:
        if is_one(kind):
            return plain
    same = kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind)
    return kind if same or kinds.is_time(kind) or kinds.is_null(kind) else None


_PLAIN: tuple[tuple[Callable[[pa.DataType], bool], pa.DataType], ...] = (
    (kinds.is_float16, pa.float32()),
    (kinds.is_string, pa.string()),
    (kinds.is_string_view, pa.string()),
    (kinds.is_large_string, pa.large_string()),
    (kinds.is_binary, pa.binary()),
    (kinds.is_fixed_size_binary, pa.binary()),
    (kinds.is_binary_view, pa.binary()),
    (kinds.is_large_binary, pa.large_binary()),
    (kinds.is_date, pa.date32()),
    (kinds.is_duration, pa.int64()),
)


def written(kind: pa.DataType) -> Expression | None:
    """The expression that writes a value as JSON or as text; None where DuckDB does by itself."""
    if isinstance(kind, pa.BaseExtensionType):
        return _written_extension(kind)
    if kinds.is_dictionary(kind) or kinds.is_run_end_encoded(kind):
        return written(kind.value_type)
    if kinds.is_struct(kind):
        names = [kind.field(at).name for at in range(kind.num_fields)]
        return _object(names, [written(kind.field(at).type) for at in range(kind.num_fields)])
    if kinds.is_map(kind):
        return written(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
    if kinds.is_nested(kind) and not kinds.is_union(kind):
        item = written(kind.value_type)
        return None if item is None else _each(item)
    for is_one, write in _WRITTEN:
        if is_one(kind):
            return write
    return None


def _written_extension(kind: pa.DataType) -> Expression | None:
    if isinstance(kind, pa.UuidType):
        return lambda sql: f"CAST(CAST({sql} AS UUID) AS VARCHAR)"
    if isinstance(kind, pa.Bool8Type):
        return lambda sql: f"({sql} <> 0)"
    if isinstance(kind, pa.JsonType):
        return lambda sql: (
            f"CASE WHEN json_valid({sql}) THEN CAST(regexp_replace({sql}, '[\\r\\n]', ' ', 'g') "
            f"AS JSON) ELSE to_json({sql}) END"
        )
    return written(kind.storage_type)


def _object(names: list[str], fields: list[Expression | None]) -> Expression | None:
    if all(write is None for write in fields):
        return None

    def write(sql: str) -> str:
        pairs = []
        for name, field in zip(names, fields, strict=True):
            value = f"struct_extract({sql}, {text(name)})"
            pairs.append(f"{text(name)}, {value if field is None else field(value)}")
        return f"CASE WHEN {sql} IS NOT NULL THEN json_object({', '.join(pairs)}) END"

    return write


def _each(item: Expression) -> Expression:
    def write(sql: str) -> str:
        # Lambdas within lambdas have names of their own.
        name = f"item_{sql.count('item_') + 1}"
        return f"list_transform({sql}, lambda {name}: {item(name)})"

    return write


def _double(sql: str) -> str:
    return _number(sql, sql)


def _float(sql: str) -> str:
    return _number(sql, f"CAST(CAST({sql} AS VARCHAR) AS JSON)")


def _number(sql: str, finite: str) -> str:
    infinite = f"CASE WHEN {sql} > 0 THEN 'Infinity' ELSE '-Infinity' END"
    name = f"CASE WHEN isnan({sql}) THEN 'NaN' ELSE {infinite} END"
    return (
        f"CASE WHEN isfinite({sql}) THEN to_json({finite}) "
        f"WHEN {sql} IS NOT NULL THEN to_json({name}) END"
    )


def _moment(sql: str) -> str:
    return f"replace(CAST({sql} AS VARCHAR), ' ', 'T')"


_WRITTEN: tuple[tuple[Callable[[pa.DataType], bool], Expression], ...] = (
    (lambda kind: kinds.is_float16(kind) or kinds.is_float32(kind), _float),
    (kinds.is_float64, _double),
    (lambda kind: kinds.is_timestamp(kind) and kind.tz, lambda sql: f"{_moment(sql)} || 'Z'"),
    (kinds.is_timestamp, _moment),
    (lambda kind: kinds.is_date(kind) or kinds.is_time(kind), _moment),
    (
        lambda kind: "binary" in str(kind),
        lambda sql: f"to_base64({sql})",
    ),
)


def decoded(array: pa.Array) -> pa.Array:
    """The array without an encoding or an extension at its top, which casts do not see through."""
    if isinstance(array, pa.ExtensionArray):
        return decoded(array.storage)
    if kinds.is_run_end_encoded(array.type):
        return decoded(pc.run_end_decode(array))
    return array


def _is_finite(column: pa.Array) -> bool:
    values = decoded(column)
    if kinds.is_dictionary(values.type):
        return False
    return bool(pc.all(pc.is_finite(values), skip_nulls=True).as_py() is not False)


def _bytes_of(array: pa.Array) -> Iterator[memoryview]:
    """The texts of an array one after another, as they lie in memory."""
    if not len(array):
        return
    width = 8 if kinds.is_large_string(array.type) else 4
    _, offsets, data = array.buffers()
    counts = memoryview(offsets).cast("B").cast("q" if width == 8 else "i")
    start, end = counts[array.offset], counts[array.offset + len(array)]
    if data is not None and end > start:
        yield memoryview(data)[start:end]


@functools.cache
def _database() -> duckdb.DuckDBPyConnection:
    """A database without tables. One thread a statement: many requests are written at once."""
    return duckdb.connect(":memory:", config={"threads": 1, "enable_external_access": False})
