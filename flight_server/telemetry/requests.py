"""The request that is being served, as far as measures, traces and log lines know it.

A door sets it where a request begins. It follows the request through threads that are started
with a copy of their context, which Starlette's are.
"""

from __future__ import annotations

import logging
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from flight_server.errors import ErrorCode, PixelflightError

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

OK = "ok"


class Amounts(Protocol):
    """Rows and bytes, as whoever counts them has them."""

    rows_in: int
    rows_out: int
    bytes_in: int
    bytes_out: int


class ServedRequest:
    """One request from its first header to its last byte.

    `door` is `flight`, `flight_sql` or `http`; `entered` is `flight` for both of the former, which
    are told apart only when a message is read. `operation` is one of a bounded number of names: a
    route's operationId or an RPC with its command. `code` is `ok` or the code of an error. Rows and
    bytes are counted by the doors.
    """

    __slots__ = (
        "began",
        "bytes_in",
        "bytes_out",
        "code",
        "door",
        "entered",
        "id",
        "operation",
        "peer",
        "principal",
        "rows_in",
        "rows_out",
        "span",
        "status",
        "streams",
        "tracer",
    )

    def __init__(self, door: str, request_id: str, operation: str = "") -> None:
        self.door = self.entered = door
        self.id = request_id
        self.operation = operation
        self.principal = ""
        self.peer = ""
        self.code = OK
        # Of HTTP's answer; 0 before there is one, and over Flight.
        self.status = 0
        self.began = time.perf_counter()
        self.rows_in = self.rows_out = self.bytes_in = self.bytes_out = 0
        # Under which door it is counted as an open stream, if it is one.
        self.streams = ""
        self.span: Span | None = None
        self.tracer: Tracer | None = None

    @property
    def seconds(self) -> float:
        """How long it has been served by now."""
        return time.perf_counter() - self.began

    def moved(self, amounts: Amounts) -> None:
        """Takes over how much was counted of it."""
        self.rows_in, self.rows_out = amounts.rows_in, amounts.rows_out
        self.bytes_in, self.bytes_out = amounts.bytes_in, amounts.bytes_out

    def fail(self, error: BaseException) -> None:
        """It ends with this error, unless it has ended with another before."""
        if self.code == OK:
            code = error.code if isinstance(error, PixelflightError) else ErrorCode.INTERNAL
            self.code = code.text


serving: ContextVar[ServedRequest | None] = ContextVar("serving", default=None)


def serving_now() -> ServedRequest | None:
    """The request that this thread works for, where it works for one."""
    return serving.get()


class RequestFields(logging.Filter):
    """Gives every record the request it belongs to: `request_id`, `principal`, and `request`.

    The last is made for lines of text: ` [id principal]`, or nothing outside of a request.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets everything through."""
        request = serving.get()
        request_id, principal = (request.id, request.principal) if request else ("", "")
        who = f"{request_id} {principal}".strip()
        record.request_id, record.principal = request_id, principal
        record.request = f" [{who}]" if who else ""
        return True
