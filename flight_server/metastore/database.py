"""Opening the metastore, its transactions, its end.

SQLite is made as safe as it can be: write-ahead log, every commit flushed, foreign keys enforced,
and transactions that begin where they say they do. The file holds signing secrets, so that only
its owner may read it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EISDIR
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from flight_server.errors import InvalidRequest, PixelflightError, Unavailable
from flight_server.metastore.migrations import upgrade

BUSY_MS_MAX = 10_000
# Servers that start together wait for the one that makes the tables, on however slow a disk.
OPENING_MS_MAX = 60_000
# The execution option that tells a reading transaction from a writing one.
READING = "pixelflight_reading"
LOGGING_NAME = "metastore"


class Metastore:
    """The open metastore. Every method may be called from any thread."""

    def __init__(self, engine: Engine, place: str) -> None:
        self._engine = engine
        self._place = place

    @classmethod
    def open(cls, location: Path | str) -> Metastore:
        """Opens the database at a path or URL, makes it where missing, brings it up to date.

        InvalidRequest where the location is no database of ours or of a newer server;
        Unavailable where it cannot be reached.
        """
        metastore = _postgresql(str(location)) if _is_server(location) else _sqlite(location)
        try:
            metastore._upgrade()
        except (CommandError, DatabaseError) as error:
            metastore.close()
            raise _not_opened(metastore._place, error) from None
        except BaseException:
            metastore.close()
            raise
        return metastore

    def _upgrade(self) -> None:
        until = time.monotonic() + OPENING_MS_MAX / 1000
        while True:
            try:
                with self._engine.begin() as connection:
                    return upgrade(connection)
            except OperationalError as error:
                if not _is_busy(error.orig) or time.monotonic() > until:
                    raise

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that writes: committed at the end of the block, undone by an error.

        Writers wait for each other here, at the beginning, so that none fails half-way.
        Unavailable where the wait is too long or the disk refuses.
        """
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads: one moment's state, never waiting for a writer."""
        with self._translated(), self._engine.connect() as connection:
            yield connection.execution_options(**{READING: True})

    def close(self) -> None:
        """Ends the metastore; what was committed is safe."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
                raise  # SQL that does not run is a bug of ours.
            # Clients see this sentence: where the database lies is none of their business.
            raise Unavailable("The metastore is busy or out of reach: try again.") from error
        except PoolTimeoutError as error:
            raise Unavailable("The metastore is overloaded: try again.") from error


def _not_opened(place: str, error: CommandError | DatabaseError) -> PixelflightError:
    if isinstance(error, CommandError):
        return InvalidRequest(
            f"The metastore '{place}' was made by a newer server ({error}). "
            "Upgrade this one, or give it another data folder."
        )
    if isinstance(error, OperationalError):
        return Unavailable(f"The metastore '{place}' cannot be opened: {error.orig}.")
    return InvalidRequest(f"'{place}' is not a metastore: {error.orig}.")


def _is_server(location: Path | str) -> bool:
    """Whether the location is a URL of anything but SQLite."""
    text = str(location)
    return isinstance(location, str) and "://" in text and not text.startswith("sqlite")


def _postgresql(url: str) -> Metastore:
    try:
        place = make_url(url).render_as_string(hide_password=True)
        return Metastore(_engine(url, pool_pre_ping=True), place)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise InvalidRequest(
            f"The metastore's URL cannot be used: {error}. "
            "Write sqlite:///PATH, or postgresql+psycopg://… with psycopg installed."
        ) from None


def _engine(url: URL | str, **options: Any) -> Engine:
    """An engine that keeps secrets and hashes out of logs and errors, whatever the log level."""
    logging.getLogger(f"sqlalchemy.engine.Engine.{LOGGING_NAME}").setLevel(logging.WARNING)
    return create_engine(url, hide_parameters=True, logging_name=LOGGING_NAME, **options)


def _sqlite(location: Path | str) -> Metastore:
    path = _sqlite_path(location)
    try:
        _make_private(path)
    except OSError as error:
        raise Unavailable(
            f"The metastore '{path}' cannot be opened: {error.strerror}. "
            "Check the folder and its permissions."
        ) from None
    # Built from parts: a path may hold what means something in a URL.
    url = URL.create("sqlite", database=str(path.absolute()))
    engine = _engine(url, connect_args={"timeout": BUSY_MS_MAX / 1000})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return Metastore(engine, str(path))


def _sqlite_path(location: Path | str) -> Path:
    if isinstance(location, str) and location.startswith("sqlite"):
        database = make_url(location).database
        if not database or database == ":memory:":
            raise InvalidRequest(
                f"'{location}' names no file: the metastore must outlive the server. "
                "Write sqlite:///PATH."
            )
        return Path(database)
    return Path(location)


def _make_private(path: Path) -> None:
    """Makes the file for its owner's eyes only; SQLite gives its companions the same mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        # Not opened to try it: closing it again would drop all locks of this process on it.
        if path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR)) from None
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(EACCES, os.strerror(EACCES)) from None


def _configure(connection: Any, record: Any) -> None:
    # Python's sqlite3 would otherwise begin transactions when it thinks fit, never before DDL.
    connection.isolation_level = None
    cursor = connection.cursor()
    _enter_wal(cursor)
    # With WAL, anything less than FULL loses acknowledged commits when the power fails.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _enter_wal(cursor: sqlite3.Cursor) -> None:
    """Turns the write-ahead log on; the file remembers it, so that only the first ever waits."""
    # To change the mode SQLite never waits for its lock, whatever the busy timeout.
    until = time.monotonic() + BUSY_MS_MAX / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _is_busy(error: BaseException | None) -> bool:
    """Whether another held the lock; the code's low byte tells, whatever the reason above it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later would fail at once, without waiting, if
    # another wrote in between; a writer therefore takes the lock when it begins.
    reading = connection.get_execution_options().get(READING)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
