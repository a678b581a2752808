"""What one call moves: rows and bytes, counted batch by batch and held against its limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from operator import attrgetter

import pyarrow as pa

from flight_server.engines.stream import Batches, BatchStream
from flight_server.errors import ErrorCode, LimitExceeded

# A long stream is told of while it runs, each time that it has moved so much.
TELL_BYTES = 64 * 2**20


@dataclass
class Usage:
    """Amounts of what was used. Bytes are those of Arrow's buffers, not of the wire."""

    requests: int = 0
    rows_in: int = 0
    rows_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    errors: int = 0

    def add(self, other: Usage) -> None:
        """Adds the other's amounts to these."""
        self.requests += other.requests
        self.rows_in += other.rows_in
        self.rows_out += other.rows_out
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out
        self.errors += other.errors

    def since(self, before: Usage) -> Usage:
        """What these amounts are more than those of before."""
        return Usage(
            *(mine - theirs for mine, theirs in zip(_values(self), _values(before), strict=True))
        )


AMOUNTS = tuple(field.name for field in fields(Usage))
_values = attrgetter(*AMOUNTS)


@dataclass(frozen=True)
class Sizes:
    """How much one call may bring and take away; None is any amount."""

    request_rows_max: int | None = None
    request_bytes_max: int | None = None
    result_rows_max: int | None = None
    result_bytes_max: int | None = None


class Meter:
    """Counts for one call. `tell` takes what has been counted since the last time.

    `stream` gives the call a place among the streams of its principal while a block runs, or
    raises LimitExceeded.
    """

    def __init__(
        self,
        sizes: Sizes | None = None,
        tell: Callable[[Usage], object] | None = None,
        stream: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._sizes = sizes
        self._tell = tell
        self.stream = stream
        self.total = Usage(requests=1)
        # What has been told of it, and at how many bytes that is due again.
        self._told: Usage | None = None
        self._due = TELL_BYTES

    def sent(self, batch: pa.RecordBatch) -> None:
        """A batch is about to leave. LimitExceeded (too_large) where it is too much."""
        total, sizes = self.total, self._sizes
        total.rows_out += batch.num_rows
        total.bytes_out += batch.nbytes
        if sizes is not None:
            _check("result", "rows", total.rows_out, sizes.result_rows_max)
            _check("result", "bytes", total.bytes_out, sizes.result_bytes_max)
        if total.bytes_out >= self._due:
            self._due = total.bytes_out + TELL_BYTES
            self.end()

    def received(self, rows: int, size: int) -> None:
        """So many rows have come. LimitExceeded (too_large)."""
        total, sizes = self.total, self._sizes
        total.rows_in += rows
        total.bytes_in += size
        if sizes is not None:
            _check("request", "rows", total.rows_in, sizes.request_rows_max)
            _check("request", "bytes", total.bytes_in, sizes.request_bytes_max)
        if total.bytes_in >= self._due:
            self._due = total.bytes_in + TELL_BYTES
            self.end()

    def wrote(self, rows: int) -> None:
        """So many rows have been made here by a statement: they are in, whatever the limit."""
        self.total.rows_in += rows

    def failed(self) -> None:
        """The call has ended in an error; a second one does not count."""
        self.total.errors = 1

    def end(self) -> None:
        """Tells of all that has not been told yet; a second time does nothing."""
        if self._tell is None:
            return
        total, told = replace(self.total), self._told
        self._told = total
        if told is None:
            self._tell(total)
        elif told != total:
            self._tell(total.since(told))


class Counted:
    """Batches on their way in, counted. `error` is what the meter had against them."""

    def __init__(self, batches: Batches, meter: Meter) -> None:
        self._batches = batches
        self._meter = meter
        self.error: LimitExceeded | None = None

    def stream(self) -> Batches:
        """The batches, to be read once."""
        return BatchStream(self._batches.schema, self._counted(), self._batches.close)

    def _counted(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            try:
                self._meter.received(batch.num_rows, batch.nbytes)
            except LimitExceeded as error:
                # Kept because an engine that reads the stream through C sees only its text.
                self.error = error
                raise
            yield batch


def _check(what: str, unit: str, amount: int, most: int | None) -> None:
    if most is not None and amount > most:
        advice = "Send it in parts." if what == "request" else "Ask for less, or for parts of it."
        raise LimitExceeded(
            f"The {what} is larger than the {most} {unit} that one may have. {advice}",
            code=ErrorCode.TOO_LARGE,
            details={"limit": most, "remaining": 0, "unit": unit},
        )
