"""Several files as one stream of batches with one schema."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flight_server.cli.formats.delimited import open_delimited
from flight_server.cli.formats.files import InputFile
from flight_server.cli.formats.json_lines import open_json_lines
from flight_server.cli.formats.kinds import Hints
from flight_server.errors import ErrorCode, InvalidRequest

ROWS_EACH = 65_536
Opened = tuple[pa.Schema, Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Source:
    """The rows of some files. `size` is their bytes on disk, 0 where it is not known."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    files: tuple[InputFile, ...]

    @property
    def size(self) -> int:
        """Bytes to be read in all; 0 where standard input is among the files."""
        return 0 if any(f.is_stdin for f in self.files) else sum(f.size for f in self.files)

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return sum(file.position for file in self.files)

    def reader(self) -> pa.RecordBatchReader:
        """The batches as Arrow's reader."""
        return pa.RecordBatchReader.from_batches(self.schema, self.batches)


def open_source(files: list[InputFile], hints: Hints) -> Source:
    """Opens the first file, whose schema is that of all; the others follow as they are reached.

    InvalidRequest (invalid_data, schema_mismatch) names the file that does not fit.
    """
    schema, batches = _opened(files[0], hints)
    return Source(schema, _chained(files, schema, batches, hints), tuple(files))


def _chained(
    files: list[InputFile],
    schema: pa.Schema,
    batches: Iterator[pa.RecordBatch],
    hints: Hints,
) -> Iterator[pa.RecordBatch]:
    yield from _read(files[0], batches)
    known = replace(hints, types={field.name: field.type for field in schema})
    for file in files[1:]:
        own, batches = _opened(file, known)
        _check_columns(file, own, files[0], schema)
        for batch in _read(file, batches):
            yield _conformed(batch, schema, file)


def _opened(file: InputFile, hints: Hints) -> Opened:
    try:
        opened: Opened = _FORMATS[file.format](file, hints)
        return opened
    except (pa.lib.ArrowException, OSError) as error:
        raise _unreadable(file, error) from None


def _read(file: InputFile, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except (pa.lib.ArrowException, OSError) as error:
        raise _unreadable(file, error) from None
    file.position = file.size


def _open_parquet(file: InputFile, hints: Hints) -> Opened:
    parquet = pq.ParquetFile(file.open_seekable())

    def batches() -> Iterator[pa.RecordBatch]:
        rows, rows_all = 0, max(parquet.metadata.num_rows, 1)
        for batch in parquet.iter_batches(ROWS_EACH):
            rows += batch.num_rows
            file.position = file.size * rows // rows_all
            yield batch

    return parquet.schema_arrow, batches()


def _open_arrow(file: InputFile, hints: Hints) -> Opened:
    """Arrow's file format or its stream, whichever the first bytes say."""
    if file.sample(6) != b"ARROW1":
        stream = pa.ipc.open_stream(file.open())
        return stream.schema, iter(stream)
    opened = pa.ipc.open_file(file.open_seekable())

    def batches() -> Iterator[pa.RecordBatch]:
        for index in range(opened.num_record_batches):
            yield opened.get_batch(index)
            file.position = file.size * (index + 1) // opened.num_record_batches

    return opened.schema, batches()


_FORMATS: dict[str, Any] = {
    "csv": open_delimited,
    "json": open_json_lines,
    "parquet": _open_parquet,
    "arrow": _open_arrow,
}


def _check_columns(file: InputFile, own: pa.Schema, first: InputFile, schema: pa.Schema) -> None:
    for here, there, other, names in (
        (file, first, own.names, schema.names),
        (first, file, schema.names, own.names),
    ):
        for name in names:
            if name not in other:
                raise InvalidRequest(
                    f"{here} has no column '{name}', which {there} has. Files of one put have the "
                    "same columns; put the others by themselves.",
                    code=ErrorCode.SCHEMA_MISMATCH,
                )


def _conformed(batch: pa.RecordBatch, schema: pa.Schema, file: InputFile) -> pa.RecordBatch:
    if batch.schema.equals(schema):
        return batch
    columns = []
    for field in schema:
        column = batch.column(field.name)
        try:
            columns.append(column.cast(field.type))
        except (pa.lib.ArrowInvalid, pa.lib.ArrowNotImplementedError):
            raise InvalidRequest(
                f"The column '{field.name}' of {file} is {column.type}; in the first file it is "
                f"{field.type}, and not every value fits.",
                code=ErrorCode.SCHEMA_MISMATCH,
            ) from None
    return pa.record_batch(columns, schema=schema)


def _unreadable(file: InputFile, error: Exception) -> InvalidRequest:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return InvalidRequest(
        f"{file} cannot be read as {file.format}: {reason.splitlines()[0].rstrip('.')}.",
        code=ErrorCode.INVALID_DATA,
    )
