"""One request to a process that holds Pixeltable, and its answer, over one connected socket.

Each is a line of JSON. Where the line says that rows follow, they come as one Arrow IPC stream,
with another line after its end marker: whatever goes wrong in the middle of rows is told there.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from flight_server import errors
from flight_server.errors import ErrorCode, PixelflightError, Unavailable

LINE_BYTES_MAX = 64 * 2**20
_BUFFER_BYTES = 2**20


class Channel:
    """One end of the socket. It may be shut from another thread, and is used by one otherwise.

    `told` hears of every line that comes.
    """

    def __init__(
        self,
        connected: socket.socket,
        told: Callable[[Mapping[str, Any]], object] = lambda message: None,
    ) -> None:
        self._socket = connected
        self._told = told
        self._incoming = connected.makefile("rb", _BUFFER_BYTES)
        self._outgoing = connected.makefile("wb", _BUFFER_BYTES)

    def send(self, message: Mapping[str, Any]) -> None:
        """A line. OSError where the other end is gone."""
        self._outgoing.write(json.dumps(message).encode() + b"\n")
        self._outgoing.flush()

    def receive(self) -> dict[str, Any]:
        """The next line. Unavailable where the other end is gone."""
        try:
            line = self._incoming.readline(LINE_BYTES_MAX)
        except OSError as error:
            raise gone() from error
        if not line.endswith(b"\n"):
            raise gone()
        message: dict[str, Any] = json.loads(line)
        self._told(message)
        return message

    def send_rows(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        """Rows, and a line that says that they were all. OSError where the other end is gone."""
        with pa.ipc.new_stream(pa.PythonFile(self._outgoing, "w"), schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        self.send({})

    def rows(self) -> pa.RecordBatchReader:
        """The rows that come next; what follows them is read once they are at their end."""
        return pa.ipc.open_stream(pa.PythonFile(self._incoming, "r"))

    def is_shut(self) -> bool:
        """Whether the other end is closed, asked where nothing more is to come from it."""
        try:
            return not self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def shut(self) -> None:
        """Ends what either end waits for."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The other end was quicker.
            return

    def close(self) -> None:
        """Gives the socket back; a second time does nothing."""
        self.shut()
        for file in (self._incoming, self._outgoing):
            try:
                file.close()
            except OSError:
                # What was not sent yet is of no use to anybody.
                continue
        self._socket.close()


def failure_of(error: PixelflightError) -> dict[str, Any]:
    """An error as it stands in a line."""
    return {
        "kind": type(error).__name__,
        "code": error.code.name,
        "message": error.message,
        "details": error.details,
    }


def raise_failure(message: Mapping[str, Any]) -> None:
    """Raises the error that a line tells of, if it does."""
    told = message.get("failure")
    if told is not None:
        kind = getattr(errors, told["kind"])
        raise kind(told["message"], code=ErrorCode[told["code"]], details=told["details"])


def received_rows(channel: Channel, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The rows of an answer, and in the end the error that they ended with, if they did."""
    try:
        yield from reader
    except (pa.ArrowInvalid, OSError) as error:
        raise gone() from error
    raise_failure(channel.receive())


def gone() -> Unavailable:
    """The process has ended before its answer did."""
    return Unavailable(
        "The process that holds Pixeltable ended before it had answered. Another one is started "
        "for the next request: send this one again."
    )
