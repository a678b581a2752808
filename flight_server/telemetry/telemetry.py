"""What a door does when a request begins and when it has ended."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from flight_server.settings import Settings
from flight_server.telemetry.metrics import Metrics
from flight_server.telemetry.requests import ServedRequest, serving
from flight_server.telemetry.tracing import Tracing, tracing_of

access_log = logging.getLogger("flight_server.access")


class Telemetry:
    """What one server tells of itself."""

    def __init__(self, tracing: Tracing | None = None, logs_access: bool = False) -> None:
        self.metrics = Metrics()
        self.tracing = tracing
        self.logs_access = logs_access

    @classmethod
    def of(cls, settings: Settings) -> Telemetry:
        """As the settings want it."""
        return cls(tracing_of(settings), settings.access_log)

    def begin(
        self, door: str, request_id: str, operation: str, headers: Mapping[str, str]
    ) -> ServedRequest:
        """A request, which everything in this context works for from here on.

        Of its headers, `traceparent` and `tracestate` are looked at.
        """
        request = ServedRequest(door, request_id, operation)
        serving.set(request)
        self.metrics.begin(request)
        if self.tracing is not None:
            self.tracing.begin(request, headers)
        return request

    def end(self, request: ServedRequest) -> None:
        """The request has ended; it is ended once."""
        self.metrics.end(request)
        if self.tracing is not None:
            self.tracing.end(request)
        if self.logs_access:
            _log(request)

    def close(self) -> None:
        """Sends what has not been sent."""
        if self.tracing is not None:
            self.tracing.close()


def _log(request: ServedRequest) -> None:
    """One line; in JSON each part is a field of its own. Names and values are in none."""
    fields = {
        "door": request.door,
        "operation": request.operation,
        "code": request.code,
        "peer": request.peer,
        "milliseconds": round(request.seconds * 1000, 1),
        "rows_in": request.rows_in,
        "rows_out": request.rows_out,
        "bytes_in": request.bytes_in,
        "bytes_out": request.bytes_out,
    }
    token = serving.set(request)
    try:
        text = " ".join(f"{name}={value}" for name, value in fields.items())
        access_log.info("%s", text, extra={"fields": fields})
    finally:
        serving.reset(token)
