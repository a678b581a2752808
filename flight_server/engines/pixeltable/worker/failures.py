"""Pixeltable's errors as ours. Their texts may quote whole rows, and are cut before that."""

from __future__ import annotations

import re
import subprocess

import adbc_driver_manager as adbc
import pixeltable.exceptions as theirs
import sqlalchemy as sa

from flight_server.errors import (
    AlreadyExists,
    Conflict,
    ErrorCode,
    Forbidden,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PixelflightError,
    TimedOut,
    Unavailable,
    Unsupported,
)

TEXT_LENGTH_MAX = 300
# What an error is given that a call of a provider's model has ended with.
PROVIDER = "pixelflight_provider"
# What is above it is the provider's own failure.
TOO_MANY = 429
# The values of a key that a row has already.
_KEY = re.compile(r"Key \(.*\)=\(.*\) already exists", re.DOTALL)
# Where a row is quoted in the line itself, and where files of the server are named.
_ROW = re.compile(r"\s*\b(?:in row|[Rr]ow:?)\s*\{")
_PATH = re.compile(r"(?:file://)?(?<!\w)/[^\s'\"]+")

_Known = dict[theirs.ErrorCode, tuple[type[PixelflightError], ErrorCode | None]]
_BY_CODE: _Known = {
    theirs.ErrorCode.COLUMN_NOT_FOUND: (InvalidRequest, ErrorCode.COLUMN_NOT_FOUND),
    theirs.ErrorCode.PATH_NOT_FOUND: (NotFound, ErrorCode.TABLE_NOT_FOUND),
    theirs.ErrorCode.TABLE_NOT_FOUND: (NotFound, ErrorCode.TABLE_NOT_FOUND),
    theirs.ErrorCode.DIRECTORY_NOT_FOUND: (NotFound, ErrorCode.NAMESPACE_NOT_FOUND),
    theirs.ErrorCode.INDEX_NOT_FOUND: (NotFound, ErrorCode.INDEX_NOT_FOUND),
    theirs.ErrorCode.CONSTRAINT_VIOLATION: (InvalidRequest, ErrorCode.INVALID_DATA),
    theirs.ErrorCode.UNSUPPORTED_OPERATION: (Unsupported, None),
    theirs.ErrorCode.RATE_LIMITED: (LimitExceeded, None),
    theirs.ErrorCode.PROVIDER_TIMEOUT: (TimedOut, None),
}
_BY_CLASS: tuple[tuple[type[theirs.Error], type[PixelflightError]], ...] = (
    (theirs.NotFoundError, NotFound),
    (theirs.AlreadyExistsError, AlreadyExists),
    (theirs.RequestError, InvalidRequest),
    (theirs.AuthorizationError, Forbidden),
    (theirs.ExternalServiceError, Unavailable),
    (theirs.ServiceUnavailableError, Unavailable),
    (theirs.ConcurrencyError, Conflict),
)


def of_request(error: Exception) -> PixelflightError | None:
    """Our error for one that a request ended with; None where that is a bug."""
    if is_of_database(error):
        return Unavailable("Pixeltable's PostgreSQL broke off: send the request again.")
    if (refused := of_model(error)) is not None:
        return refused
    if not isinstance(error, theirs.Error):
        return None
    if isinstance(error, theirs.InternalError) and isinstance(error.__cause__, Exception):
        # What a change of a table was undone for.
        return of_request(error.__cause__)
    if isinstance(error.__cause__, sa.exc.DataError):
        # Its text may quote values.
        what = type(error.__cause__.orig).__name__
        return InvalidRequest(f"Pixeltable: PostgreSQL cannot compute it: {what}.")
    kind, code = _BY_CODE.get(error.error_code, (None, None))
    if kind is None:
        kind = next((ours for known, ours in _BY_CLASS if isinstance(error, known)), None)
    return None if kind is None else kind(f"Pixeltable: {told(error)}", code=code)


def of_model(error: BaseException) -> PixelflightError | None:
    """Our error for a model that could not be called, or did not answer; None where it is another.

    What a provider says may quote what it was asked: it is told by its class and its status.
    """
    provider = vars(error).get(PROVIDER)
    if provider is None:
        cause = getattr(error, "exc", None) or error.__cause__
        return of_model(cause) if isinstance(cause, BaseException) else None
    if isinstance(error, theirs.AuthorizationError):
        return InvalidRequest(first_line(str(error)))
    status = getattr(error, "status_code", None)
    how = type(error).__name__ if status is None else f"{type(error).__name__} (status {status})"
    kind: type[PixelflightError] = InvalidRequest
    if isinstance(status, int) and status >= TOO_MANY:
        kind = LimitExceeded if status == TOO_MANY else Unavailable
    return kind(f"The provider '{provider}' did not answer a call of its model: {how}.")


def is_of_database(error: Exception) -> bool:
    """Whether PostgreSQL, or the way to it, failed, and not what was asked of it."""
    if isinstance(error, theirs.Error):
        return error.error_code is theirs.ErrorCode.DATABASE_UNAVAILABLE
    return isinstance(
        error, (sa.exc.OperationalError, sa.exc.InterfaceError, adbc.OperationalError)
    )


def of_start(error: Exception) -> PixelflightError:
    """Our error for what kept a home from being opened."""
    if isinstance(error, subprocess.CalledProcessError):
        return Unavailable("Pixeltable's PostgreSQL did not start: the log in 'pgdata' says why.")
    return Unavailable(f"Pixeltable could not open its home: {told(error)}")


def first_line(text: str) -> str:
    """What may be told of a text of Pixeltable's: no row, no path, no trace."""
    # What follows the first line is the row, or a trace of somebody's function.
    lines = _KEY.sub("it is there already, or was sent twice", text).strip().splitlines() or [""]
    return _PATH.sub("…", _ROW.split(lines[0])[0])[:TEXT_LENGTH_MAX]


def told(error: Exception) -> str:
    """What may be told of an error of Pixeltable's."""
    text = first_line(str(error)) or type(error).__name__
    cause = getattr(error.__cause__, "exc", None) or error.__cause__
    if not text.endswith(":") or not isinstance(cause, Exception):
        return text
    # What follows is the text of an error that a function has ended with, which may quote values.
    return f"{text} {told(cause) if isinstance(cause, theirs.Error) else type(cause).__name__}."
