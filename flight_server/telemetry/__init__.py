"""What the server tells of itself: metrics, traces, and which request a log line belongs to.

A room below engines and operations, so that both can say what they are doing; it knows none of
them. Nothing here holds rows, SQL or secrets.
"""

from flight_server.telemetry.metrics import Metrics
from flight_server.telemetry.requests import OK, RequestFields, ServedRequest, serving, serving_now
from flight_server.telemetry.telemetry import Telemetry
from flight_server.telemetry.tracing import TRACE_HEADERS, StreamSpan, span, stream_span, traced

__all__ = [
    "OK",
    "TRACE_HEADERS",
    "Metrics",
    "RequestFields",
    "ServedRequest",
    "StreamSpan",
    "Telemetry",
    "serving",
    "serving_now",
    "span",
    "stream_span",
    "traced",
]
