"""Rows on their way into a table: whole streams, and streams that are committed as they come.

What is safe of a stream under a token is asked for before it is read. Rows up to there are sent
once more to be compared, and the others in parts, each of which says where in the stream it begins:
where another one has gone on meanwhile, it is refused, and nothing is written twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from itertools import chain
from typing import Any

import pyarrow as pa

from flight_server.engines.base import Acknowledge
from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.pixeltable.asking import Asking, by
from flight_server.engines.pixeltable.channel import raise_failure
from flight_server.engines.segments import Segments, Source
from flight_server.engines.stream import Batches
from flight_server.model import (
    Author,
    Commit,
    CommitEvery,
    IngestMode,
    IngestRequest,
    TableRef,
)

_BY_KEY = (IngestMode.UPSERT, IngestMode.MERGE)


class Ingesting(Asking):
    """What writes batches: a part of the engine."""

    _media: Sequence[str]
    _bulk_writes: bool

    def ingest(
        self,
        table: TableRef,
        request: IngestRequest,
        batches: Batches,
        author: Author,
        acknowledge: Acknowledge = lambda commit: None,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Each commit is a transaction of Pixeltable's, of the whole stream or of a part."""
        allowed = {"media": list(self._media), "bulk": self._bulk_writes}
        put = _Put(self, _asked(table, request, author) | allowed, batches.schema, cancellation)
        if request.commit_every is not None:
            return put.in_parts(iter(batches), request.commit_every, acknowledge)
        commit = put.write(iter(batches))
        acknowledge(commit)
        return commit


class _Put:
    """One stream, which its rows come from, and the process that writes them."""

    def __init__(
        self,
        engine: Ingesting,
        arguments: Mapping[str, Any],
        schema: pa.Schema,
        cancellation: Cancellation,
    ) -> None:
        self._engine = engine
        self._arguments = arguments
        self._schema = schema
        self._cancellation = cancellation

    def write(self, rows: Iterator[pa.RecordBatch], **more: Any) -> Commit:
        """What has become of rows, in one transaction."""
        process, arguments = self._engine._process, {**self._arguments, **more}
        with (
            closing(process.request("ingest", arguments, with_rows=True)) as channel,
            self._cancellation.interrupting(channel.shut),
        ):
            # Where the other end is gone, the line that is read next says so.
            with suppress(BrokenPipeError, ConnectionResetError):
                channel.send_rows(self._schema, rows)
            answer = channel.receive()
            raise_failure(answer)
        return Commit(**answer["result"])

    def in_parts(
        self, batches: Iterator[pa.RecordBatch], every: CommitEvery, acknowledge: Acknowledge
    ) -> Commit:
        """A commit for each part, and an acknowledgement: the last commit."""
        last: Commit | None = None
        offset = self._safe()
        if offset is not None:
            cut = _Cut(batches, offset)
            last, batches = self.write(cut.before(), offset=offset, is_known=True), cut.after()
        source = Source(batches)
        try:
            for part in Segments(source, every):
                first = next(part, None)
                if first is not None or last is None:
                    rows = chain(() if first is None else (first,), part)
                    later = {} if last is None else self._later()
                    last = self.write(rows, offset=offset or 0, **later)
                acknowledge(last)
                offset = last.offset
        finally:
            source.close()
        assert last is not None, "a stream has at least one part"
        return last

    def _safe(self) -> int | None:
        """How many rows of the stream are in the table already; None where it has not begun."""
        if self._arguments["token"] is None:
            return None
        told = self._engine._asked("offset", self._cancellation, **self._arguments)
        offset: int | None = told["offset"]
        return offset

    def _later(self) -> Mapping[str, Any]:
        """What follows the first commit adds to it, and to the table that it went to."""
        mode = IngestMode(self._arguments["mode"])
        added = mode if mode in _BY_KEY else IngestMode.APPEND
        return {"mode": added.value, "create_if_missing": False}


class _Cut:
    """Batches before and after a row. What is before has to be used up first."""

    def __init__(self, batches: Iterator[pa.RecordBatch], row: int) -> None:
        self._batches = batches
        self._row = row
        self._rest: pa.RecordBatch | None = None

    def before(self) -> Iterator[pa.RecordBatch]:
        """The batches up to the row."""
        left = self._row
        while left and (batch := next(self._batches, None)) is not None:
            yield batch.slice(0, left)
            self._rest = batch.slice(left) if batch.num_rows > left else None
            left -= min(left, batch.num_rows)

    def after(self) -> Iterator[pa.RecordBatch]:
        """The batches from the row on."""
        if self._rest is not None:
            yield self._rest
        yield from self._batches


def _asked(table: TableRef, request: IngestRequest, author: Author) -> dict[str, Any]:
    return {
        "namespace": table.namespace,
        "name": table.name,
        "version": None,
        "mode": request.mode.value,
        "key": list(request.key),
        "create_if_missing": request.create_if_missing,
        "token": request.token,
        "content": request.content,
        "principal": author.principal_id or author.principal,
        # Where in the stream the rows begin, of one that comes in parts; whether they are only
        # to be compared with what was written.
        "offset": None,
        "is_known": False,
        **by(author),
    }
