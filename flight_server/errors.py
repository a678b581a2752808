"""The one table of error codes, and the errors that carry them.

Everything that can go wrong for a client has a row in `ErrorCode`; every door translates from
this table and from nothing else. Engines and operations raise only what stands here. An exception
that is none of these is a bug: a door logs it and answers with `internal` and an id.

Imports the standard library only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, ClassVar, NamedTuple, Self


class Row(NamedTuple):
    """What one error code means on each protocol.

    `grpc` is the number of a canonical gRPC status code; `retryable` says that the same request,
    sent again unchanged, may succeed.
    """

    http: int
    grpc: int
    retryable: bool
    meaning: str


class ErrorCode(Enum):
    """Every error a client may see. Rows are appended, never changed: they are API."""

    NOT_FOUND = Row(404, 5, False, "The thing named does not exist, or is hidden from you.")
    TABLE_NOT_FOUND = Row(404, 5, False, "No such table, or it is hidden from you.")
    NAMESPACE_NOT_FOUND = Row(404, 5, False, "No such namespace, or it is hidden from you.")
    COLUMN_NOT_FOUND = Row(400, 3, False, "No such column, or it is hidden from you.")
    VERSION_NOT_FOUND = Row(404, 5, False, "No such version, or it has expired.")
    TAG_NOT_FOUND = Row(404, 5, False, "The table has no such tag.")
    CATALOG_NOT_FOUND = Row(404, 5, False, "No engine is mounted under this name.")
    ALREADY_EXISTS = Row(409, 6, False, "Something of this name exists already.")
    INVALID_REQUEST = Row(400, 3, False, "The request is malformed or contradicts itself.")
    INVALID_NAME = Row(400, 3, False, "A name is empty, too long, or holds what names may not.")
    INVALID_DATA = Row(400, 3, False, "A batch is corrupt, or its rows do not fit the table.")
    SCHEMA_MISMATCH = Row(400, 3, False, "Columns or types do not fit the table.")
    INVALID_SQL = Row(400, 3, False, "The SQL does not parse, bind or run.")
    INVALID_TICKET = Row(400, 3, False, "The ticket is forged, damaged, or another principal's.")
    TICKET_EXPIRED = Row(410, 3, False, "The ticket has expired: ask for the flight info again.")
    UNSUPPORTED = Row(501, 12, False, "This server or engine cannot do it.")
    UNSUPPORTED_TYPE = Row(400, 3, False, "Tables cannot hold this Arrow type.")
    CONFLICT = Row(409, 10, True, "Another commit came first: try again.")
    TOKEN_CONFLICT = Row(409, 9, False, "The ingest token was used for other content.")
    LIMIT_EXCEEDED = Row(429, 8, True, "Too much at once: wait and try again.")
    TOO_LARGE = Row(413, 8, False, "The request or its result is over a limit.")
    UNAUTHENTICATED = Row(401, 16, False, "No credential, or one that is not valid.")
    FORBIDDEN = Row(403, 7, False, "The credential does not allow this.")
    TIMED_OUT = Row(504, 4, True, "The deadline passed before the work was done.")
    CANCELLED = Row(499, 1, True, "The client went away or asked to stop.")
    UNAVAILABLE = Row(503, 14, True, "The server is starting, stopping or overloaded.")
    INTERNAL = Row(500, 13, False, "A bug of ours: quote the id.")
    TRANSACTION_NOT_FOUND = Row(404, 5, False, "No such transaction is open, or it was idle.")
    STATEMENT_NOT_FOUND = Row(404, 5, False, "No such prepared statement, or it has expired.")
    ROW_NOT_FOUND = Row(404, 5, False, "The table has no such row, or it is hidden from you.")
    VERSION_CHANGED = Row(412, 9, False, "It was changed after the version that 'If-Match' names.")
    NOT_ACCEPTABLE = Row(406, 3, False, "The answer has none of the forms that 'Accept' names.")
    UNSUPPORTED_MEDIA_TYPE = Row(415, 3, False, "Bodies of this 'Content-Type' are not read.")
    VIEW_UNREADABLE = Row(409, 9, False, "What a view reads is missing, or hidden from you.")
    SNAPSHOT_NOT_FOUND = Row(404, 5, False, "No such named snapshot, or it is hidden from you.")
    CHECK_VIOLATION = Row(422, 3, False, "A row violates a check or a constraint of its table.")
    ADDRESS_REFUSED = Row(403, 7, False, "The server does not connect to this address.")
    JOB_NOT_FOUND = Row(404, 5, False, "No such job or schedule, or it is hidden from you.")
    JOB_OVER = Row(409, 9, False, "The job does not stand where this can be done with it.")
    RANGE_UNSATISFIABLE = Row(416, 3, False, "The file has no such bytes.")
    UPLOAD_NOT_FOUND = Row(404, 5, False, "No such upload, it has expired, or it is another's.")
    OFFSET_CONFLICT = Row(409, 9, False, "The upload does not end where the part begins.")
    MEDIA_UNREADABLE = Row(409, 9, False, "The file that a cell names is gone, or cannot be read.")
    INDEX_NOT_FOUND = Row(404, 5, False, "No such index, or it is hidden from you.")

    @property
    def http(self) -> int:
        """The HTTP status."""
        return self.value.http

    @property
    def grpc(self) -> int:
        """The number of the canonical gRPC status code."""
        return self.value.grpc

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed when it is sent again."""
        return self.value.retryable

    @property
    def meaning(self) -> str:
        """One sentence for the documentation."""
        return self.value.meaning

    @property
    def text(self) -> str:
        """The code as clients see it: `table_not_found`."""
        return self.name.lower()


