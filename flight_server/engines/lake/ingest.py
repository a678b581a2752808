"""Batches in: create, append, overwrite, upsert, merge; exactly once; in bounded memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from flight_server.engines.base import Acknowledge
from flight_server.engines.cancellation import Cancellation
from flight_server.engines.lake import tables
from flight_server.engines.lake.catalog import is_other_since
from flight_server.engines.lake.commits import CommitLog, WriteTransaction
from flight_server.engines.lake.groups import GroupCommits, SmallAppend
from flight_server.engines.lake.inbound import Inbound
from flight_server.engines.lake.inserts import check_batches, insert_stream
from flight_server.engines.lake.instance import CATALOG
from flight_server.engines.lake.registry import Registry
from flight_server.engines.lake.tokens import TOKEN_LENGTH_MAX, Claim, Digest, Receipt, Tokens
from flight_server.engines.lake.upserts import merge_stage, stage_rows
from flight_server.engines.segments import Segments, Source
from flight_server.errors import Conflict, ErrorCode, InvalidRequest, NotFound
from flight_server.model import (
    Author,
    Commit,
    IngestMode,
    IngestRequest,
    TableRef,
    TableSpec,
    TableVersion,
)

GROUP_BYTES_MAX = 8 * 2**20
_BY_KEY = (IngestMode.UPSERT, IngestMode.MERGE)


@dataclass
class Run:
    """One ingest on its way: what was asked, and how far it has come."""

    table: TableRef
    request: IngestRequest
    schema: pa.Schema
    author: Author
    cancellation: Cancellation
    claim: Claim | None = None
    digest: Digest | None = None

    def __post_init__(self) -> None:
        self.mode = self.request.mode
        self.offset = self.claim.offset if self.claim is not None else 0

    def inserted(self, rows: int) -> Commit:
        """The record of what was done, but for its snapshot."""
        return Commit(-1, rows=rows, rows_inserted=rows, offset=self.offset)


class Ingests:
    """Runs what writes batches."""

    def __init__(
        self, log: CommitLog, registry: Registry, tokens: Tokens, groups: GroupCommits
    ) -> None:
        self._log = log
        self._registry = registry
        self._tokens = tokens
        self._groups = groups

    def ingest(
        self,
        table: TableRef,
        request: IngestRequest,
        batches: Any,
        author: Author,
        acknowledge: Acknowledge,
        cancellation: Cancellation,
    ) -> Commit:
        """See `SupportsIngest.ingest`."""
        claiming = (
            nullcontext(None)
            if request.token is None
            else self._tokens.claim(
                author.principal, table, checked_token(request.token), cancellation
            )
        )
        with claiming as claim, ExitStack() as held:
            run = Run(table, request, batches.schema, author, cancellation, claim)
            if claim is not None:
                connection = held.enter_context(closing(self._log.instance.connection()))
                run.digest = Digest(connection, batches.schema, request.mode, request.content)
            return self._run(run, batches, acknowledge)

    def ingest_within(
        self,
        transaction: WriteTransaction,
        table: TableRef,
        request: IngestRequest,
        batches: Any,
        cancellation: Cancellation,
    ) -> Commit:
        """The whole stream as a part of a transaction, which commits it later or not at all."""
        if request.commit_every is not None:
            raise InvalidRequest("'commit_every' means nothing in a transaction: it commits once.")
        if request.token is not None:
            return self._claimed_within(transaction, table, request, batches, cancellation)
        run = Run(table, request, batches.schema, transaction.author, cancellation)
        commit = self._write_within(transaction, run, iter(batches))
        transaction.count_rows(commit.rows)
        return commit

    def _claimed_within(
        self,
        transaction: WriteTransaction,
        table: TableRef,
        request: IngestRequest,
        batches: Any,
        cancellation: Cancellation,
    ) -> Commit:
        """With a token, which stays claimed until the transaction ends."""
        assert request.token is not None, "there is a token to claim"
        author = transaction.author
        token = checked_token(request.token)
        claim = self._tokens.claim_within(transaction, table, token, cancellation)
        with closing(self._log.instance.connection()) as connection:
            digest = Digest(connection, batches.schema, request.mode, request.content)
            run = Run(table, request, batches.schema, author, cancellation, claim, digest)
            rows = self._fresh_rows(run, iter(batches))
            first = next(rows, None)
            if first is None and claim.receipts:
                return replace(claim.receipts[-1].commit, duplicate=True)
            rows = itertools.chain(() if first is None else (first,), rows)
            commit = self._write_within(transaction, run, rows)
            transaction.count_rows(commit.rows)
            claim.record(transaction, commit, str(digest))
            claim.receipts.append(Receipt(commit, str(digest)))
            return commit

    def _write_within(
        self, transaction: WriteTransaction, run: Run, rows: Iterator[pa.RecordBatch]
    ) -> Commit:
        request = run.request
        found = self._target(run, transaction)
        inbound = self._inbound(run, found)
        if request.mode in _BY_KEY:
            self._registry.guard(transaction, found)
            counted = self._counting(run, rows)
            stage = stage_rows(transaction.connection, inbound, counted, run.cancellation)
            return merge_stage(transaction, found, request, stage, run.cancellation)
        return self._stream(transaction, run, found, inbound, rows)

    def _run(self, run: Run, batches: Any, acknowledge: Acknowledge) -> Commit:
        rows = self._fresh_rows(run, iter(batches))
        if run.request.commit_every is None:
            commit = self._write(run, rows)
            acknowledge(commit)
            return commit
        source = Source(rows)
        try:
            last: Commit | None = None
            for part in Segments(source, run.request.commit_every):
                last = self._write(run, part)
                acknowledge(last)
                # What follows the first commit adds to it.
                if run.mode not in _BY_KEY:
                    run.mode = IngestMode.APPEND
        finally:
            source.close()
        assert last is not None, "a stream has at least one part"
        return last

    def _fresh_rows(self, run: Run, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The rows beyond those that the token's receipts cover; Conflict where those differ."""
        if run.claim is None or run.digest is None:
            yield from batches
            return
        run.claim.check(0, run.digest)
        seen, done = 0, run.claim.offset
        marks = [receipt.commit.offset for receipt in run.claim.receipts]
        for batch in batches:
            for part in _cut(batch, [mark - seen for mark in marks]):
                fresh = seen >= done
                if fresh and run.claim.receipts and run.request.commit_every is None:
                    raise run.claim.conflict()
                if fresh:
                    yield part
                else:
                    run.digest.update(part)
                seen += part.num_rows
                if not fresh:
                    run.claim.check(seen, run.digest)
        if seen < done:
            raise run.claim.conflict()

    def _write(self, run: Run, rows: Iterator[pa.RecordBatch]) -> Commit:
        """One part of the stream becomes one commit."""
        first = next(rows, None)
        if first is None and run.claim is not None and run.claim.receipts:
            return replace(run.claim.receipts[-1].commit, duplicate=True)
        if run.claim is not None and run.claim.receipts:
            run.mode = run.mode if run.mode in _BY_KEY else IngestMode.APPEND
        rows = itertools.chain(() if first is None else (first,), rows)
        if run.mode in _BY_KEY:
            return self._write_by_key(run, rows)
        if run.mode is IngestMode.APPEND:
            found = self._existing(run)
            if found is not None:
                return self._append(run, found, rows)
            return self._append_to_missing(run, rows)
        return self._write_whole(run, rows)

    def _append_to_missing(self, run: Run, rows: Iterator[pa.RecordBatch]) -> Commit:
        """Of several small puts that make a table at once, one does, and the others add to it."""
        taken, rows, is_whole = self._taken(rows)
        rows = itertools.chain(taken, rows)
        # While others would wait for this client, nobody does: then one of them conflicts.
        with self._log.turn(run.cancellation) if is_whole else nullcontext():
            if self._existing(run) is None:
                return self._write_whole(run, rows)
        # Without the lock: whoever leads a group needs it while others wait for the leader.
        return self._append(run, self._registry.resolve(run.table), rows)

    def _write_whole(self, run: Run, rows: Iterator[pa.RecordBatch]) -> Commit:
        with self._log.transaction(run.author, exclusive=False) as transaction:
            found = self._target(run, transaction)
            commit = self._stream(transaction, run, found, self._inbound(run, found), rows)
            return self._commit(transaction, run, commit)

    def _append(self, run: Run, found: TableVersion, rows: Iterator[pa.RecordBatch]) -> Commit:
        """Small appends are grouped; large ones stream into files of their own."""
        inbound = self._inbound(run, found)
        taken, rows, is_whole = self._taken(rows)
        if is_whole:
            run.cancellation.check()
            converted = [inbound.convert(batch) for batch in taken]
            check_batches(self._log.instance, found, inbound.schema, converted)
            self._count(run, taken)
            count = sum(batch.num_rows for batch in taken)
            commit = run.inserted(count)
            digest = str(run.digest or "")
            small = SmallAppend(
                found, inbound.schema, converted, run.author, commit, run.claim, digest
            )
            return self._groups.append(small, run.cancellation)
        rows = itertools.chain(taken, rows)
        with self._log.transaction(run.author, exclusive=False) as transaction:
            commit = self._stream(transaction, run, found, inbound, rows)
            return self._commit(transaction, run, commit)

    def _write_by_key(self, run: Run, rows: Iterator[pa.RecordBatch]) -> Commit:
        """The rows are staged without the commit lock and merged under it."""
        self._make_missing(run)
        found = self._registry.resolve(run.table)
        inbound = self._inbound(run, found)
        connection = self._log.instance.connection()
        try:
            rows = self._counting(run, rows)
            stage = stage_rows(connection, inbound, rows, run.cancellation)
            with self._log.transaction(
                run.author, connection=connection, cancellation=run.cancellation
            ) as transaction:
                found = self._registry.resolve(run.table)
                commit = merge_stage(transaction, found, run.request, stage, run.cancellation)
                return self._commit(transaction, run, replace(commit, offset=run.offset))
        finally:
            connection.close()

    def _stream(
        self,
        transaction: WriteTransaction,
        run: Run,
        found: TableVersion,
        inbound: Inbound,
        rows: Iterator[pa.RecordBatch],
    ) -> Commit:
        """Inserts batches as they come; DuckDB writes Parquet and holds little of it."""
        if run.mode is IngestMode.OVERWRITE:
            self._clear(transaction, run, found)
        self._registry.guard(transaction, found)
        counted, before = self._counting(run, rows), run.offset
        count = insert_stream(transaction, found, inbound, counted, run.cancellation, before)
        return run.inserted(count)

    def _clear(self, transaction: WriteTransaction, run: Run, found: TableVersion) -> None:
        """Takes the old rows away; nobody may have added to them when this commits."""
        began = transaction.count(f"FROM {CATALOG}.current_snapshot()")

        def check(_: int) -> None:
            if is_other_since(self._log.instance, found.table, began):
                raise Conflict(
                    f"Another commit changed '{found.table}' while it was being overwritten. "
                    f"Nothing was written; try again."
                )

        transaction.before_commit.append(check)
        transaction.note(found.table, "deleted", "inserted")
        transaction.run(f"DELETE FROM {found.table.sql}", cancellation=run.cancellation)
        transaction.local_rows.dropped(found.table)

    def _commit(self, transaction: WriteTransaction, run: Run, commit: Commit) -> Commit:
        transaction.count_rows(commit.rows)
        if run.claim is not None:
            run.claim.record(transaction, commit, str(run.digest))
        return replace(commit, snapshot=transaction.commit())

    def _existing(self, run: Run) -> TableVersion | None:
        """The table, None where it is missing and shall be made. NotFound."""
        try:
            return self._registry.resolve(run.table)
        except NotFound:
            if run.mode is IngestMode.CREATE or run.request.create_if_missing:
                return None
            raise

    def _target(self, run: Run, transaction: WriteTransaction) -> TableVersion:
        """The table that is written to, made or reshaped in the transaction where needed."""
        if run.mode is IngestMode.CREATE:
            tables.check_free(transaction, self._registry, run.table)
        try:
            found = self._registry.resolve(run.table, transaction=transaction)
        except NotFound:
            if run.mode is not IngestMode.CREATE and not run.request.create_if_missing:
                raise
            spec = TableSpec(run.schema, key=run.request.key)
            tables.create_table(transaction, self._registry, run.table, spec)
            return self._registry.resolve(run.table, transaction=transaction)
        return found

    def _make_missing(self, run: Run) -> None:
        """The table of an upsert is made in a commit of its own, empty, where it is missing."""
        if self._existing(run) is None:
            with self._log.transaction(run.author, cancellation=run.cancellation) as transaction:
                self._target(run, transaction)

    def _inbound(self, run: Run, found: TableVersion) -> Inbound:
        """The conversion of the stream's batches; refuses columns that cannot be left out."""
        inbound = Inbound(run.schema, found.schema)
        if run.mode is not IngestMode.MERGE:
            for name in inbound.missing:
                if not found.schema.field(name).nullable and name not in found.spec.defaults:
                    raise InvalidRequest(
                        f"The column '{name}' is missing; it must not be null and has no default.",
                        code=ErrorCode.SCHEMA_MISMATCH,
                    )
        return inbound

    def _taken(
        self, rows: Iterator[pa.RecordBatch]
    ) -> tuple[list[pa.RecordBatch], Iterator[pa.RecordBatch], bool]:
        return _taken(rows, self._log.instance.settings.group_rows_max, GROUP_BYTES_MAX)

    def _counting(self, run: Run, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in rows:
            run.cancellation.check()
            self._count(run, [batch])
            yield batch
        run.cancellation.check()

    def _count(self, run: Run, batches: list[pa.RecordBatch]) -> None:
        for batch in batches:
            run.offset += batch.num_rows
            if run.digest is not None:
                run.digest.update(batch)


def checked_token(token: str) -> str:
    """A token that may be one. InvalidRequest."""
    if not 0 < len(token) <= TOKEN_LENGTH_MAX:
        raise InvalidRequest(
            f"An ingest token has 1 to {TOKEN_LENGTH_MAX} characters; this one has {len(token)}."
        )
    return token


def _cut(batch: pa.RecordBatch, marks: list[int]) -> Iterator[pa.RecordBatch]:
    """The batch in pieces that end at the marks inside it; nothing of an empty one."""
    start = 0
    for mark in (*sorted(marks), batch.num_rows):
        end = min(mark, batch.num_rows)
        if end > start:
            yield batch.slice(start, end - start)
            start = end


def _taken(
    rows: Iterator[pa.RecordBatch], rows_max: int, bytes_max: int
) -> tuple[list[pa.RecordBatch], Iterator[pa.RecordBatch], bool]:
    """The first batches, what follows them, and whether they are all there is."""
    taken, count, size = [], 0, 0
    for batch in rows:
        taken.append(batch)
        count += batch.num_rows
        # Not `nbytes`, for which the interpreter's lock is given away and has to be waited for.
        size += batch.get_total_buffer_size()
        if count > rows_max or size > bytes_max:
            return taken, rows, False
    return taken, iter(()), True
