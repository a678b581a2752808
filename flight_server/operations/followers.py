"""What the commit log tells of writes goes into the audit trail, each commit once.

The lake records in the commit itself who made it and why, so that nothing has to be written on a
write's own way, and a crash loses nothing: the follower goes on at the last snapshot it has
written down, which it does in the same transaction as the entries.
"""

from __future__ import annotations

import logging
import re
import threading

from sqlalchemy import Connection, insert, select, update

from flight_server.engines.log import SupportsCommitLog
from flight_server.errors import PixelflightError
from flight_server.metastore import Metastore
from flight_server.metastore.audit import Actor, AuditEntry, write_entries
from flight_server.metastore.tables import followers
from flight_server.model import LogEntry

COMMITS_EACH = 500
# Commits that follow each other closely are written down together; whoever reads does not wait.
PAUSE_SECONDS = 1.0
RETRY_SECONDS = 1.0
# Reasons that begin so are actions of this name; the others are named as a whole.
_VERBS = (
    "restore snapshot",
    "restore",
    "create snapshot",
    "drop snapshot",
    "create tag",
    "drop tag",
    "ingest",
)

log = logging.getLogger(__name__)


class AuditedCommits:
    """Follows one engine's commit log. `name` is the catalog's."""

    def __init__(self, engine: SupportsCommitLog, name: str, metastore: Metastore) -> None:
        self._engine = engine
        self._name = f"audit:{name}"
        self._metastore = metastore
        self._position = self._read_position()
        self._woken = threading.Event()
        self._hurried = threading.Event()
        self._stopping = threading.Event()
        self._caught_up = threading.Condition()
        self._unfollow = engine.follow(self._woken.set, lambda: self._position)
        self._thread = threading.Thread(target=self._run, name="audited-commits", daemon=True)
        self._thread.start()

    @property
    def position(self) -> int:
        """The last snapshot that is in the trail."""
        return self._position

    def settle(self, seconds: float) -> bool:
        """Waits until the trail has all commits of before; False where that takes longer."""
        snapshot = self._engine.snapshot()
        if self._position < snapshot:
            self._hurried.set()
            # Nobody tells of the commits of the lake's own upkeep, which are to be read past.
            self._woken.set()
        with self._caught_up:
            return self._caught_up.wait_for(lambda: self._position >= snapshot, seconds)

    def close(self) -> None:
        """Writes down what has been committed, and ends."""
        self._stopping.set()
        self._hurried.set()
        self._woken.set()
        self._thread.join()
        self._unfollow()

    def _run(self) -> None:
        while True:
            is_last = self._stopping.is_set()
            try:
                self._catch_up()
            except Exception as error:
                reason = error.message if isinstance(error, PixelflightError) else repr(error)
                log.warning("the audit trail of commits waits: %s", reason)
                self._stopping.wait(RETRY_SECONDS)
                self._woken.set()
            if is_last:
                return
            self._woken.wait()
            self._hurried.wait(PAUSE_SECONDS)
            self._woken.clear()
            self._hurried.clear()

    def _catch_up(self) -> None:
        while True:
            entries, reached = self._engine.entries(self._position, COMMITS_EACH)
            if reached == self._position:
                return
            with self._metastore.begin() as connection:
                write_entries(connection, [_audited(entry) for entry in entries])
                self._write_position(connection, reached)
            with self._caught_up:
                self._position = reached
                self._caught_up.notify_all()

    def _read_position(self) -> int:
        with self._metastore.read() as connection:
            mine = followers.c.name == self._name
            found = connection.scalar(select(followers.c.snapshot).where(mine))
        newest = self._engine.snapshot()
        if found is None or found <= newest:
            return -1 if found is None else int(found)
        log.warning("the lake is older than its audit trail: its log is followed from the start")
        return -1

    def _write_position(self, connection: Connection, snapshot: int) -> None:
        mine = followers.c.name == self._name
        moved = connection.execute(update(followers).where(mine).values(snapshot=snapshot))
        if not moved.rowcount:
            connection.execute(insert(followers).values(name=self._name, snapshot=snapshot))


def _audited(entry: LogEntry) -> AuditEntry:
    author = entry.author
    actor = Actor(
        author.principal_id,
        author.principal,
        author.workspace,
        author.door,
        author.peer,
        author.request_id,
    )
    details = dict(author.details) | {"changes": list(entry.changes), "reason": author.reason}
    if entry.rows is not None:
        details["rows"] = entry.rows
    return AuditEntry(
        action_of(author.reason),
        entry.resource,
        actor,
        snapshot=entry.snapshot,
        details=details,
        at=entry.committed_at,
    )


def action_of(reason: str) -> str:
    """The name of the action that a commit's reason tells of: `create_tag`, `ingest`."""
    verbs = (verb for verb in _VERBS if reason.startswith(verb))
    return re.sub(r"\W+", "_", next(verbs, reason)).strip("_")
