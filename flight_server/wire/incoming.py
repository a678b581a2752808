"""The batches of one DoPut, checked before anything else touches them.

Each is copied to aligned memory, because what gRPC hands over is not aligned, and validated in
full, because a crafted one can crash the process. What ends too early raises: gRPC tells the
server of a client that died just as of one that has finished.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pyarrow as pa
from pyarrow import flight

from flight_server.bodies.parameters import arrow_message
from flight_server.engines.cancellation import Cancellation
from flight_server.engines.stream import Batches, BatchStream
from flight_server.errors import Cancelled, ErrorCode, InvalidRequest, TimedOut

_ALIGNED = pa.default_cpu_memory_manager()
# What Flight SQL says of columns begins so.
_OF_RESULTS = b"ARROW:FLIGHT:SQL:"
# Metadata of a message without rows: the client gives up. Without it a client whose library can
# only end a stream, as pyarrow's, could not say that what it sent is not all.
ABANDON = b'{"abandon": true}'
# What pyarrow says of a stream that has a descriptor and nothing else.
_NOTHING_SENT = "never sent a data message"


class Incoming:
    """A stream of batches from a client.

    `error` is what ended it early. It is kept because an engine that reads the stream through C
    sees only its text. `may_be_missing` takes a stream in which nothing at all comes after the
    descriptor for one without columns: so clients in Go and Rust send statements.
    """

    def __init__(
        self,
        reader: flight.MetadataRecordBatchReader,
        cancellation: Cancellation,
        may_be_missing: bool = False,
    ) -> None:
        self._reader = reader
        self._cancellation = cancellation
        self.error: Exception | None = None
        self._closed = False
        self._ended = False
        self._reading = threading.Lock()
        self._is_missing = False
        sent = self._read_schema(may_be_missing)
        self.schema = _without_results(sent)
        self._differs = not sent.equals(self.schema, check_metadata=True)

    def batches(self) -> Batches:
        """The batches, to be read once."""
        return BatchStream(self.schema, self._remembering())

    def drain(self) -> None:
        """Reads past what nobody needs, so that the client can finish sending.

        That time is up now is no error: what was asked for is done.
        """
        with suppress(Cancelled, TimedOut):
            while self._next(0) is not None:
                continue

    def close(self, before_waiting: Callable[[], None] = lambda: None) -> None:
        """Nobody reads from here on. Waits for a read that another thread is in the middle of.

        The call must not end before that read does: pyarrow's reader dies with the call. It ends
        when the client sends, finishes or leaves; `before_waiting` can ask the client to.
        """
        self._closed = True
        if not self._reading.acquire(blocking=False):
            before_waiting()
            self._reading.acquire()
        self._reading.release()

    def _remembering(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._checked()
        except Exception as error:
            if not self._closed:
                self.error = error
            raise

    def _checked(self) -> Iterator[pa.RecordBatch]:
        number = 0
        while (batch := self._next(number + 1)) is not None:
            number += 1
            if batch.num_rows:
                yield batch

    def _next(self, number: int) -> pa.RecordBatch | None:
        """The next batch, aligned and validated; None at the end that the client meant."""
        with self._reading:
            if self._closed:
                raise Cancelled("The stream is closed.")
            return self._read(number)

    def _read(self, number: int) -> pa.RecordBatch | None:
        self._cancellation.check()
        if self._is_missing or self._ended:
            return None
        try:
            while (chunk := self._reader.read_chunk()).data is None:
                _heed(chunk.app_metadata)
            batch = chunk.data.copy_to(_ALIGNED)
            batch.validate(full=True)
            if self._differs:
                batch = pa.RecordBatch.from_arrays(batch.columns, schema=self.schema)
        except StopIteration:
            self._cancellation.check(surely=True)
            self._ended = True
            return None
        except flight.FlightError:
            raise self._broken() from None
        except (pa.ArrowException, OSError, ValueError, KeyError, IndexError) as error:
            raise self._refused(error, number) from None
        return batch

    def _read_schema(self, may_be_missing: bool) -> pa.Schema:
        try:
            return self._reader.schema
        except flight.FlightError:
            raise self._broken() from None
        except (pa.ArrowException, OSError, ValueError) as error:
            self._cancellation.check(surely=True)
            if may_be_missing and _NOTHING_SENT in str(error):
                self._is_missing = True
                return pa.schema([])
            raise InvalidRequest(
                f"The stream does not begin with a schema: {arrow_message(error)}.",
                code=ErrorCode.INVALID_DATA,
            ) from None

    def _broken(self) -> Exception:
        self._cancellation.check(surely=True)
        return Cancelled("The stream broke off before its end.")

    def _refused(self, error: Exception, number: int) -> InvalidRequest:
        self._cancellation.check(surely=True)
        message = arrow_message(error)
        if "schema" in message.lower() or "Header-type" in message:
            return InvalidRequest(
                f"The schema changes before batch {number}. A stream has one schema: open another "
                "for other columns.",
                code=ErrorCode.SCHEMA_MISMATCH,
            )
        return InvalidRequest(
            f"Batch {number} of the stream is corrupt: {message}.", code=ErrorCode.INVALID_DATA
        )


def _without_results(schema: pa.Schema) -> pa.Schema:
    """The schema without what Flight SQL says of the columns of a result.

    Whoever writes a result back would otherwise have a table whose columns say that they are
    those of another.
    """
    for place, field in enumerate(schema):
        kept = {k: v for k, v in (field.metadata or {}).items() if not k.startswith(_OF_RESULTS)}
        if len(kept) < len(field.metadata or {}):
            schema = schema.set(place, field.with_metadata(kept))
    return schema


def _heed(metadata: pa.Buffer | None) -> None:
    if metadata is not None and metadata.to_pybytes() == ABANDON:
        raise Cancelled("The client abandoned the stream.")
