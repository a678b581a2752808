"""DuckDB's exceptions become ours, without a word of the SQL that we composed.

DuckDB's messages quote the statement ("LINE 1: …") and, for files, paths. What is passed on is
the first paragraph, and only for errors that concern the client's own request.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from flight_server.errors import (
    Cancelled,
    Conflict,
    ErrorCode,
    Internal,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PixelflightError,
    Unavailable,
    Unsupported,
)

log = logging.getLogger(__name__)

_CONFLICT = re.compile(r"conflict|concurrent", re.IGNORECASE)
_UNWRITTEN = re.compile(r"Could not (?:write|sync|create)|No space left")
_EXPIRED = re.compile(r"No snapshot found at version")
# What `sql_types.misfit` says.
_MISFIT = re.compile(r"does not fit the type .+ of column")
_PREFIX = re.compile(r"^[A-Za-z ]+ Error: ")
# The errors of DuckDB that concern the client's own request, by what they begin with.
_THROUGH_ARROW: dict[str, type[duckdb.Error]] = {
    "Conversion Error: ": duckdb.ConversionException,
    "Constraint Error: ": duckdb.ConstraintException,
    "INTERRUPT Error: ": duckdb.InterruptException,
    "Invalid Input Error: ": duckdb.InvalidInputException,
    "Not implemented Error: ": duckdb.NotImplementedException,
    "Out of Memory Error: ": duckdb.OutOfMemoryException,
    "Out of Range Error: ": duckdb.OutOfRangeException,
}
# What DuckDB says of columns that we named, behind a value that cannot be cast.
_SOURCE = re.compile(r"!? when casting from source column \w*_pixelflight\w*$")
# The lake's own schemas and tables, and paths, are nobody's business.
_PRIVATE = re.compile(
    r"\w*ducklake_\w+|_pixelflight_temp\.\w+|_pixelflight\w*|(?:[a-z0-9+]+://|/)[^\s'\"]*/[^\s'\"]*"
)


@contextmanager
def translated(what: str = "The statement") -> Iterator[None]:
    """Raises the error of ours that stands for what DuckDB or Arrow raises in the block."""
    try:
        yield
    except PixelflightError:
        raise
    except duckdb.InterruptException as error:
        raise Cancelled(f"{what} was interrupted.") from error
    except duckdb.OutOfMemoryException as error:
        raise LimitExceeded(
            f"{what} needs more memory than the server may use. Ask for less at once.",
            code=ErrorCode.TOO_LARGE,
        ) from error
    except duckdb.TransactionException as error:
        raise _of_transaction(what, error) from error
    except (duckdb.FatalException, duckdb.InternalException, duckdb.IOException) as error:
        log.error("the lake failed", exc_info=error)
        raise _of_storage(error) from error
    except (duckdb.ConstraintException, duckdb.ConversionException) as error:
        raise InvalidRequest(said(error), code=ErrorCode.INVALID_DATA) from error
    except duckdb.NotImplementedException as error:
        raise Unsupported(said(error)) from error
    except duckdb.Error as error:
        if _EXPIRED.search(str(error)):
            raise NotFound(
                "The version has just expired; ask for a newer one.",
                code=ErrorCode.VERSION_NOT_FOUND,
            ) from error
        code = ErrorCode.INVALID_DATA if _MISFIT.search(str(error)) else ErrorCode.INVALID_SQL
        raise InvalidRequest(said(error), code=code) from error
    except OSError as error:
        raise _of_stream(what, error) from error
    except pa.ArrowInvalid as error:
        raise InvalidRequest(
            f"{what} could not be run: {_first_line(str(error))}", code=ErrorCode.INVALID_DATA
        ) from error


def said(error: BaseException) -> str:
    """What DuckDB said, without its quotation of the statement and without paths."""
    text = re.split(r"\n\s*\n?LINE \d+:", str(error))[0].strip()
    text = _SOURCE.sub("", text)
    return _sentence(_PREFIX.sub("", text))


def _of_transaction(what: str, error: duckdb.Error) -> PixelflightError:
    if _CONFLICT.search(str(error)):
        return Conflict(f"{what} collided with another commit. Nothing was written; try again.")
    if _UNWRITTEN.search(str(error)):
        log.error("the lake failed", exc_info=error)
        return _of_storage(error)
    if "is aborted" in str(error):
        return Conflict("The transaction failed at an earlier statement; begin it anew.")
    log.error("a transaction failed", exc_info=error)
    return Internal(f"{what} could not be committed. Nothing was written.")


def _of_stream(what: str, error: OSError) -> PixelflightError:
    """What fails while rows come through Arrow's stream is all OSError, whatever DuckDB meant.

    Only its text tells the kinds apart: a value that cannot be cast in the millionth row is no
    failure of the disk.
    """
    prefix = _PREFIX.match(str(error))
    kind = _THROUGH_ARROW.get(prefix.group()) if prefix else None
    if kind is not None:
        try:
            with translated(what):
                raise kind(str(error))
        except PixelflightError as meant:
            return meant
    log.error("the lake failed", exc_info=error)
    return _of_storage(error)


def _of_storage(error: Exception) -> PixelflightError:
    text = str(error)
    if "No space left" in text:
        return Unavailable("The server's disk is full. Nothing was written.")
    if _UNWRITTEN.search(text):
        return Unavailable("The server could not write to its disk. Nothing was written.")
    if isinstance(error, duckdb.FatalException):
        return Unavailable("The lake had to stop after a storage failure; restart the server.")
    return Internal("The lake could not read or write its files.")


def _first_line(text: str) -> str:
    return _sentence(text.splitlines()[0] if text else "unknown reason")


def _sentence(text: str) -> str:
    text = _PRIVATE.sub("…", text)
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
