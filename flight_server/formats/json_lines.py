"""JSON on its way in: one object a line, or a list of objects.

Lines are read in blocks. Arrow reads a block where all of it is plain; where it cannot, the block
is read row by row, which also finds out which row is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NoReturn, Protocol

import pyarrow as pa
import pyarrow.json
import pyarrow.types as kinds

from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.formats.fitting import Fitting
from flight_server.formats.json_values import narrowed
from flight_server.formats.text_values import MisfitError, dates, moments, times

BLOCK_BYTES = 2**20
LINE_BYTES_MAX = 64 * 2**20


class Source(Protocol):
    """Where bytes come from."""

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, none at the end."""


def loaded_json(data: bytes, what: str) -> Any:
    """The value in the bytes; numbers with a point as Decimals. InvalidRequest (invalid_data)."""
    try:
        return json.loads(data, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        if isinstance(error, UnicodeDecodeError):
            reason = "it is not UTF-8 text"
        raise InvalidRequest(
            f"{what} is not JSON: {reason}.", code=ErrorCode.INVALID_DATA
        ) from None


def loaded_object(data: bytes, what: str) -> dict[str, Any]:
    """The object in the bytes. InvalidRequest."""
    value = loaded_json(data, what)
    if not isinstance(value, dict):
        _no_object(what, value)
    return value


def row_batches(rows: list[Any], fitting: Fitting) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Rows that have been read from JSON: their columns are all that any of them names."""
    objects = _objects(list(enumerate(rows, start=1)))
    schema = fitting.columns(_names(objects))
    return schema, iter([fitting.batch(objects, schema)])


def read_json_lines(source: Source, fitting: Fitting) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The columns that the first rows name, and the rows as batches, read as they come.

    InvalidRequest (invalid_data, schema_mismatch) names the row.
    """
    blocks = _blocks(source)
    first = next(blocks, b"")
    reader = _BlockReader(fitting, first)

    def batches() -> Iterator[pa.RecordBatch]:
        if first:
            yield reader.read(first)
        for block in blocks:
            yield reader.read(block)

    return reader.schema, batches()


class _BlockReader:
    """Reads blocks of lines into batches of the columns that the first one names."""

    def __init__(self, fitting: Fitting, first: bytes) -> None:
        self._fitting = fitting
        self._lines = 0
        start = first.lstrip()
        line = start[: start.find(b"\n")] if b"\n" in start else start
        self._names = list(_object(1, line)) if line else []
        self.schema = fitting.columns(self._names)
        if first and not self._is_read_quickly(first):
            rows = self._rows(first, 0)
            self._names = _names([row for row in rows if isinstance(row, Mapping)])
            self.schema = fitting.columns(self._names)

    def read(self, block: bytes) -> pa.RecordBatch:
        """The rows of a block."""
        quick = self._quickly(block)
        if quick is not None:
            self._lines += block.count(b"\n")
            first = self._fitting.rows + 1
            self._fitting.rows += quick.num_rows
            return self._fitting.left(quick, first, {})
        rows = self._rows(block, self._lines)
        self._lines += block.count(b"\n")
        self._refuse_new(rows)
        return self._fitting.batch(rows, self.schema)

    def _is_read_quickly(self, block: bytes) -> bool:
        return self._quickly(block) is not None

    def _quickly(self, block: bytes) -> pa.RecordBatch | None:
        """The block as Arrow reads it; None where it does not, or a value does not fit."""
        found = read_quickly(block, self._names, self.schema)
        if found is None or any(
            column.null_count and not field.nullable
            for column, field in zip(found.columns, self.schema, strict=True)
        ):
            return None
        return found

    def _rows(self, block: bytes, before: int) -> list[Any]:
        lines = enumerate(block.split(b"\n"), start=before + 1)
        return [_object(number, line) for number, line in lines if line.strip()]

    def _refuse_new(self, rows: list[Mapping[str, Any]]) -> None:
        known = {name.lower() for name in self._names}
        for at, row in enumerate(rows, start=self._fitting.rows + 1):
            for name in row:
                if name.lower() not in known:
                    self._fitting.columns([name])
                    raise InvalidRequest(
                        f"Row {at} has the column '{name[:200]}', which none of the first rows "
                        "has. Name every column in the first row; null will do.",
                        code=ErrorCode.SCHEMA_MISMATCH,
                        details={"row": at, "column": name[:200]},
                    )


def read_quickly(
    block: bytes, names: Sequence[str], schema: pa.Schema, only_these: bool = False
) -> pa.RecordBatch | None:
    """Lines as Arrow reads them, the columns of these names in the types of the schema.

    None where Arrow does not, or a value does not fit. Other columns are passed over where
    `only_these` are wanted, and refused otherwise.
    """
    types = [_quick_type(field.type) for field in schema]
    if None in types or not types:
        return None
    try:
        read = pa.json.read_json(
            pa.BufferReader(block),
            pa.json.ReadOptions(use_threads=False, block_size=len(block) + 1),
            pa.json.ParseOptions(
                explicit_schema=pa.schema(list(zip(names, types, strict=True))),
                unexpected_field_behavior="ignore" if only_these else "error",
            ),
        )
        read.validate(full=True)
        columns = [
            _restored(_whole(column), field.type)
            for column, field in zip(read.columns, schema, strict=True)
        ]
    except (pa.ArrowException, MisfitError, ValueError):
        return None
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _blocks(source: Source) -> Iterator[bytes]:
    """Whole lines, about a block at a time; what is left at the end belongs to the last one."""
    lines, rest = b"", b""
    while data := source.read(BLOCK_BYTES):
        end = data.rfind(b"\n") + 1
        if end:
            if lines:
                yield lines
            lines, rest = rest + data[:end], data[end:]
        else:
            rest += data
            if len(rest) > LINE_BYTES_MAX:
                raise InvalidRequest(
                    f"A line has more than {LINE_BYTES_MAX} bytes. One object stands on a line.",
                    code=ErrorCode.TOO_LARGE,
                )
    if lines.strip() or rest.strip():
        yield lines + rest


def _object(line: int, text: bytes) -> Mapping[str, Any]:
    value = loaded_json(text, f"Line {line}")
    if not isinstance(value, dict):
        hint = " Send a list as application/json." if isinstance(value, list) else ""
        _no_object(f"Line {line}", value, hint)
    return value


def _objects(rows: list[tuple[int, Any]]) -> list[Mapping[str, Any]]:
    for number, row in rows:
        if not isinstance(row, dict):
            _no_object(f"Row {number}", row)
    return [row for _, row in rows]


def _no_object(where: str, value: Any, hint: str = "") -> NoReturn:
    raise InvalidRequest(
        f"{where} is {_kind(value)}, where an object is needed.{hint}", code=ErrorCode.INVALID_DATA
    )


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", str: "a text", list: "a list"}
    return names.get(type(value), "a number")


def _names(rows: list[Mapping[str, Any]]) -> list[str]:
    """The columns that any row names, each once, in the order of their coming."""
    found: dict[str, str] = {}
    for row in rows:
        for name in row:
            found.setdefault(name.lower(), name)
    return list(found.values())


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f'{name} is no JSON: write "{name}"')


def _whole(column: pa.ChunkedArray) -> pa.Array:
    found = column.combine_chunks()
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _quick_type(kind: pa.DataType) -> pa.DataType | None:
    """What Arrow's reader is to read for a type, for `_restored`; None where it cannot."""
    if kinds.is_floating(kind):
        return pa.float64()
    if kinds.is_temporal(kind) and not kinds.is_interval(kind):
        return pa.int64() if kinds.is_duration(kind) else pa.string()
    is_plain = kinds.is_integer(kind) or kinds.is_boolean(kind) or kinds.is_string(kind)
    if is_plain or kinds.is_decimal128(kind) or kinds.is_large_string(kind):
        return kind
    if kinds.is_list(kind):
        return kind if _quick_type(kind.value_type) == kind.value_type else None
    return None


def _restored(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """The values in their own type. MisfitError."""
    if kinds.is_timestamp(kind):
        return moments(array, kind)
    if kinds.is_date(kind):
        return dates(array, kind)
    if kinds.is_time(kind):
        return times(array, kind)
    if kinds.is_floating(kind):
        return narrowed(array, kind)
    return array.view(kind) if kinds.is_duration(kind) else array.cast(kind)
