"""Arrow's IPC stream as bytes, in both directions.

Out: a message a batch, handed over as it lies in memory. How a stream fails in its middle no
standard says; ours ends with a batch without rows whose metadata carries the error, and without
the mark of a stream's end.

In: every batch is validated in full before anything else touches it, because a crafted one can
crash the process, and a stream that ends without its mark has been cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from flight_server.engines.stream import Batches, BatchStream
from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.formats.batches import holds_dictionary

# The key under which a last batch's metadata carries the error.
ERROR = "pixelflight:error"
END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
# What Arrow's files begin with, as far as a reader of streams reads first.
FILE_MARK = b"ARRO"
_ALIGNED = pa.default_cpu_memory_manager()


class ArrowWriter:
    """Writes one stream piece by piece."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._head = memoryview(schema.serialize())
        self._repeated = len(self._head)
        self._sink = _Sink()
        # Dictionaries are messages of their own, which only a writer knows when to send.
        needs_writer = any(holds_dictionary(field.type) for field in schema)
        self._writer = pa.ipc.new_stream(self._sink, schema) if needs_writer else None

    def begin(self) -> list[Any]:
        """The schema."""
        return [self._head]

    def rows(self, batch: pa.RecordBatch) -> list[Any]:
        """The batch."""
        if self._writer is None:
            return [memoryview(batch.serialize())]
        self._writer.write_batch(batch)
        [piece] = self._sink.taken()
        # A writer writes the schema with its first batch only: it has been sent.
        start, self._repeated = self._repeated, 0
        return [memoryview(piece)[start:]]

    def end(self) -> list[Any]:
        """The mark of the end."""
        return [END]

    def error(self, error: dict[str, Any]) -> list[Any]:
        """A batch without rows that carries the error; nothing comes after it."""
        sink = pa.BufferOutputStream()
        empty = self._schema.empty_table().to_batches()
        batch = empty[0] if empty else pa.RecordBatch.from_pylist([], self._schema)
        with pa.ipc.new_stream(sink, self._schema) as writer:
            writer.write_batch(batch, custom_metadata={ERROR: json.dumps(error)})
        whole = memoryview(sink.getvalue())
        return [whole[len(self._head) : -len(END)]]


class _Sink:
    """Where a writer of Arrow's puts its pieces."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> int:
        """Keeps a piece."""
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> list[Any]:
        """The pieces since the last time, as one."""
        pieces, self._pieces = self._pieces, []
        return [b"".join(pieces)]

    def flush(self) -> None:
        """There is nothing to flush."""

    def close(self) -> None:
        """Nothing comes any more."""
        self.closed = True


def read_arrow(source: Any) -> Batches:
    """The stream that a source of bytes holds, each batch checked.

    InvalidRequest (invalid_data) where it is none, is cut, or a batch is corrupt. `source.read`
    may give less than what it was asked for at the end of the bytes only.
    """
    watched = _Watched(source)
    try:
        reader = pa.ipc.open_stream(pa.PythonFile(watched, mode="r"))
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError) as error:
        watched.raise_own()
        if watched.first[: len(FILE_MARK)] == FILE_MARK:
            raise _invalid(
                "The body is an Arrow file, and a stream is needed: pyarrow.ipc.new_stream and "
                "polars' write_ipc_stream write one."
            ) from None
        raise _invalid(f"The body does not begin with an Arrow schema: {_line(error)}") from None
    return BatchStream(reader.schema, _checked(reader, watched))


def _checked(reader: Any, watched: _Watched) -> Iterator[pa.RecordBatch]:
    number = 0
    while True:
        number += 1
        try:
            batch = reader.read_next_batch().copy_to(_ALIGNED)
            batch.validate(full=True)
        except StopIteration:
            if watched.is_at_end:
                raise _invalid(
                    f"The Arrow stream is cut after {number - 1} batches: the mark of its end is "
                    "missing. Nothing was written."
                ) from None
            return
        except (pa.ArrowException, OSError, ValueError, KeyError, IndexError) as error:
            watched.raise_own()
            if watched.is_at_end:
                raise _invalid(
                    f"The Arrow stream is cut within batch {number}. Nothing was written."
                ) from None
            raise _invalid(f"Batch {number} of the stream is corrupt: {_line(error)}") from None
        if batch.num_rows:
            yield batch


class _Watched:
    """A source that remembers whether its end was met, and what it raised."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._error: BaseException | None = None
        self.first = b""
        self.is_at_end = False
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """The next bytes; fewer at the end."""
        try:
            data: bytes = self._source.read(size)
        except BaseException as error:
            # Arrow passes on the text of an error only.
            self._error = error
            raise
        self.first = self.first or data
        self.is_at_end = self.is_at_end or len(data) < size
        return data

    def raise_own(self) -> None:
        """Raises what the source raised, if it did."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """The source is closed by whoever opened it."""
        self.closed = True


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].removesuffix(".")[:200] + "."


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code=ErrorCode.INVALID_DATA)
