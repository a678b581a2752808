"""One session of a shell: runs statements, and knows whether a transaction is open."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from flight_server.cli.answers import answer
from flight_server.cli.exits import say
from flight_server.cli.interrupts import cancellable
from flight_server.cli.shell.names import CHANGING, Names
from flight_server.cli.shell.printing import Printing
from flight_server.client import Client, Executed, Plan, Result
from flight_server.errors import Cancelled, ErrorCode, PixelflightError, Unavailable

# For so long a server that has gone away is asked again.
RECONNECT_SECONDS = 1.5


@dataclass
class Session:
    """One client and what was set with commands.

    `is_interactive` is for people: Ctrl-C ends a statement and not the shell, and what happened
    to the connection is told.
    """

    client: Client
    names: Names
    printing: Printing = field(default_factory=Printing)
    is_interactive: bool = False
    is_timing: bool = False
    in_transaction: bool = False
    depth: int = 0
    _is_lost: bool = False
    _running: Plan | None = None
    _is_writing: bool = False
    _is_cancelled: bool = False

    def run(self, text: str) -> None:
        """Runs one statement and shows what comes of it. Raises what the server does."""
        started = time.monotonic()
        self._running, self._is_writing, self._is_cancelled = None, False, False
        before = self.client.session
        try:
            if self.is_interactive:
                finish = cancellable(lambda: self._run(text), self._cancel)
            else:
                finish = self._run(text)
        except PixelflightError as error:
            self._learn(error, text)
            raise
        seconds = time.monotonic() - started
        self._found_again(before)
        finish()
        if self.is_timing:
            say(f"Time: {_duration(seconds)}")

    def _run(self, text: str) -> Callable[[], None]:
        try:
            result = self._read(text)
        except PixelflightError as error:
            # Where rows are read nothing is ever written: the server has said which kind it is.
            if "statement" not in error.details:
                raise
            self._is_writing = True
            return self._written(self.client.execute(text))
        with result:
            return self.printing.take(result.schema, result.batches())

    def _read(self, text: str) -> Result:
        """The rows of a SELECT, asked for again where the connection had grown stale.

        Only what reads is: whether a statement that writes has been run, nobody knows then.
        """
        ends = time.monotonic() + RECONNECT_SECONDS
        while True:
            try:
                return self._opened(text)
            except Unavailable:
                if self.in_transaction or self._is_cancelled or time.monotonic() > ends:
                    raise
            time.sleep(RECONNECT_SECONDS / 5)

    def _opened(self, text: str) -> Result:
        if not self.is_interactive:
            return self.client.sql(text)
        self._running = self.client.plan(text)
        if self._is_cancelled:
            raise Cancelled("It was cancelled before it ran.")
        return self._running.open()

    def _written(self, done: Executed) -> Callable[[], None]:
        if done.kind in ("begin", "commit", "rollback"):
            self.in_transaction = done.kind == "begin"
        if done.kind in CHANGING:
            self.names.forget()
        return lambda: answer(done, self.printing.output)

    def _cancel(self) -> None:
        if self._is_writing:
            say("A statement that writes is waited for. Ctrl-C once more leaves and undoes it.")
            return
        self._is_cancelled = True
        try:
            if self._running is not None:
                self._running.cancel()
        except PixelflightError as error:
            say(f"It could not be cancelled: {error.message} Ctrl-C once more leaves the shell.")

    def _learn(self, error: PixelflightError, text: str) -> None:
        """What an error says of the transaction and of the server."""
        if isinstance(error, Unavailable):
            if self.in_transaction:
                say("The transaction that was open is lost: nothing of it has happened.")
            self._is_lost, self.in_transaction = True, False
            self.names.forget()
        elif error.code is ErrorCode.TRANSACTION_NOT_FOUND or _ends(text):
            self.in_transaction = False

    def _found_again(self, before: str | None) -> None:
        if self._is_lost:
            self._is_lost = False
            if self.is_interactive:
                say(f"Connected again to {self.client.url}.")
        if self.in_transaction and before not in (None, self.client.session):
            self.in_transaction = False
            say(
                "The server has forgotten this session, and the transaction that was open: what "
                "it had done is undone, and this statement stood by itself."
            )


def _ends(text: str) -> bool:
    """Whether a statement ends the transaction even where it fails."""
    return text.split(None, 1)[0].lower() in ("commit", "end") if text.split() else False


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms" if seconds < 10 else f"{seconds:,.1f} s"
