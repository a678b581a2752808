r"""What begins with a backslash: `\d`, `\timing`, `\o file` … and the way to run a whole script."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from flight_server.cli import tables
from flight_server.cli.display import show_records
from flight_server.cli.exits import say
from flight_server.cli.options import Output
from flight_server.cli.shell.printing import ResultFile
from flight_server.cli.shell.session import Session
from flight_server.cli.shell.splitting import pieces
from flight_server.errors import InvalidRequest, NotFound, PixelflightError, did_you_mean

DEPTH_MAX = 20
LEAVING = ("exit", "quit")
# What newcomers try, and what they mean.
MEANT = {"help": r"\?", "show tables": r"\d", "show all tables": r"\d", "show databases": r"\dn"}
_NAMESPACES = pa.schema([("namespace", pa.string())])


class Leave(Exception):
    """The shell is to end."""


class Command(NamedTuple):
    """What a command takes, what it does, in words and in deed."""

    takes: str
    meaning: str
    act: Callable[[Session, str], None]


def perform(session: Session, text: str) -> None:
    """Does one statement or one command."""
    word = text.rstrip("; \t\r\n")
    if word.lower() in LEAVING:
        raise Leave
    word = MEANT.get(word.lower(), word)
    if not word.startswith("\\"):
        session.run(text)
        return
    name, _, argument = word.partition(" ")
    if name not in COMMANDS:
        known = did_you_mean(name, COMMANDS)
        raise InvalidRequest(rf"There is no command '{name}'.{known} \? lists them.")
    COMMANDS[name].act(session, argument.strip())


def perform_all(session: Session, lines: Iterable[str], source: str) -> None:
    """Does a script; an error ends it and says in which line of it the statement begins."""
    for piece in pieces(lines):
        try:
            perform(session, piece.text)
        except PixelflightError as error:
            if source:
                error.message = f"{source}, line {piece.line}: {error.message}"
            raise


def _describe(session: Session, name: str) -> None:
    if not name:
        _list_tables(session, "")
        return
    try:
        info = session.client.describe(_table(name))
    except NotFound as error:
        _describe_temporary(session, name, error)
        return
    tables.show_description(info, session.printing.output)


def _describe_temporary(session: Session, name: str, error: NotFound) -> None:
    """Only SQL knows tables that are the session's own: they have no versions to tell of."""
    try:
        session.run(f"DESCRIBE {name}")
    except PixelflightError:
        raise error from None


def _list_tables(session: Session, pattern: str) -> None:
    found = session.client.tables(pattern=pattern or None)
    if found or session.printing.output is not Output.TABLE:
        tables.show_list(found, session.printing.output)
    else:
        say(f"No table is called '{pattern}'." if pattern else "There are no tables yet.")


def _list_namespaces(session: Session, _: str) -> None:
    found = [{"namespace": name} for name in session.client.namespaces()]
    show_records(found, _NAMESPACES, session.printing.output)


def _history(session: Session, name: str) -> None:
    if not name:
        raise InvalidRequest(r"Say of which table: \history NAME.")
    tables.show_versions(session.client.versions(_table(name)), session.printing.output)


def _timing(session: Session, given: str) -> None:
    session.is_timing = _switched(session.is_timing, given)
    say(f"Timing is {_on_off(session.is_timing)}.")


def _expand(session: Session, given: str) -> None:
    session.printing.is_expanded = _switched(session.printing.is_expanded, given)
    say(f"Expanded output is {_on_off(session.printing.is_expanded)}.")


def _limit(session: Session, given: str) -> None:
    if given:
        if not given.isdecimal():
            raise InvalidRequest(f"'{given}' is no number of rows. 0 shows all.")
        session.printing.rows_max = int(given)
    bound = session.printing.rows_max
    say(f"Tables show {bound:,} rows at most." if bound else "Tables show all rows.")


def _output(session: Session, given: str) -> None:
    if given:
        if given not in list(Output):
            known = ", ".join(Output)
            raise InvalidRequest(
                f"There is no output '{given}'.{did_you_mean(given, Output)} There are {known}."
            )
        session.printing.output = Output(given)
    say(f"Output is {session.printing.output}.")


def _output_to(session: Session, name: str) -> None:
    session.printing.print_to(None)
    if not name:
        say("Results go to the terminal.")
    else:
        path = Path(_unquoted(name)).expanduser()
        session.printing.print_to(ResultFile(path, session.printing.output))
        say(rf"Results go to {path}, until \o without a name.")


def _include(session: Session, name: str) -> None:
    if not name:
        raise InvalidRequest(r"Say which file: \i FILE.")
    path = Path(_unquoted(name)).expanduser()
    if session.depth >= DEPTH_MAX:
        raise InvalidRequest(f"'{path}' is {DEPTH_MAX} files deep: does a file include itself?")
    session.depth += 1
    try:
        with path.open(encoding="utf-8") as lines:
            perform_all(session, lines, str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidRequest(f"The file '{path}' cannot be read: {reason}.") from None
    finally:
        session.depth -= 1


def _tell_connection(session: Session, _: str) -> None:
    health = session.client.health()
    open_or_not = "A transaction is open." if session.in_transaction else "No transaction is open."
    say(f"Connected to {session.client.url}, which is {health['status']}. {open_or_not}")


def _help(_: Session, __: str) -> None:
    say("A statement ends with ';' and may have several lines. BEGIN opens a transaction.")
    width = max(len(f"{name} {command.takes}") for name, command in COMMANDS.items())
    for name, command in COMMANDS.items():
        say(f"  {f'{name} {command.takes}':{width}}  {command.meaning}")
    say("Tab completes; Ctrl-C ends a running statement; Ctrl-D leaves.")


def _leave(_: Session, __: str) -> None:
    raise Leave


COMMANDS: dict[str, Command] = {
    r"\d": Command("[NAME]", "lists tables, or describes one", _describe),
    r"\dt": Command("[PATTERN]", "lists tables: \\dt f*", _list_tables),
    r"\dn": Command("", "lists namespaces", _list_namespaces),
    r"\history": Command("NAME", "lists a table's versions", _history),
    r"\timing": Command("[on|off]", "tells how long statements take", _timing),
    r"\x": Command("[on|off]", "shows rows one below the other", _expand),
    r"\limit": Command("[N]", "how many rows a table shows; 0 for all", _limit),
    r"\output": Command("[FORMAT]", f"how rows are shown: {', '.join(Output)}", _output),
    r"\o": Command("[FILE]", "sends results to a file, or to the terminal again", _output_to),
    r"\i": Command("FILE", "runs the statements of a file", _include),
    r"\conninfo": Command("", "tells where this is connected to", _tell_connection),
    r"\?": Command("", "shows this list", _help),
    r"\q": Command("", "leaves", _leave),
}


def _table(name: str) -> str:
    """A table's name as the client wants it; three parts with dots between them as in SQL, too."""
    if '"' not in name and ":" not in name and name.count(".") == 2:
        return name.replace(".", ":", 1)
    return name


def _unquoted(name: str) -> str:
    is_quoted = len(name) > 1 and name[0] == name[-1] and name[0] in "'\""
    return name[1:-1] if is_quoted else name


def _switched(now: bool, given: str) -> bool:
    if given and given not in ("on", "off"):
        raise InvalidRequest(f"'{given}' is neither on nor off.")
    return given == "on" if given else not now


def _on_off(is_on: bool) -> str:
    return "on" if is_on else "off"
