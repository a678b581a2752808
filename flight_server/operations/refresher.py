"""Who sees to it that materialised views are refreshed: one at a time each, and some by themselves.

A view that is to follow its tables is looked at a moment after each commit, and once at the start,
when a server before this one may have left it behind. What went wrong the last time is kept until
a refresh goes well.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.log import SupportsCommitLog
from flight_server.errors import Conflict, ErrorCode, NotFound, PixelflightError
from flight_server.model import DEFAULT_CATALOG, Principal, Refresh, TableRef

if TYPE_CHECKING:
    from flight_server.operations.refreshing import Refreshing
    from flight_server.operations.services import Call, Services

DOOR = "refresh"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """What went wrong the last time that a view was refreshed."""

    message: str
    failed_at: dt.datetime


class Refresher:
    """Refreshes views, on demand and in a thread of its own."""

    def __init__(self, pause_seconds: float = 1.0) -> None:
        self._pause_seconds = pause_seconds
        self._lock = threading.Lock()
        self._turns: dict[TableRef, threading.Lock] = defaultdict(threading.Lock)
        self._failures: dict[TableRef, Failure] = {}
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._unfollow: Callable[[], None] = lambda: None

    def refresh(
        self, services: Services, call: Call, view: TableRef, only_changed: bool = False
    ) -> Refreshing:
        """One refresh, after those of the same view that others have asked for."""
        # Imported here, since services have a refresher.
        from flight_server.operations.refreshing import refresh

        with self._lock:
            turn = self._turns[view]
        with turn:
            try:
                done = refresh(services, call, view, only_changed)
            except PixelflightError as error:
                if not error.code.retryable:
                    self._failures[view] = Failure(error.message, dt.datetime.now(dt.UTC))
                raise
            self._failures.pop(view, None)
            return done

    def failure(self, view: TableRef) -> Failure | None:
        """What went wrong the last time, since the server started."""
        return self._failures.get(view)

    def start(self, services: Services) -> None:
        """Begins to follow commits."""
        engine = services.engine(DEFAULT_CATALOG)
        assert isinstance(engine, SupportsCommitLog), "its commits can be followed"
        # Of what expires before it is looked at, a full refresh knows as much.
        self._unfollow = engine.follow(self._woken.set, engine.snapshot)
        self._woken.set()
        self._thread = threading.Thread(
            target=self._run, args=(services,), name="refresher", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Ends a refresh that is running, and follows no more."""
        self._stopping.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()
        self._unfollow()

    def _run(self, services: Services) -> None:
        while True:
            self._woken.wait()
            # Before anything else, or what is said meanwhile would not be heard.
            self._woken.clear()
            # More commits may come at once; they are dealt with together.
            if self._stopping.wait(self._pause_seconds):
                return
            try:
                self._refresh_all(services)
            except Exception:
                log.exception("views were not refreshed; the next commit tries again")

    def _refresh_all(self, services: Services) -> None:
        for view in _following(services):
            if self._stopping.is_set():
                return
            self._refresh_one(services, view)

    def _refresh_one(self, services: Services, view: TableRef) -> None:
        from flight_server.operations.services import Call

        cancellation = Cancellation(is_gone=self._stopping.is_set)
        nobody = Principal("server", "pixelflight")
        call = Call(nobody, uuid.uuid4().hex, cancellation, door=DOOR)
        try:
            done = self.refresh(services, call, view, only_changed=True)
            if done.mode is not None:
                log.info("the view %s was refreshed (%s)", view, done.mode)
        except (Conflict, NotFound) as error:
            if error.code is ErrorCode.CONFLICT:
                self._woken.set()
            elif error.code is not ErrorCode.TABLE_NOT_FOUND:
                log.warning("%s", error.message)
        except PixelflightError as error:
            log.warning("the view %s was not refreshed: %s", view, error.message)


def _following(services: Services) -> Iterator[TableRef]:
    """The views that follow their tables, in the order of their names."""
    engine = services.engine(DEFAULT_CATALOG)
    for namespace in engine.namespaces():
        for table in engine.tables(namespace):
            try:
                spec = engine.resolve(table).spec
            except NotFound:
                continue
            if spec.definition is not None and spec.definition.refresh is Refresh.ON_CHANGE:
                yield table
