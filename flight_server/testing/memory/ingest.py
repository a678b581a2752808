"""Streams into a table: cut into commits, claimed by token, resumed where they broke.

Knows when to commit and what was written before; what the rows do to the table is another file's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from flight_server.engines.cancellation import Cancellation
from flight_server.errors import AlreadyExists, Conflict, ErrorCode
from flight_server.model import (
    Author,
    Commit,
    CommitEvery,
    IngestMode,
    IngestRequest,
    TableRef,
    TableSpec,
)
from flight_server.testing.memory.columns import no_rows
from flight_server.testing.memory.commits import Draft
from flight_server.testing.memory.rows import put_rows
from flight_server.testing.memory.state import Claim, TableState
from flight_server.testing.memory.tables import create_table

KINDS = {
    IngestMode.CREATE: ("inserted",),
    IngestMode.APPEND: ("inserted",),
    IngestMode.OVERWRITE: ("deleted", "inserted"),
}


@dataclass(frozen=True)
class Part:
    """Rows of a stream that are to be one commit: where they start, and whether they end it."""

    rows: pa.Table
    start: int
    is_last: bool

    @property
    def end(self) -> int:
        """How many rows of the stream there are up to the end of this part."""
        return self.start + int(self.rows.num_rows)


def parts(
    batches: pa.RecordBatchReader, every: CommitEvery | None, cancellation: Cancellation
) -> Iterator[Part]:
    """The stream in parts: one, or one each time the policy says so."""
    waiting: list[pa.RecordBatch] = []
    start, since = 0, time.monotonic()
    for batch in batches:
        cancellation.check()
        if every is not None and waiting and _is_due(every, waiting, since):
            part = Part(pa.Table.from_batches(waiting, batches.schema), start, False)
            yield part
            waiting, start, since = [], part.end, time.monotonic()
        waiting.append(batch)
    cancellation.check()
    yield Part(pa.Table.from_batches(waiting, batches.schema), start, True)


def put_part(
    draft: Draft, ref: TableRef, request: IngestRequest, part: Part, author: Author
) -> Commit:
    """Writes what of the part is not written yet."""
    table = draft.state.find(ref)
    key = (author.principal, table.id, request.token) if table and request.token else None
    claim = draft.claim(key) if key else None
    if claim is not None:
        _check_content(claim, request, part)
        if part.end <= claim.commit.offset:
            return _answer_again(draft, key, claim, part)
        part = _rest(part, claim.commit.offset)
    mode = _mode(request, begun=part.start > 0)
    table = _opened(draft, ref, table, mode, request, part)
    written, commit = put_rows(table, mode, request.key, part.rows, draft.new_ids)
    if commit.rows or commit.rows_deleted:
        draft.put(written, *(KINDS.get(mode) or _kinds_by_key(commit)))
    commit = replace(commit, offset=part.end)
    if request.token:
        content = part.rows if claim is None else pa.concat_tables([claim.content, part.rows])
        new = Claim(request.mode, content, part.is_last, commit)
        draft.claims[author.principal, table.id, request.token] = new
    return commit


def _is_due(every: CommitEvery, waiting: list[pa.RecordBatch], since: float) -> bool:
    return (
        (every.rows is not None and sum(batch.num_rows for batch in waiting) >= every.rows)
        or (every.bytes is not None and sum(batch.nbytes for batch in waiting) >= every.bytes)
        or (every.ms is not None and (time.monotonic() - since) * 1000 >= every.ms)
    )


def _mode(request: IngestRequest, begun: bool) -> IngestMode:
    """What the part does: a stream that has begun creates and overwrites no more."""
    whole = request.mode in (IngestMode.CREATE, IngestMode.OVERWRITE)
    return IngestMode.APPEND if begun and whole else request.mode


def _opened(
    draft: Draft,
    ref: TableRef,
    table: TableState | None,
    mode: IngestMode,
    request: IngestRequest,
    part: Part,
) -> TableState:
    """The table to write into, made where the request says so."""
    if table is not None and mode is IngestMode.CREATE:
        raise AlreadyExists(f"The table '{table.ref}' exists already.")
    if table is None and (mode is IngestMode.CREATE or request.create_if_missing):
        return create_table(draft, ref, TableSpec(part.rows.schema, key=request.key))
    return table or draft.state.table(ref)


def _kinds_by_key(commit: Commit) -> tuple[str, ...]:
    counts = (("inserted", commit.rows_inserted), ("updated", commit.rows_updated))
    return tuple(kind for kind, count in counts if count)


def _rest(part: Part, offset: int) -> Part:
    """The part from the first row that is not written yet."""
    skipped = max(0, offset - part.start)
    return replace(part, rows=part.rows.slice(skipped), start=part.start + skipped)


def _check_content(claim: Claim, request: IngestRequest, part: Part) -> None:
    """TOKEN_CONFLICT where the stream is not the one that the token was used for."""
    known = claim.content.slice(part.start, part.rows.num_rows)
    is_longer = part.end > claim.commit.offset and claim.complete
    is_shorter = part.end < claim.commit.offset and part.is_last
    if (
        is_longer
        or is_shorter
        or claim.mode != request.mode
        or not claim.content.schema.equals(part.rows.schema)
        or _canonical(known) != _canonical(part.rows.slice(0, known.num_rows))
    ):
        raise Conflict(
            f"The ingest token '{request.token}' was used for other content: "
            f"send the same rows again, or choose a new token.",
            code=ErrorCode.TOKEN_CONFLICT,
        )


def _canonical(rows: pa.Table) -> bytes:
    """The same bytes for the same rows, however they were cut into batches."""
    # Joining with nothing copies, which clears what a slice keeps around its values.
    whole = pa.concat_tables([rows, no_rows(rows.schema)]).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(whole)
    return bytes(sink.getvalue())


def _answer_again(
    draft: Draft, key: tuple[str, int, str] | None, claim: Claim, part: Part
) -> Commit:
    """The part was written before; if it is the last, the claim is now complete."""
    if key and part.is_last and not claim.complete:
        draft.claims[key] = replace(claim, complete=True)
    return replace(claim.commit, duplicate=True)
