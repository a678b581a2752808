"""The shell for people: a prompt with several lines, colours, completion and a history."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.output import Output
from pygments.lexers.sql import PostgresLexer

from flight_server.cli.exits import Exit, say
from flight_server.cli.shell.commands import LEAVING, Leave, perform_all
from flight_server.cli.shell.completion import ShellCompleter
from flight_server.cli.shell.session import Session
from flight_server.cli.shell.splitting import is_complete
from flight_server.errors import Cancelled, ErrorCode, PixelflightError

WHOLE_LINES = (*LEAVING, "help", "")


def talk(session: Session, input: Input | None = None, output: Output | None = None) -> Exit:
    """Asks for statements and runs them until the person leaves."""
    asking = _prompt(session, input, output)
    session.names.prefetch()
    say(rf"Connected to {session.client.url}. \? is help, \q leaves.")
    while True:
        try:
            text = asking.prompt(_message(session))
            perform_all(session, text.splitlines(keepends=True), "")
        except KeyboardInterrupt:
            continue
        except (EOFError, Leave):
            break
        except PixelflightError as error:
            say_error(error)
    if session.in_transaction:
        say("The transaction was not committed: it is rolled back.")
    return Exit.DONE


def say_error(error: PixelflightError) -> None:
    """One clear line, and the place in the statement where the server points to one."""
    if isinstance(error, Cancelled):
        say("Cancelled.")
        return
    added = ""
    if error.code is ErrorCode.TABLE_NOT_FOUND and "mean" not in error.message:
        added = r" \d lists those there are."
    elif error.code is ErrorCode.INTERNAL and error.request_id not in error.message:
        added = f" (request {error.request_id})"
    say(f"error: {error.message}{added}")


def needs_more(text: str) -> bool:
    """Whether Enter begins another line, since no `;` ends the statement yet."""
    stripped = text.strip()
    if stripped.lower() in WHOLE_LINES or stripped.startswith("\\"):
        return False
    return not is_complete(text)


def state_folder() -> Path:
    """Where programs of this user keep what they remember."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "pixelflight"
    chosen = os.environ.get("XDG_STATE_HOME")
    return (Path(chosen) if chosen else Path.home() / ".local" / "state") / "pixelflight"


def history() -> History:
    """What was typed earlier. Statements may hold secrets: the file is its owner's alone."""
    path = state_folder() / "history"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.chmod(0o600)
    except OSError as error:
        say(f"No history is kept: '{path}' cannot be written ({error.strerror or error}).")
        return InMemoryHistory()
    return FileHistory(path)


def _prompt(session: Session, input: Input | None, output: Output | None) -> PromptSession[str]:
    return PromptSession(
        history=history(),
        lexer=PygmentsLexer(PostgresLexer),
        completer=ShellCompleter(session.names.known),
        complete_in_thread=True,
        multiline=Condition(lambda: needs_more(get_app().current_buffer.text)),
        prompt_continuation=lambda width, line, wrapped: "-> ".rjust(width),
        input=input,
        output=output,
    )


def _message(session: Session) -> str:
    return "pixelflight*> " if session.in_transaction else "pixelflight> "
