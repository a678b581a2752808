"""Batches into files: CSV, JSON lines, Parquet, Arrow; a file appears whole or not at all."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import decimal
import json
import math
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from flight_server.errors import ErrorCode, InvalidRequest, Unsupported


class Sink(Protocol):
    """Something that takes batches of one schema."""

    def write_batch(self, batch: pa.RecordBatch) -> object:
        """Takes one batch."""

    def close(self) -> object:
        """Writes what is left; the file below stays open."""


def open_sink(
    stream: BinaryIO, format: str, schema: pa.Schema, compression: str | None = None
) -> contextlib.AbstractContextManager[Sink]:
    """A writer of the format into the stream. Unsupported where a type has no place in it."""
    return _sink(stream, format, schema, compression)


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the name when the block has ended well, and vanishes otherwise."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        stream = part.open("wb")
    except OSError as error:
        raise InvalidRequest(f"'{path}' cannot be written: {error.strerror or error}.") from None
    _parts.add(part)
    try:
        with stream:
            yield stream
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
        _parts.discard(part)


@contextlib.contextmanager
def scratch_beside(path: Path) -> Iterator[Path]:
    """An empty folder on the disk of the path, which is gone after the block."""
    try:
        part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    except OSError as error:
        raise InvalidRequest(f"'{path}' cannot be written: {error.strerror or error}.") from None
    _parts.add(part)
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
        _parts.discard(part)


def remove_parts() -> None:
    """Removes what is being written, for a process that is about to end."""
    for part in list(_parts):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


_parts: set[Path] = set()


@contextlib.contextmanager
def _sink(
    stream: BinaryIO, format: str, schema: pa.Schema, compression: str | None
) -> Iterator[Sink]:
    if compression == "zip":
        raise InvalidRequest("Zip archives are read, not written. Use .gz or .zst.")
    target: Any = pa.PythonFile(stream, mode="w")
    if compression:
        target = pa.CompressedOutputStream(target, compression)
    try:
        sink = _SINKS[format](target, schema)
        yield sink
        sink.close()
    except pa.lib.ArrowNotImplementedError as error:
        raise Unsupported(
            f"The format {format} cannot hold these columns: {str(error).splitlines()[0]}.",
            code=ErrorCode.UNSUPPORTED_TYPE,
        ) from None
    if compression:
        # Closing the compressor writes its end; it would also close the stream below.
        target.close()


class _Delimited:
    """CSV; what CSV has no form for is written as JSON text."""

    delimiter = ","

    def __init__(self, target: Any, schema: pa.Schema) -> None:
        self._nested = [not _is_flat(field.type) for field in schema]
        fields = zip(schema, self._nested, strict=True)
        flat = [f.with_type(pa.string()) if nested else f for f, nested in fields]
        self._schema = pa.schema([f.with_type(_plain(f.type)) for f in flat])
        options = pa.csv.WriteOptions(delimiter=self.delimiter)
        self._writer = pa.csv.CSVWriter(target, self._schema, write_options=options)

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Takes one batch."""
        pairs = zip(batch.columns, self._nested, strict=True)
        columns = [_as_text(column) if nested else column for column, nested in pairs]
        cast = [c.cast(f.type) for c, f in zip(columns, self._schema, strict=True)]
        self._writer.write_batch(pa.record_batch(cast, schema=self._schema))

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()


class _TabSeparated(_Delimited):
    """The same with tabs between the values."""

    delimiter = "\t"


class _JsonLines:
    """One object a line."""

    def __init__(self, target: Any, schema: pa.Schema) -> None:
        self._target = target
        self._schema = schema

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Takes one batch."""
        if batch.num_rows and batch.num_columns:
            lines = _lines(batch)
            size = pc.sum(pc.binary_length(lines)).as_py()
            self._target.write(memoryview(lines.buffers()[2])[:size])

    def close(self) -> None:
        """Nothing is left."""
        self._target.flush()


def _parquet(target: Any, schema: pa.Schema) -> Sink:
    writer: Sink = pq.ParquetWriter(target, schema, compression="zstd")
    return writer


def _arrow(target: Any, schema: pa.Schema) -> Sink:
    sink: Sink = pa.ipc.new_stream(target, schema)
    return sink


def _arrow_file(target: Any, schema: pa.Schema) -> Sink:
    sink: Sink = pa.ipc.new_file(target, schema)
    return sink


_SINKS: dict[str, Any] = {
    "csv": _Delimited,
    "tsv": _TabSeparated,
    "json": _JsonLines,
    "parquet": _parquet,
    "arrow": _arrow,
    "arrow_file": _arrow_file,
}


def _is_flat(kind: pa.DataType) -> bool:
    """Whether CSV has a form for values of this type."""
    if pa.types.is_dictionary(kind):
        return _is_flat(kind.value_type)
    binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    others = (*binary, pa.types.is_nested, pa.types.is_interval, pa.types.is_binary_view)
    special = isinstance(kind, pa.BaseExtensionType)
    return not special and not any(check(kind) for check in others)


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type that Arrow's CSV writer takes instead of this one."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_float16(kind):
        return pa.float32()
    return pa.int64() if pa.types.is_duration(kind) else kind


def _as_text(column: pa.Array) -> pa.Array:
    values = column.to_pylist()
    texts = [None if value is None else _cell_text(value) for value in values]
    return pa.array(texts, pa.string())


def _cell_text(value: Any) -> str:
    plain = _json_value(value)
    return plain if isinstance(plain, str) else _json_text(plain)


def _lines(batch: pa.RecordBatch) -> pa.Array:
    """Each row as an object and a line's end; put together by Arrow, column by column."""
    parts: list[Any] = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        parts += [f"{', ' if parts else '{'}{json.dumps(name, ensure_ascii=False)}: "]
        parts += [pc.fill_null(_json_values(column), "null")]
    return pc.binary_join_element_wise(*parts, "}\n", "")


def _json_values(column: pa.Array) -> pa.Array:
    """Each value as JSON text, null for null. Times stay exact: Python's hold no nanoseconds."""
    kind = column.type
    if pa.types.is_float16(kind):
        return _json_values(column.cast(pa.float32()))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _json_values(column.cast(pa.string()))
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_finite(column), column.cast(pa.string()), None)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return column.cast(pa.string())
    if pa.types.is_duration(kind):
        return column.cast(pa.int64()).cast(pa.string())
    if pa.types.is_timestamp(kind):
        utc = column.cast(pa.timestamp(kind.unit, "UTC")) if kind.tz else column
        form = "%Y-%m-%dT%H:%M:%SZ" if kind.tz else "%Y-%m-%dT%H:%M:%S"
        return _in_quotes(pc.strftime(utc, form, locale="C"))
    if pa.types.is_time(kind) or pa.types.is_date(kind):
        return _in_quotes(column.cast(pa.string()))
    if pa.types.is_string(kind) and not pc.any(pc.match_substring_regex(column, _ESCAPED)).as_py():
        return _in_quotes(column)
    texts = [None if value is None else _json_text(value) for value in column.to_pylist()]
    return pa.array(texts, pa.string())


# What a JSON string cannot hold as it is.
_ESCAPED = r'["\\\x00-\x1f]'


def _in_quotes(texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise('"', texts, '"', "")


def _json_text(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_json_value)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, default=_json_value)


def _json_value(value: Any) -> Any:
    """What JSON has no form for, as text: times in ISO 8601, bytes in base64."""
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, decimal.Decimal | uuid.UUID):
        return str(value)
    return value if isinstance(value, list | dict) else str(value)


def _finite(value: Any) -> Any:
    """The value with null for every number that JSON cannot say."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value
