"""A DoPut from its descriptor to its last acknowledgement."""

from __future__ import annotations

from typing import Any

from pyarrow import flight

from flight_server import operations
from flight_server.bodies.answers import acknowledged, encoded
from flight_server.model import Commit, IngestRequest, TableRef
from flight_server.operations import Call, Services
from flight_server.wire.guard import described
from flight_server.wire.incoming import Incoming


def put(
    services: Services,
    call: Call,
    table: TableRef,
    request: IngestRequest,
    incoming: Incoming,
    writer: flight.FlightMetadataWriter,
) -> None:
    """Ingests the stream and acknowledges each commit, the last one before it returns."""
    told = _Acknowledgements(writer)
    try:
        batches = incoming.batches()
        commit = operations.ingest(services, call, table, request, batches, told.acknowledge)
    except Exception as error:
        # What broke the stream is the reason; that the engine then failed is its consequence.
        reason = incoming.error or error
        incoming.close(lambda: told.fail(reason, call.request_id))
        raise reason from None
    if told.last != commit:
        told.acknowledge(commit)
    incoming.drain()


class _Acknowledgements:
    """Tells a client of commits. `last` is the last it was, or should have been, told of."""

    def __init__(self, writer: flight.FlightMetadataWriter) -> None:
        self._writer = writer
        self.last: Commit | None = None

    def acknowledge(self, commit: Commit) -> None:
        """Sends the commit; a client that has left is no reason to undo what is durable."""
        self.last = commit
        self._send(acknowledged(commit))

    def fail(self, reason: Exception, request_id: str) -> None:
        """Tells a client that the put has failed, while its call cannot be ended yet.

        A client that waits for an acknowledgement sends nothing, and pyarrow cannot end a call
        whose stream is being read.
        """
        self._send({"error": described(reason, request_id).as_json(request_id)})

    def _send(self, answer: dict[str, Any]) -> None:
        tell(self._writer, encoded(answer))


def tell(writer: flight.FlightMetadataWriter, answer: bytes) -> None:
    """Sends an answer to a DoPut. That a client has left is no failure of what was done for it."""
    try:
        writer.write(answer)
    except (flight.FlightError, OSError):
        # The next read of the stream finds out that nobody is there.
        return
