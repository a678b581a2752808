"""Errors on their way to a client: coded, in one shape, without a traceback, a path or our SQL.

A client gets a message for people and, in the trailer `grpc-status-details-bin` (pyarrow:
`error.extra_info`, ADBC: `error.details`), a serialized `google.rpc.Status`. Its details are

- `google.rpc.ErrorInfo`: `reason` is our code in capitals, `domain` is "pixelflight", and the
  metadata hold `request_id` and `retryable`: what a client in any language can read;
- `google.protobuf.StringValue`: the error shape of every protocol as JSON,
  `{"code", "message", "retryable", "request_id", "details"}`.

pyarrow lets a server choose among seven gRPC codes. Errors of the others are sent as UNKNOWN; the
code within the details must be the one that was sent, or ADBC takes the error for damaged.
CANCELLED could be sent, but pyarrow's `read_all` makes a KeyboardInterrupt of it. NOT_FOUND and
INVALID_ARGUMENT can be sent by other exceptions, whose details pyarrow's client would drop: they
go to every client but pyarrow's.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable
from typing import Any, ClassVar

from google.protobuf import any_pb2, wrappers_pb2
from google.rpc import error_details_pb2, status_pb2
from pyarrow import flight

from flight_server.errors import ErrorCode, Internal, PixelflightError

DOMAIN = "pixelflight"
# A gRPC client takes 8 KiB of metadata, in which the message stands four times, up to three
# bytes long for one of its own.
MESSAGE_BYTES_MAX = 600
DETAILS_BYTES_MAX = 1000

_UNKNOWN, _UNIMPLEMENTED = 2, 12
_CLASSES: dict[int, type[flight.FlightError]] = {
    ErrorCode.TIMED_OUT.grpc: flight.FlightTimedOutError,
    ErrorCode.FORBIDDEN.grpc: flight.FlightUnauthorizedError,
    ErrorCode.INTERNAL.grpc: flight.FlightInternalError,
    ErrorCode.UNAVAILABLE.grpc: flight.FlightUnavailableError,
    ErrorCode.UNAUTHENTICATED.grpc: flight.FlightUnauthenticatedError,
}

logger = logging.getLogger(__name__)


def described(error: BaseException, request_id: str) -> PixelflightError:
    """The error as one a client may see; what is none of ours is a bug, and is logged as one."""
    if isinstance(error, PixelflightError):
        return error
    logger.error("A bug in request %s", request_id, exc_info=error)
    return Internal(f"internal error (id={request_id})")


def flight_error(error: BaseException, request_id: str) -> flight.FlightError:
    """The exception to raise in pyarrow's presence."""
    known = described(error, request_id)
    kind = _CLASSES.get(known.code.grpc, flight.FlightServerError)
    sent = known.code.grpc if known.code.grpc in _CLASSES else _UNKNOWN
    return kind(_sentence(known.message), status(known, request_id, sent))


def status(error: PixelflightError, request_id: str, grpc_code: int) -> bytes:
    """The serialized `google.rpc.Status` of an error."""
    shape = error.as_json(request_id) | {"message": _shortened(error.message)}
    if len(_json(shape["details"])) > DETAILS_BYTES_MAX:
        shape["details"] = {}
    info = error_details_pb2.ErrorInfo(
        reason=error.code.name,
        domain=DOMAIN,
        metadata={"request_id": request_id, "retryable": _json(error.code.retryable)},
    )
    details = []
    for message in (info, wrappers_pb2.StringValue(value=_json(shape))):
        packed = any_pb2.Any()
        packed.Pack(message)
        details.append(packed)
    found = status_pb2.Status(code=grpc_code, message=shape["message"], details=details)
    return bytes(found.SerializeToString())


