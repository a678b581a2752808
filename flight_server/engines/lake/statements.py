"""The statements of one open transaction: one at a time, and what a failed one means for the rest.

DuckDB has no savepoints: a statement that fails while it runs cannot be taken back alone. And a
statement on a connection whose last answer is still being read would end that answer early,
without a word. Both are refused here, so that nothing is lost or committed by half.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.lake.answers import arrow_reader
from flight_server.engines.lake.bindings import bound, inputs_bound
from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.failures import translated
from flight_server.errors import Conflict, InvalidRequest, PixelflightError
from flight_server.model import SqlRequest


class Statements:
    """Runs statements in a transaction and remembers the one that spoilt it."""

    def __init__(self, transaction: WriteTransaction) -> None:
        self._transaction = transaction
        self._failure: BaseException | None = None
        self._is_read = False

    @contextmanager
    def one(self) -> Iterator[WriteTransaction]:
        """The transaction for one statement, which is all done or spoils the transaction."""
        self.check()
        before = self._transaction.writes
        try:
            yield self._transaction
        except BaseException as error:
            # What was refused before anything was written leaves the transaction as it was.
            if self._transaction.writes != before or self._transaction.is_aborted:
                self._failure = error
            raise

    def stream(
        self, request: SqlRequest, rows_each: int, cancellation: Cancellation
    ) -> tuple[pa.Schema, Any]:
        """The schema of a SELECT's answer, and a generator of its batches that can be closed."""
        self.check()
        running = self._running(request, rows_each, cancellation)
        return next(running), running

    def check(self) -> None:
        """Refuses a statement, or the commit, where the transaction takes none."""
        if not self._transaction.is_open:
            raise InvalidRequest("The transaction has ended: begin another one.")
        if self._failure is not None:
            raise InvalidRequest(
                f"The transaction was aborted by the earlier error '{_said(self._failure)}': "
                f"roll it back and begin another one."
            )
        if self._is_read:
            raise Conflict(
                "The result of an earlier statement of this transaction is still being read. Read "
                "it to its end, or close it, before the next statement."
            )

    def _running(
        self, request: SqlRequest, rows_each: int, cancellation: Cancellation
    ) -> Iterator[Any]:
        connection, parameters = self._transaction.connection, bound(request.parameters)
        self._is_read = True
        try:
            with (
                inputs_bound(connection, request, cancellation),
                translated("The query"),
                cancellation.interrupting(connection.interrupt),
            ):
                batches = arrow_reader(connection.execute(request.sql, parameters), rows_each)
                try:
                    yield batches.schema
                    yield from batches
                finally:
                    batches.close()
        except Exception as error:
            if self._transaction.is_open and self._transaction.is_aborted:
                self._failure = error
            raise
        finally:
            self._is_read = False


def _said(error: BaseException) -> str:
    return error.message if isinstance(error, PixelflightError) else type(error).__name__
