"""Long streams that commit as they go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from flight_server.errors import ErrorCode, Unavailable
from flight_server.model import Commit, CommitEvery
from flight_server.testing.conformance.handles import (
    SCHEMA,
    EngineCase,
    TableHandle,
    batches_of,
    reader_of,
    refused,
)

TEN = CommitEvery(rows=10)


class StreamTests(EngineCase):
    """`commit_every`."""

    @pytest.mark.parametrize("every", [TEN, CommitEvery(bytes=100), CommitEvery(rows=1, ms=1)])
    def test_commits_as_it_goes(self, engine: Any, every: CommitEvery) -> None:
        """Several commits, each acknowledged; the last one is the answer."""
        table, commits = TableHandle(engine).create(), list[Commit]()
        answer = table.stream(
            reader_of(batches_of(range(100), 10)), commit_every=every, acknowledge=commits.append
        )
        assert len(commits) >= 5
        assert commits[-1] == answer
        assert sum(commit.rows for commit in commits) == 100
        offsets = [commit.offset for commit in commits]
        assert offsets == sorted(offsets)
        assert answer.offset == 100
        assert table.ids() == list(range(100))

    def test_an_acknowledged_row_is_there(self, engine: Any) -> None:
        """While the stream goes on, others see what was acknowledged."""
        table, seen = TableHandle(engine).create(), list[tuple[int, int]]()
        table.stream(
            reader_of(batches_of(range(50), 10)),
            commit_every=TEN,
            acknowledge=lambda commit: seen.append((commit.offset, len(table.ids()))),
        )
        assert len(seen) >= 4
        for offset, rows in seen:
            assert rows >= offset

    def test_one_commit_by_default(self, engine: Any) -> None:
        """And one acknowledgement, which is the answer."""
        table, commits = TableHandle(engine).create(), list[Commit]()
        answer = table.stream(reader_of(batches_of(range(50), 5)), acknowledge=commits.append)
        assert commits == [answer]
        assert (answer.rows, answer.offset) == (50, 50)

    def test_ends_on_the_bound(self, engine: Any) -> None:
        """A stream that ends just where a commit does loses and doubles nothing."""
        table = TableHandle(engine).create()
        answer = table.stream(reader_of(batches_of(range(20), 10)), commit_every=TEN)
        assert answer.offset == 20
        assert table.ids() == list(range(20))

    def test_breaks_in_the_middle(self, engine: Any) -> None:
        """What was acknowledged stays, and nothing else."""
        table, commits = TableHandle(engine).create(), list[Commit]()
        broken = reader_of(batches_of(range(35), 5), Unavailable("The line is cut."))
        with refused(ErrorCode.UNAVAILABLE, error=Unavailable):
            table.stream(broken, commit_every=TEN, acknowledge=commits.append)
        assert 10 <= commits[-1].offset <= 35
        assert table.ids() == list(range(commits[-1].offset))

    def test_a_bad_row_in_the_middle(self, engine: Any) -> None:
        """The same."""
        table, commits = TableHandle(engine).create(), list[Commit]()
        bad = pa.RecordBatch.from_arrays([[None], [None], [None]], schema=SCHEMA)
        stream = [*batches_of(range(30), 5), bad, *batches_of(range(30, 60), 5)]
        with refused(ErrorCode.INVALID_DATA, "'id'"):
            table.stream(reader_of(stream), commit_every=TEN, acknowledge=commits.append)
        assert 10 <= commits[-1].offset <= 30
        assert table.ids() == list(range(commits[-1].offset))

    @pytest.mark.parametrize("mode", ["create", "overwrite", "upsert", "merge"])
    def test_in_every_mode(self, engine: Any, mode: str) -> None:
        """The first commit creates or overwrites; the others add to it."""
        table = TableHandle(engine)
        if mode != "create":
            table.create(key=("id",))
            table.put([{"id": 5}, {"id": 1000}])
        answer = table.stream(reader_of(batches_of(range(40), 10)), mode, commit_every=TEN)
        assert answer.offset == 40
        kept = [1000] if mode in ("upsert", "merge") else []
        assert table.ids() == [*range(40), *kept]

    def test_bounded_by_what_it_commits(self, engine: Any) -> None:
        """A stream is committed while it flows, not when it has ended."""
        table, sent, safe = TableHandle(engine).create(), list[int](), list[int]()

        def flow() -> Iterator[pa.RecordBatch]:
            for batch in batches_of(range(100), 10):
                sent.append(batch.num_rows)
                yield batch

        table.stream(
            pa.RecordBatchReader.from_batches(SCHEMA, flow()),
            commit_every=TEN,
            acknowledge=lambda commit: safe.append(sum(sent)),
        )
        assert safe[0] < 100
