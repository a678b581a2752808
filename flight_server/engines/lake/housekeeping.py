"""The lake tends itself, and never under a reader.

Inlined rows go into files, small files are merged, old snapshots expire, files nobody needs are
removed. A snapshot is needed by a tag, a ticket that is out, or a stream that is open; files are
removed only after a grace that is longer than any ticket lives, and not before every stream that
was open when they fell out of use has ended.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from flight_server.engines.lake.catalog import table_id
from flight_server.engines.lake.commits import HOUSEKEEPING, CommitLog
from flight_server.engines.lake.failures import translated
from flight_server.engines.lake.flushes import CLOCK_SLACK_SECONDS
from flight_server.engines.lake.instance import CATALOG, METADATA, literal
from flight_server.engines.lake.pins import Pins
from flight_server.engines.lake.statistics import kept_wide
from flight_server.engines.lake.tags import Tags
from flight_server.errors import PixelflightError
from flight_server.model import Housekeeping, TableRef

log = logging.getLogger(__name__)

# Files are merged once a table has so many small ones.
SMALL_FILES_MIN = 8
# Files of which a larger part was deleted are written anew.
DELETED_PART_MAX = 0.25
_FLUSH = "ducklake_flush_inlined_data({lake}, schema_name => {namespace}, table_name => {name})"
_REWRITE = (
    "ducklake_rewrite_data_files({lake}, {name}, schema => {namespace}, "
    f"delete_threshold => {DELETED_PART_MAX})"
)
_MERGE = "ducklake_merge_adjacent_files({lake}, {name}, schema => {namespace})"


@dataclass(frozen=True)
class _Due:
    """A table with work to do; `files` says how many files that is."""

    number: int
    namespace: str
    name: str
    files: int = 0


class Housekeeper:
    """Does rounds of housekeeping, on demand and in a thread of its own."""

    def __init__(self, commits: CommitLog, pins: Pins, tags: Tags) -> None:
        self._commits = commits
        self._instance = commits.instance
        self._settings = commits.instance.settings
        self._pins = pins
        self._tags = tags
        self._round = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        # Tables and how many of their files could not be merged, being of different partitions
        # or schemas: tried again once there are others.
        self._stuck: dict[int, int] = {}
        # Tables that were to be merged and could not be, their files being held by tickets.
        self._waiting: set[int] = set()

    def start(self) -> None:
        """Begins rounds in the background, unless they are turned off."""
        if self._settings.housekeeping_seconds > 0:
            self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends the rounds; one that is running is waited for."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def do_round(self, only: Collection[TableRef] | None = None) -> Housekeeping:
        """One round now; of `only` these tables, expiry and removal left out."""
        with self._round, translated("Housekeeping"):
            flushed = self._flush(only)
            merged, written = self._merge(only)
            expired = removed = 0
            if only is None:
                expired = self._expire()
                removed = self._remove()
            self._instance.forget_readers()
            return Housekeeping(flushed, merged, written, expired, removed)

    def is_waiting(self, table: int) -> bool:
        """Whether a round could not merge the table's files: then they must not be held anew."""
        return table in self._waiting

    def _run(self) -> None:
        while not self._stop.wait(self._settings.housekeeping_seconds):
            try:
                done = self.do_round()
                if done != Housekeeping():
                    log.info("housekeeping: %s", done)
            except PixelflightError as error:
                log.warning("housekeeping put off: %s", error.message)
            except Exception:
                log.exception("housekeeping failed; the next round tries again")

    def _flush(self, only: Collection[TableRef] | None) -> int:
        """Brings rows that are inlined in the catalog into files."""
        return sum(self._flush_table(due) or 0 for due in self._chosen(self._inlined(), only))

    def _flush_table(self, due: _Due) -> int | None:
        """How many rows went into files; None where that has to wait for open streams.

        With the rows of older columns DuckLake drops the tables they were inlined in, and a
        transaction that began before would not find them any more.
        """
        kept_in = f"FROM {METADATA}.ducklake_inlined_data_tables WHERE table_id = ?"
        with self._commits.lock:
            is_altered = self._instance.rows(f"SELECT count(*) > 1 {kept_in}", [due.number])[0][0]
            with self._pins.alone() if is_altered else nullcontext(True) as may_flush:
                if not may_flush:
                    return None
                return sum(int(row[-1]) for row in self._maintain(due, _FLUSH))

    def _merge(self, only: Collection[TableRef] | None) -> tuple[int, int]:
        """Merges small files, and writes files anew whose rows were mostly deleted."""
        merged = written = 0
        small = self._small(SMALL_FILES_MIN if only is None else 2)
        for due in self._chosen(small, only):
            with self._commits.lock:
                # A delete that is still inlined would later be written for a file that has gone,
                # and older versions would show rows twice.
                if self._flush_table(due) is None:
                    continue
                # In this order: files with deletes are merged only once they are without.
                answer = self._maintain(due, _REWRITE) + self._maintain(due, _MERGE)
            if not answer:
                self._stuck[due.number] = due.files
            merged += sum(int(row[-2]) for row in answer)
            written += sum(int(row[-1]) for row in answer)
        self._waiting = {due.number for due in self._small(SMALL_FILES_MIN)}
        return merged, written

    def _maintain(self, due: _Due, call: str) -> list[Any]:
        """One of DuckLake's own maintenance calls, as a commit; nothing for a table that went."""
        began = time.time()
        connection = self._instance.connection()
        try:
            with self._commits.lock:
                if not (names := self._names(due)):
                    return []
                # DuckLake makes these calls a commit of their own, so the files must be on the
                # disk before: a transaction around them gives the moment.
                connection.execute("BEGIN TRANSACTION")
                answer = connection.execute("CALL " + call.format(**names)).fetchall()
                if self._instance.flushes:
                    self._instance.flusher.flush_since(began)
                connection.execute(
                    f"CALL {CATALOG}.set_commit_message('pixelflight', {literal(HOUSEKEEPING)})"
                )
                is_rewrite = call is _REWRITE
                with kept_wide(self._instance, due.number) if is_rewrite else nullcontext():
                    connection.execute("COMMIT")
                self._commits.refresh()
            return answer
        finally:
            connection.close()

    def _names(self, due: _Due) -> dict[str, str]:
        """What the table is called by now, as SQL; empty where it was dropped."""
        rows = self._instance.rows(
            f"SELECT s.schema_name, t.table_name FROM {METADATA}.ducklake_table t "
            f"JOIN {METADATA}.ducklake_schema s USING (schema_id) "
            "WHERE t.table_id = ? AND t.end_snapshot IS NULL AND s.end_snapshot IS NULL",
            [due.number],
        )
        if not rows:
            return {}
        namespace, name = map(literal, rows[0])
        return {"lake": literal(CATALOG), "namespace": namespace, "name": name}

    def _expire(self) -> int:
        """Expires snapshots that are old or too many, but for those still needed."""
        if self._pins.is_quiet:
            return 0
        # Under the lock no tag is made, no commit comes and no ticket is made for what it brings.
        with self._commits.lock:
            doomed = self._expired()
            if doomed:
                versions = ", ".join(map(str, doomed))
                self._instance.rows(
                    f"CALL ducklake_expire_snapshots('{CATALOG}', versions => [{versions}])"
                )
                for action in self._commits.on_expiry:
                    action()
        return len(doomed)

    def _expired(self) -> list[int]:
        newest = self._commits.snapshot
        oldest_needed, _ = self._pins.oldest_stream()
        limit = newest if oldest_needed is None else min(newest, oldest_needed)
        # Whoever follows the log finds all that is behind its position.
        limit = min([limit, *(position() + 1 for position in self._commits.positions)])
        spared = self._tags.snapshots() | self._pins.held_snapshots()
        now = dt.datetime.now(dt.UTC)
        old = now - dt.timedelta(seconds=self._settings.snapshot_seconds_max)
        # A ticket may be out for any snapshot that was the newest while tickets of its time live.
        recent = now - dt.timedelta(seconds=self._settings.ticket_seconds)
        rows = self._instance.rows(
            "SELECT snapshot_id FROM (SELECT snapshot_id, snapshot_time, "
            "lead(snapshot_time) OVER (ORDER BY snapshot_id) AS replaced_at, "
            "row_number() OVER (ORDER BY snapshot_id DESC) AS age "
            f"FROM {METADATA}.ducklake_snapshot) "
            "WHERE snapshot_id < $1 AND (replaced_at < $2 OR age > $3) AND replaced_at < $4",
            [limit, old, self._settings.snapshots_max, recent],
        )
        return sorted({int(row[0]) for row in rows} - spared)

    def _remove(self) -> int:
        """Removes files that fell out of use long enough ago, and files no commit ever named."""
        if self._pins.is_quiet:
            return 0
        _, began = self._pins.oldest_stream()
        until = min(time.time() - self._settings.removal_grace_seconds, began)
        # A file that is being written is named by no commit yet, and DuckDB knows its time only to
        # the second.
        moments = {
            "ducklake_cleanup_old_files": until,
            "ducklake_delete_orphaned_files": until - CLOCK_SLACK_SECONDS,
        }
        removed = 0
        for call, moment in moments.items():
            older_than = literal(dt.datetime.fromtimestamp(moment, dt.UTC).isoformat())
            with self._commits.lock:
                removed += len(
                    self._instance.rows(
                        f"CALL {call}('{CATALOG}', older_than => {older_than}::TIMESTAMPTZ)"
                    )
                )
        return removed

    def _chosen(self, due: list[_Due], only: Collection[TableRef] | None) -> list[_Due]:
        held = self._pins.held_tables()
        numbers = (
            None
            if only is None
            else {table_id(self._instance, table, self._commits.snapshot) for table in only}
        )
        return [
            table
            for table in due
            if table.number not in held and (numbers is None or table.number in numbers)
        ]

    def _inlined(self) -> list[_Due]:
        """The tables that have rows in the catalog."""
        rows = self._instance.rows(
            "SELECT DISTINCT t.table_id, s.schema_name, t.table_name "
            f"FROM {METADATA}.ducklake_inlined_data_tables i "
            f"JOIN {METADATA}.ducklake_table t USING (table_id) "
            f"JOIN {METADATA}.ducklake_schema s USING (schema_id) "
            "WHERE t.end_snapshot IS NULL"
        )
        return [_Due(*row) for row in rows]

    def _small(self, least: int) -> list[_Due]:
        """The tables with at least so many small files, or with a file of many deleted rows.

        Files with deleted rows are not merged with others, however small they are.
        """
        rows = self._instance.rows(
            "SELECT t.table_id, s.schema_name, t.table_name, "
            "count(*) FILTER (f.file_size_bytes < $1 AND d.data_file_id IS NULL) AS small, "
            "count(*) FILTER (d.delete_count > $3 * f.record_count) AS deleted "
            f"FROM {METADATA}.ducklake_data_file f "
            f"LEFT JOIN {METADATA}.ducklake_delete_file d "
            "ON d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL "
            f"JOIN {METADATA}.ducklake_table t ON t.table_id = f.table_id "
            f"JOIN {METADATA}.ducklake_schema s USING (schema_id) "
            "WHERE f.end_snapshot IS NULL AND t.end_snapshot IS NULL "
            "GROUP BY t.table_id, s.schema_name, t.table_name HAVING small >= $2 OR deleted > 0",
            [self._settings.small_file_bytes, least, DELETED_PART_MAX],
        )
        due = [
            _Due(number, namespace, name, small + deleted)
            for number, namespace, name, small, deleted in rows
        ]
        return [table for table in due if self._stuck.get(table.number) != table.files]
