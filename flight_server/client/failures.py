"""What went wrong, read back from the wire: Flight's exceptions become the errors of `errors`.

A server of ours puts a serialized `google.rpc.Status` into the exception's `extra_info`, and the
JSON error shape, as a `StringValue`, into its details. What carries none was not said by a server
of ours: an address that nobody answers, a broken connection, a server of another make.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc.status_pb2 import Status
from pyarrow import flight

from flight_server.errors import (
    AlreadyExists,
    Cancelled,
    Conflict,
    ErrorCode,
    Forbidden,
    Internal,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PixelflightError,
    TimedOut,
    Unauthenticated,
    Unavailable,
    Unsupported,
)

_CLASSES: dict[int, type[PixelflightError]] = {
    1: Cancelled,
    3: InvalidRequest,
    4: TimedOut,
    5: NotFound,
    6: AlreadyExists,
    7: Forbidden,
    8: LimitExceeded,
    9: Conflict,
    10: Conflict,
    12: Unsupported,
    13: Internal,
    14: Unavailable,
    16: Unauthenticated,
}

_FLIGHT_CLASSES: tuple[tuple[type[Exception], type[PixelflightError]], ...] = (
    (flight.FlightUnauthenticatedError, Unauthenticated),
    (flight.FlightUnauthorizedError, Forbidden),
    (flight.FlightTimedOutError, TimedOut),
    (flight.FlightCancelledError, Cancelled),
    (pa.lib.ArrowNotImplementedError, Unsupported),
    (pa.lib.ArrowInvalid, InvalidRequest),
)

# What Flight says before and behind the words of a server.
_SAID = re.compile(r"Flight returned [\w ]+ error, with message: ")
_DETAIL = ". Detail: "


@contextlib.contextmanager
def translated(url: str) -> Iterator[None]:
    """Turns what Flight raises in the block into our errors."""
    try:
        yield
    except (pa.lib.ArrowException, OSError) as error:
        raise rebuilt(error, url) from None


def rebuilt(error: Exception, url: str) -> PixelflightError:
    """The error that the server raised, or one for what kept it from answering."""
    shape = _shape(getattr(error, "extra_info", None))
    if shape is not None:
        return from_json(shape)
    text = _first_sentence(str(error))
    if isinstance(error, flight.FlightUnavailableError):
        return Unavailable(_unreachable(url, str(error)))
    if text == "FlightClient is closed":
        return InvalidRequest(f"This client of {url} is closed. Connect again.")
    for kind, ours in _FLIGHT_CLASSES:
        if isinstance(error, kind) and _was_sent(error):
            return ours(f"The server at {url} answered: {text}")
        if isinstance(error, kind):
            return ours(f"What was to go to {url} cannot be sent: {text}")
    return Internal(f"The exchange with {url} broke: {text}")


def _was_sent(error: Exception) -> bool:
    """Whether an error came over the wire; Arrow raises the same classes on this side."""
    text = str(error)
    return isinstance(error, flight.FlightError) or bool(_SAID.match(text)) or _DETAIL in text


def from_json(shape: dict[str, Any]) -> PixelflightError:
    """The error of one JSON error shape; a code that we do not know becomes `internal`."""
    code = ErrorCode.__members__.get(str(shape.get("code", "")).upper(), ErrorCode.INTERNAL)
    details = shape.get("details")
    error = _CLASSES[code.grpc](
        str(shape.get("message", code.meaning)),
        code=code,
        details=details if isinstance(details, dict) else {},
    )
    error.request_id = str(shape.get("request_id", ""))
    return error


def _shape(extra_info: bytes | None) -> dict[str, Any] | None:
    """The JSON error shape in a serialized Status, from whichever of its details holds it."""
    if not extra_info:
        return None
    try:
        status = Status.FromString(extra_info)
    except DecodeError:
        return None
    for detail in status.details:
        text = StringValue()
        if not detail.Unpack(text):
            continue
        with contextlib.suppress(ValueError):
            shape = json.loads(text.value)
            if isinstance(shape, dict):
                return shape
    return None


def _unreachable(url: str, text: str) -> str:
    """Why nobody answered, as far as it can be told, and what to do."""
    if "SSL" in text or "TLS" in text or "certificate" in text.lower():
        return (
            f"No secure connection to {url}: the certificates do not agree. Use grpc:// for a "
            "server without TLS; name its authority with tls_root_certificates otherwise."
        )
    if "refused" in text:
        return f"No server answers at {url}. Start one with 'pixelflight serve', or set the URL."
    if any(word in text for word in ("DNS", "resolution", "resolving")):
        return f"The host of {url} is not known. Check the URL."
    if "closed" in text.lower() or "reset" in text.lower():
        if "failed to connect" not in text:
            return (
                f"The connection to {url} broke in the middle of a call: the server stopped, or "
                "the network failed. Ask again; a put with a token counts once."
            )
        if url.startswith("grpc://"):
            return f"The server at {url} closed the connection. If it speaks TLS, use grpc+tls://."
    return f"The server at {url} is not available: {_first_sentence(text)}"


def _first_sentence(text: str) -> str:
    """What was said, without the debugging context that gRPC and Arrow append."""
    text = text.split(_DETAIL)[0].split(". gRPC client debug context")[0]
    text = _SAID.sub("", text, count=1)
    return text.splitlines()[0][:300] if text else "no reason was given"