def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """An RPC that opens its visit, and raises nothing but what a client may see."""

    @functools.wraps(method)
    def rpc(self: Any, context: flight.ServerCallContext, *arguments: Any) -> Any:
        visit = self.visit(context)
        try:
            return visit.context.run(_entered, method, self, visit, context, arguments)
        except Exception as error:
            known = _noted(error, visit)
            if _is_quiet(known, visit):
                raise _quietly(context, known, visit.request_id) from None
            raise flight_error(known, visit.request_id) from None

    return rpc


def quietly_guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """As `guarded`, for the RPC in which pyarrow turns FlightErrors into tracebacks as well."""

    @functools.wraps(method)
    def rpc(self: Any, context: flight.ServerCallContext, *arguments: Any) -> Any:
        visit = self.visit(context)
        try:
            return visit.context.run(_entered, method, self, visit, context, arguments)
        except Exception as error:
            known = _noted(error, visit)
            raise _quietly(context, known, visit.request_id) from None

    return rpc


def _entered(
    method: Callable[..., Any],
    server: Any,
    visit: Any,
    context: flight.ServerCallContext,
    arguments: tuple[Any, ...],
) -> Any:
    visit.enter(context)
    return method(server, visit, *arguments)


def _noted(error: Exception, visit: Any) -> PixelflightError:
    """The error as the client will see it; metrics and the audit trail are told of it as well."""
    known: PixelflightError = visit.context.run(described, error, visit.request_id)
    visit.served.fail(known)
    visit.context.run(visit.told, known)
    return known


class _Quiet(Exception):
    """An exception that keeps its traceback to itself.

    pyarrow sends the message and the formatted traceback of whatever is no FlightError. Where
    formatting fails it sends the class's name instead, so formatting is made to fail; and it
    picks the gRPC code by the exception's base class.
    """

    grpc: ClassVar[int] = _UNKNOWN

    @property
    def __cause__(self) -> BaseException | None:
        raise AttributeError("a quiet exception is not to be formatted")

    @__cause__.setter
    def __cause__(self, cause: BaseException | None) -> None:
        """Nothing: `raise … from None` is all that is ever said."""

    def __str__(self) -> str:
        """The message as it is: a KeyError would put quotes around it."""
        return str(self.args[0])


_QUIET_BASES: dict[int, type[Exception]] = {
    ErrorCode.NOT_FOUND.grpc: KeyError,
    ErrorCode.INVALID_REQUEST.grpc: ValueError,
    _UNIMPLEMENTED: NotImplementedError,
}


def _quiet(error: PixelflightError) -> _Quiet:
    code = error.code
    base = _QUIET_BASES.get(code.grpc)
    bases = (_Quiet,) if base is None else (_Quiet, base)
    sent = _UNKNOWN if base is None else code.grpc
    kind: type[_Quiet] = type(code.text, bases, {"grpc": sent})
    return kind(_sentence(error.message))


def _is_quiet(error: PixelflightError, visit: Any) -> bool:
    """Whether the client is to get the error's own gRPC code, which a FlightError cannot have.

    Whatever UNIMPLEMENTED is, ADBC looks for it when it tries what a server can do. The others
    are for clients that read codes, since pyarrow raises its KeyError for NOT_FOUND.
    """
    grpc = error.code.grpc
    return grpc == _UNIMPLEMENTED or (grpc in _QUIET_BASES and visit.reads_codes)


def _quietly(
    context: flight.ServerCallContext, error: PixelflightError, request_id: str
) -> Exception:
    quiet = _quiet(error)
    context.add_trailer("grpc-status-details-bin", status(error, request_id, quiet.grpc))
    return quiet


def _shortened(message: str) -> str:
    # Half of a surrogate pair would make an error of telling the error.
    encoded = message.encode(errors="replace")
    if len(encoded) <= MESSAGE_BYTES_MAX:
        return encoded.decode()
    return encoded[: MESSAGE_BYTES_MAX - 3].decode(errors="ignore") + "…"


def _sentence(message: str) -> str:
    """The message without its full stop: pyarrow puts its own behind it, and a word of detail."""
    return _shortened(message).removesuffix(".")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
