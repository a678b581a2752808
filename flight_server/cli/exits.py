"""How the command ends: exit codes, and errors as one sentence on standard error."""

from __future__ import annotations

import re
import sys
from enum import IntEnum

from typer import TyperException

from flight_server.errors import (
    ErrorCode,
    Forbidden,
    InvalidRequest,
    NotFound,
    PixelflightError,
    Unauthenticated,
    Unavailable,
)


class Exit(IntEnum):
    """What the exit code says."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_ALLOWED = 4
    INTERRUPTED = 130


MEANINGS = (
    "Exit codes: 0 done · 1 the server or the data said no · 2 the command line is wrong · "
    "3 no server answers · 4 no valid key, or what may not be done with it · 130 interrupted."
)


def exit_code(error: PixelflightError) -> Exit:
    """The exit code of an error; one that no server raised is about the command line."""
    if isinstance(error, Unavailable):
        return Exit.UNREACHABLE
    if isinstance(error, Unauthenticated | Forbidden):
        return Exit.NOT_ALLOWED
    about_data = error.code in (ErrorCode.INVALID_DATA, ErrorCode.SCHEMA_MISMATCH)
    local = not error.request_id and isinstance(error, InvalidRequest | NotFound)
    return Exit.USAGE if local and not about_data else Exit.FAILED


def report(error: PixelflightError) -> Exit:
    """Says what went wrong, and what may help. Gives the exit code."""
    request = f"(request {error.request_id})" if error.request_id else ""
    # Messages that point into a statement have several lines; what is added must not join them.
    gap = "\n" if "\n" in error.message else " "
    parts = [_message(error), _remedy(error), request]
    say("error: " + gap.join(part for part in parts if part))
    return exit_code(error)


def report_usage(error: TyperException) -> Exit:
    """Says what is wrong with the command line, and where its help is."""
    if type(error).__name__ == "NoArgsIsHelpError":
        # Nothing was asked for, and its text is the help itself.
        say(error.format_message())
        return Exit.USAGE
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "pixelflight"
    # How a value was looked at is nothing to the person who gave it.
    say(f"error: {error.format_message().replace('Value error, ', '')}")
    say(f"See '{path} --help'.")
    return Exit.USAGE


def say(text: str) -> None:
    """A line for the person at the terminal."""
    print(text, file=sys.stderr, flush=True)


def _message(error: PixelflightError) -> str:
    url = re.search(r"(\S+) is not available: .*Failed parsing HTTP/2", error.message)
    if url is None:
        return error.message
    return (
        f"What answers at {url[1]} is not Arrow Flight; it may be the HTTP port. 'pixelflight "
        "serve' prints both addresses when it is ready."
    )


def _remedy(error: PixelflightError) -> str:
    if isinstance(error, Unauthenticated):
        return "Give a key with --key or PIXELFLIGHT_KEY; the first one is in DATA/admin.key."
    if error.code is ErrorCode.TABLE_NOT_FOUND and "mean" not in error.message:
        return "'pixelflight tables' lists those there are."
    if mistaken := re.match('Referenced column "([^"]*)" not found', error.message):
        return f"If '{mistaken[1]}' is text, write it in single quotes."
    return ""
