"""`data_import`: a file into a table, once, however often the job is begun again.

Rows are read, judged and sent in pieces of so many rows of the file. Each piece is a put under a
token of its own, so that it counts once, and what was done is saved after each: the next attempt
goes on behind it. An import that is to be one commit is one piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from flight_server.arrow_types import schema_from_ipc, schema_to_ipc
from flight_server.bodies.imports import Import
from flight_server.bodies.requests import parsed
from flight_server.dialling import Dialling
from flight_server.errors import Conflict, ErrorCode, InvalidRequest, NotFound
from flight_server.model import Commit, IngestMode, TableSpec
from flight_server.transfer.cleaning import Rows, cleaned
from flight_server.transfer.memory import bounded_memory
from flight_server.transfer.planning import Target, plan_for
from flight_server.transfer.readers import Plan, Reject
from flight_server.transfer.sources import Opened, open_source
from flight_server.transfer.uniqueness import Keys
from flight_server.transfer.validation import Checker
from flight_server.transfer.waiting import read_ahead
from flight_server.worker.rejected import REJECTED, RejectedRows
from flight_server.worker.runs import JobRun
from flight_server.worker.staging import Puts

# An import of several commits makes one about so often.
PIECE_BYTES = 256 * 2**20
ERRORS_LISTED = 100
UPLOADS = "uploads"


def import_data(run: JobRun) -> Mapping[str, Any]:
    """Reads the source into the table. What is wrong with it is an error of ours."""
    given = parsed(Import, run.parameters, "parameters of the import")
    dialling = Dialling(run.settings.outbound_networks)
    with (
        bounded_memory(run.settings.import_memory_bytes_max),
        open_source(
            given.source(run.settings.data / UPLOADS),
            given.options.read_options(),
            run.settings,
            dialling,
            run.folder,
            run.check,
        ) as opened,
    ):
        return _Importing(run, given, opened).result()


@dataclass
class _Done:
    """What has been done, as it is saved: rows of the file, commits, and what was not taken.

    `at` is where reading goes on, `rows` how many rows of the file are done with.
    """

    at: dict[str, Any] = field(default_factory=dict)
    rows: int = 0
    written: int = 0
    inserted: int = 0
    updated: int = 0
    rejected: int = 0
    commit: int | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)

    def add(self, commit: Commit) -> None:
        """One more commit."""
        self.written += commit.rows
        self.inserted += commit.rows_inserted
        self.updated += commit.rows_updated
        self.commit = commit.snapshot

    def reject(self, rejects: list[Reject]) -> None:
        """More rows that are not taken."""
        self.rejected += len(rejects)
        for one in rejects[: ERRORS_LISTED - len(self.errors)]:
            self.errors.append({"row": one.row, "column": one.column, "reason": one.reason})


class _Importing:
    """One attempt."""

    def __init__(self, run: JobRun, given: Import, opened: Opened) -> None:
        self._run = run
        self._given = given
        self._opened = opened
        self._done = _Done(**run.checkpoint.get("done", {}))
        self._spec, version = self._table()
        self._plan, self._piece_rows, self._before = self._begun(version)
        self._puts = Puts(run, given.table, given.mode, self._plan.schema, self._spec)
        self._checker = Checker(self._plan.schema, given.rules())
        self._ahead: Rows | None = None

    def result(self) -> Mapping[str, Any]:
        """All of it, then what came of it."""
        done, given = self._done, self._given
        is_first = done.rows == 0
        with self._rows() as rows:
            while (first := self._next(rows)) is not None or is_first:
                self._write_piece(first, rows, is_first)
                is_first = False
        rejected = given.rejected
        return {
            "table_name": str(given.table),
            "rows_read": done.rows,
            "rows": done.written,
            "rows_inserted": done.inserted,
            "rows_updated": done.updated,
            "rows_rejected": done.rejected,
            "rejected_table": str(rejected) if rejected and done.rejected else None,
            "errors": done.errors,
            "commit": done.commit,
            "bytes": self._opened.size,
        }

    def _begun(self, version: int | None) -> tuple[Plan, int | None, int | None]:
        """The plan, how many rows a piece has, and the version whose keys count: as first made."""
        saved = self._run.checkpoint
        if not saved:
            return self._made(version)
        if saved["identity"] != self._opened.identity and self._done.rows:
            raise Conflict(
                f"The source was changed after {self._done.rows} of its rows were written. What "
                "was written stays; begin a new import.",
                code=ErrorCode.TOKEN_CONFLICT,
            )
        plan = Plan(tuple(saved["sources"]), schema_from_ipc(saved["schema"]), saved["only_these"])
        return plan, saved["piece_rows"], saved["version"]

    def _made(self, version: int | None) -> tuple[Plan, int | None, int | None]:
        given, spec = self._given, self._spec
        probe = self._opened.reader.probe()
        target = Target(
            None if spec is None else spec.schema,
            frozenset(spec.defaults if spec else ()),
            given.types(),
            given.mapping,
        )
        plan = plan_for(probe, target)
        piece_rows = None if given.is_atomic else self._rows_each(plan)
        self._plan, self._piece_rows, self._before = plan, piece_rows, version
        self._save()
        return plan, piece_rows, version

    def _table(self) -> tuple[TableSpec | None, int | None]:
        """The table as it is, and its version; None where it is to be made."""
        given = self._given
        if given.mode is IngestMode.CREATE:
            return None, None
        try:
            info = self._run.client.describe(str(given.table))
        except NotFound as error:
            if error.code is not ErrorCode.TABLE_NOT_FOUND or not given.create_if_missing:
                raise
            return None, None
        return info.spec, info.snapshot

    def _rows_each(self, plan: Plan) -> int:
        """How many rows of the file make a piece; the same for each attempt."""
        block = next(self._opened.reader.blocks(plan, {}), None)
        if block is None or not block.batch.num_rows:
            return 100_000
        return max(1, int(PIECE_BYTES * block.batch.num_rows // max(block.batch.nbytes, 1)))

    @contextmanager
    def _rows(self) -> Iterator[Iterator[Rows]]:
        """The rows that are still to be done with, read ahead while others are sent."""
        keys = [Keys(columns, self._run.folder) for columns in self._given.unique_keys()]
        self._check_keys(keys)
        # Which keys came before is known by reading once more what is done already.
        start: Mapping[str, Any] = {} if keys else self._done.at
        blocks = self._opened.reader.blocks(self._plan, start)
        with read_ahead(cleaned(blocks, self._checker, keys, start)) as rows:
            yield self._undone(rows)

    def _undone(self, rows: Iterator[Rows]) -> Iterator[Rows]:
        for one in rows:
            self._run.check()
            if one.last <= self._done.rows:
                continue
            yield one.cut(self._done.rows)[1] if one.first <= self._done.rows else one

    def _check_keys(self, keys: list[Keys]) -> None:
        """Adds the keys that the table had before; each of its rows counts as having come."""
        names = {name.lower(): name for name in self._plan.schema.names}
        for one in keys:
            missing = [name for name in one.columns if name.lower() not in names]
            if missing:
                raise InvalidRequest(
                    f"The column '{missing[0]}' is to be unique, and no row has it.",
                    code=ErrorCode.SCHEMA_MISMATCH,
                )
            one.columns = tuple(names[name.lower()] for name in one.columns)
            if self._before is None or self._given.mode is not IngestMode.APPEND:
                continue
            table = str(self._given.table)
            wanted = pa.schema([self._plan.schema.field(name) for name in one.columns])
            for batch in self._run.client.scan(table, one.columns, version=self._before).reader():
                self._run.check()
                columns = [
                    column.cast(f.type) for column, f in zip(batch.columns, wanted, strict=True)
                ]
                one.repeated(pa.RecordBatch.from_arrays(columns, schema=wanted))

    def _next(self, rows: Iterator[Rows]) -> Rows | None:
        ahead, self._ahead = self._ahead, None
        return ahead if ahead is not None else next(rows, None)

    def _write_piece(self, first: Rows | None, rows: Iterator[Rows], is_first: bool) -> None:
        """One put of good rows, then one of rows that are set aside; then it is saved."""
        run, given, done = self._run, self._given, self._done
        last = None if self._piece_rows is None else done.rows + self._piece_rows
        with RejectedRows(run.folder, run.id) as aside:
            piece = _Piece(self, first, rows, last, aside)
            commit = self._puts.put(
                piece.batches(),
                key=given.key,
                token=f"job:{run.id}:{done.rows}",
                # Neither the source nor how it is cut changes between attempts.
                content=f"{self._opened.identity} from row {done.rows}",
                create_if_missing=given.create_if_missing and given.mode is not IngestMode.CREATE,
            )
            done.add(commit)
            if given.rejected is not None and aside.count:
                run.client.put(
                    str(given.rejected),
                    aside.reader(),
                    token=f"job:{run.id}:{done.rows}:{REJECTED}",
                    create_if_missing=True,
                )
        done.rows, done.at = piece.last, dict(piece.begin)
        self._save()

    def take(self, rows: Rows, aside: RejectedRows) -> None:
        """Notes what is not taken of some rows. InvalidRequest where that ends the import."""
        if not rows.rejects:
            return
        if self._given.on_error == "fail":
            raise _failed(rows.rejects[0], self._done.rows)
        self._done.reject(rows.rejects)
        if self._given.on_error == "set_aside":
            aside.add(rows.rejects)

    def put_back(self, rows: Rows) -> None:
        """Rows that belong to the next piece."""
        self._ahead = rows

    def tell(self, rows: Rows) -> None:
        """How far it is."""
        self._run.progress(
            rows=rows.last, bytes=rows.position, bytes_total=self._opened.size or None
        )

    @property
    def batch_rows(self) -> int | None:
        """How many rows are sent at once."""
        return self._given.batch_size

    def _save(self) -> None:
        self._run.save(
            {
                "identity": self._opened.identity,
                "sources": list(self._plan.sources),
                "schema": schema_to_ipc(self._plan.schema),
                "only_these": self._plan.only_these,
                "piece_rows": self._piece_rows,
                "version": self._before,
                "done": asdict(self._done),
            }
        )


class _Piece:
    """The rows of one put: up to the row `last`, or all that there are."""

    def __init__(
        self,
        importing: _Importing,
        first: Rows | None,
        rows: Iterator[Rows],
        last: int | None,
        aside: RejectedRows,
    ) -> None:
        self._importing = importing
        self._first = first
        self._rows = rows
        self._until = last
        self._aside = aside
        self.last = 0 if first is None else first.first - 1
        self.begin: Mapping[str, Any] = {}

    def batches(self) -> Iterator[pa.RecordBatch]:
        """What is sent."""
        one = self._first
        while one is not None:
            rest = None
            if self._until is not None and one.last > self._until:
                one, rest = one.cut(self._until)
            self._importing.take(one, self._aside)
            yield from self._sized(one.batch)
            self._importing.tell(one)
            self.last, self.begin = one.last, one.begin
            if rest is not None:
                self._importing.put_back(rest)
                return
            if self.last == self._until:
                return
            one = next(self._rows, None)

    def _sized(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        each = self._importing.batch_rows or max(batch.num_rows, 1)
        for at in range(0, batch.num_rows, each):
            yield batch.slice(at, each)


def _failed(one: Reject, written: int) -> InvalidRequest:
    where = f"Row {one.row}" if one.column is None else f"Row {one.row}, column '{one.column}'"
    kept = f"The {written} rows before it stay written" if written else "Nothing was written"
    return InvalidRequest(
        f"{where}: {one.reason}. {kept}; 'on_error' can skip such rows or set them aside.",
        code=ErrorCode.INVALID_DATA,
        details={"row": one.row, "column": one.column, "reason": one.reason},
    )
