"""What a client of the killed server says to it: raw pyarrow.flight and JSON, nothing of ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import flight

CALL_SECONDS_MAX = 60
# How a call fails whose server is not there, or stops being there.
GONE = (flight.FlightError, pa.ArrowException, OSError)
# What a living server may answer and mean "later"; anything else it says is a bug.
LATER = ("unavailable", "conflict", "cancelled")


class Line:
    """One client's connection."""

    def __init__(self, url: str, key: str) -> None:
        self._flight = flight.connect(url)
        headers = [(b"authorization", f"Bearer {key}".encode())]
        self._options = flight.FlightCallOptions(timeout=CALL_SECONDS_MAX, headers=headers)

    def put(
        self,
        ingest: dict[str, Any],
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        heard: Callable[[dict[str, Any]], None],
    ) -> None:
        """Sends the batches and hears every acknowledgement, also those before an error."""
        command = json.dumps({"ingest": ingest}).encode()
        descriptor = flight.FlightDescriptor.for_command(command)
        writer, acknowledgements = self._flight.do_put(descriptor, schema, self._options)
        with writer:
            for batch in batches:
                writer.write_batch(batch)
            writer.done_writing()
            while (buffer := acknowledgements.read()) is not None:
                heard(json.loads(buffer.to_pybytes()))

    def read(self, table: str, columns: Sequence[str], **scan: Any) -> pa.Table:
        ticket = json.dumps({"scan": {"table": table, "columns": list(columns), **scan}})
        return self._flight.do_get(flight.Ticket(ticket.encode()), self._options).read_all()

    def act(self, name: str, **body: Any) -> Any:
        action = flight.Action(name, json.dumps(body).encode())
        (answer,) = list(self._flight.do_action(action, self._options))
        return json.loads(answer.body.to_pybytes())

    def close(self) -> None:
        self._flight.close()


def said(error: BaseException) -> str | None:
    """The code that a living server gave as the reason; None where there was none."""
    details = getattr(error, "extra_info", b"") or b""
    # The error shape is JSON inside a protobuf message: looked for, so that nothing of ours reads.
    start = details.find(b'{"code"')
    if start < 0:
        return None
    shape, _ = json.JSONDecoder().raw_decode(details[start:].decode("utf-8", "replace"))
    code: str = shape["code"]
    return code
