"""The verb `shell`: a prompt for people, a script from a pipe, or the commands given."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from flight_server.cli.interrupts import interruptible
from flight_server.cli.options import Output, OutputOption, with_client
from flight_server.cli.shell.commands import Leave, perform_all
from flight_server.cli.shell.names import Names
from flight_server.cli.shell.printing import Printing
from flight_server.cli.shell.session import Session
from flight_server.client import Client
from flight_server.errors import InvalidRequest


def _shell(
    client: Client,
    command: Annotated[
        list[str] | None,
        typer.Option(
            "--command", "-c", metavar="SQL", help="Run this and leave; may be given often."
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    r"""Runs SQL by hand, from a pipe (pixelflight shell < script.sql) or as given.

    Statements end with ';'. All of them are one session: BEGIN opens a transaction, COMMIT ends
    it. '\?' lists the shell's own commands. A script ends at its first error, with exit code 1.
    """
    session = Session(client, Names(client), Printing(output))
    if command:
        interruptible(lambda: _run_each(session, command))
    elif sys.stdin.isatty():
        _talk(session)
    else:
        interruptible(lambda: _run(session, [(sys.stdin, "standard input")]))


def _talk(session: Session) -> None:
    # What draws a prompt takes a while to load, and no other command wants it.
    from flight_server.cli.shell.prompt import talk

    # Whoever cannot be reached says so here, and not only at the first statement.
    session.client.health()
    session.is_interactive = True
    session.printing.pages = sys.stdout.isatty()
    try:
        talk(session)
    finally:
        session.printing.print_to(None)


def _run_each(session: Session, commands: list[str]) -> None:
    _run(session, [(text.splitlines(keepends=True), "") for text in commands])


def _run(session: Session, scripts: list[tuple[Iterable[str], str]]) -> None:
    try:
        with contextlib.suppress(Leave):
            for lines, source in scripts:
                perform_all(session, lines, source)
    finally:
        session.printing.print_to(None)
    if session.in_transaction:
        raise InvalidRequest("The transaction was not committed: it is rolled back. Add COMMIT.")


def _at_once(work: Callable[[], None]) -> None:
    """At the prompt Ctrl-C is the shell's own matter."""
    work()


shell = with_client(_shell, _at_once)
shell.__name__ = "shell"