# Two rows of a NamedTuple enum that are equal would silently become aliases of each other.
assert len(ErrorCode.__members__) == len(list(ErrorCode)), "two error codes share every field"


class PixelflightError(Exception):
    """The base of all errors that a client may see.

    `message` is a sentence for a person: it quotes the offending value and, where possible, says
    the remedy. `details` are JSON values for programs.
    """

    default: ClassVar[ErrorCode] = ErrorCode.INTERNAL
    # Which request it was, as the server told it; set by clients on what came over the wire.
    request_id: str = ""
    # The action that was refused and on what, for the audit trail alone: no client is told.
    refusal: tuple[str, str] | None = None

    def __init__(
        self,
        message: str,
        *,
        code: ErrorCode | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default
        self.details: dict[str, Any] = dict(details or {})

    def refusing(self, action: str, resource: str) -> Self:
        """The same error, saying to the audit trail what it refuses."""
        self.refusal = (action, resource)
        return self

    def as_json(self, request_id: str) -> dict[str, Any]:
        """The error shape of every protocol."""
        return {
            "code": self.code.text,
            "message": self.message,
            "retryable": self.code.retryable,
            "request_id": request_id,
            "details": self.details,
        }


class NotFound(PixelflightError):
    """Something named does not exist or is hidden from the principal."""

    default = ErrorCode.NOT_FOUND


class AlreadyExists(PixelflightError):
    """Something of this name exists already."""

    default = ErrorCode.ALREADY_EXISTS


class InvalidRequest(PixelflightError):
    """The request itself is wrong; sending it again will not help."""

    default = ErrorCode.INVALID_REQUEST


class Unsupported(PixelflightError):
    """This server or engine cannot do what was asked."""

    default = ErrorCode.UNSUPPORTED


class Conflict(PixelflightError):
    """Another commit came first, or a token was used for other content."""

    default = ErrorCode.CONFLICT


class LimitExceeded(PixelflightError):
    """A limit on rate, size or number was met."""

    default = ErrorCode.LIMIT_EXCEEDED


class Unauthenticated(PixelflightError):
    """Nobody we know is asking."""

    default = ErrorCode.UNAUTHENTICATED


class Forbidden(PixelflightError):
    """The principal may see the thing but not do this with it."""

    default = ErrorCode.FORBIDDEN


class TimedOut(PixelflightError):
    """The deadline passed."""

    default = ErrorCode.TIMED_OUT


class Cancelled(PixelflightError):
    """The client went away or asked to stop."""

    default = ErrorCode.CANCELLED


class Unavailable(PixelflightError):
    """The server cannot answer now."""

    default = ErrorCode.UNAVAILABLE


class Internal(PixelflightError):
    """A bug of ours, already logged."""

    default = ErrorCode.INTERNAL


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """A clause that offers the nearest of the `known` names, or nothing: ` Did you mean 'x'?`."""
    near = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""
