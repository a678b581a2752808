"""Exactly-once: an ingest token says that a stream was sent before."""

from __future__ import annotations

import threading
from typing import Any

import pyarrow as pa
import pytest

from flight_server.errors import Conflict, ErrorCode, Unavailable
from flight_server.model import Author, Commit, CommitEvery
from flight_server.testing.conformance.handles import (
    AUTHOR,
    THREE,
    EngineCase,
    TableHandle,
    batches_of,
    reader_of,
    refused,
    table_of,
    unordered,
)

TEN = CommitEvery(rows=10)
BOB = Author(principal="bob")


class TokenTests(EngineCase):
    """Retries that add nothing."""

    @pytest.mark.parametrize("mode", ["append", "upsert", "merge", "overwrite", "create"])
    def test_a_repeated_token(self, engine: Any, mode: str) -> None:
        """Is answered with the first commit, and adds no row, whatever came between."""
        table, answers = TableHandle(engine), list[Commit]()
        if mode != "create":
            table.create(key=("id",))
        first = table.put(THREE, mode, token="a", key=("id",))
        assert not first.duplicate
        table.put([{"id": 9}])
        again = table.put(THREE, mode, token="a", key=("id",), acknowledge=answers.append)
        assert again.duplicate
        assert (again.snapshot, again.rows, again.offset) == (first.snapshot, 3, 3)
        assert again.rows_inserted == first.rows_inserted
        assert answers == [again]
        assert table.ids() == [1, 2, 3, 9]

    def test_the_same_rows_in_other_batches(self, table: TableHandle) -> None:
        """Are the same content."""
        first = table.stream(reader_of(batches_of(range(10, 30), 20)), token="a")
        again = table.stream(reader_of(batches_of(range(10, 30), 3)), token="a")
        assert (again.duplicate, again.snapshot) == (True, first.snapshot)
        assert table.ids() == [1, 2, 3, *range(10, 30)]

    def test_nothing_twice(self, table: TableHandle) -> None:
        """A stream of no rows is a stream too."""
        table.put([], token="a")
        assert table.put([], token="a").duplicate
        with refused(ErrorCode.TOKEN_CONFLICT, "'a'", error=Conflict):
            table.put([{"id": 4}], token="a")

    def test_nothing_in_another_way(self, table: TableHandle) -> None:
        """A stream of no rows that would do something else is other content."""
        table.put([], token="a")
        with refused(ErrorCode.TOKEN_CONFLICT, "'a'", error=Conflict):
            table.put([], "overwrite", token="a")
        with refused(ErrorCode.TOKEN_CONFLICT, "'a'", error=Conflict):
            table.put(pa.table({"id": pa.array([], pa.int64())}), token="a")
        assert table.ids() == [1, 2, 3]
        table.put([], "overwrite", token="b")
        assert table.put([], "overwrite", token="b").duplicate
        assert table.ids() == []

    @pytest.mark.parametrize(
        "other",
        [
            table_of([*THREE[:2], {"id": 3, "name": "else", "amount": -3.0}]),
            table_of(THREE[:2]),
            table_of([*THREE, {"id": 4}]),
            table_of(THREE[::-1]),
            table_of(THREE).drop_columns("amount"),
        ],
        ids=["another value", "fewer rows", "more rows", "another order", "fewer columns"],
    )
    def test_other_content(self, engine: Any, other: pa.Table) -> None:
        """Under a token that was used is refused, and adds nothing."""
        table = TableHandle(engine).create()
        table.put(THREE, token="a")
        with refused(ErrorCode.TOKEN_CONFLICT, "'a'", error=Conflict):
            table.put(other, token="a")
        assert table.rows() == unordered(THREE)

    def test_another_mode(self, table: TableHandle) -> None:
        """Is other content."""
        table.put([{"id": 4}], token="a")
        with refused(ErrorCode.TOKEN_CONFLICT, "'a'", error=Conflict):
            table.put([{"id": 4}], "upsert", token="a")

    def test_a_token_is_of_one_table_and_one_principal(self, engine: Any) -> None:
        """Elsewhere, and from somebody else, it is another token."""
        one, two = TableHandle(engine, "one").create(), TableHandle(engine, "two").create()
        for table, author in ((one, AUTHOR), (two, AUTHOR), (one, BOB)):
            assert not table.put(THREE, token="a", author=author).duplicate
        assert (len(one.rows()), len(two.rows())) == (6, 3)

    def test_a_failed_ingest_uses_no_token(self, table: TableHandle) -> None:
        """The retry is the first."""
        broken = reader_of(batches_of(range(10, 30), 5), Unavailable("The line is cut."))
        with refused(ErrorCode.UNAVAILABLE, error=Unavailable):
            table.stream(broken, token="a")
        with refused(ErrorCode.INVALID_DATA):
            table.put({"id": pa.array([None], pa.int64())}, token="a")
        assert not table.put([{"id": 4}], token="a").duplicate
        assert table.ids() == [1, 2, 3, 4]

    def test_a_broken_stream_goes_on(self, engine: Any) -> None:
        """The whole stream is sent again; only what is beyond the last commit is added."""
        table, commits = TableHandle(engine).create(), list[Commit]()
        broken = reader_of(batches_of(range(35), 5), Unavailable("The line is cut."))
        with refused(ErrorCode.UNAVAILABLE, error=Unavailable):
            table.stream(broken, token="a", commit_every=TEN, acknowledge=commits.append)
        assert table.ids() == list(range(commits[-1].offset))
        whole = reader_of(batches_of(range(60), 7))
        answer = table.stream(whole, token="a", commit_every=TEN, acknowledge=commits.append)
        assert answer.offset == 60
        assert not answer.duplicate
        assert commits[-1] == answer
        assert sum(commit.rows for commit in commits if not commit.duplicate) == 60
        assert table.ids() == list(range(60))

    def test_a_stream_that_went_on_is_answered_again(self, engine: Any) -> None:
        """With its last commit, once it has come to its end."""
        table = TableHandle(engine).create()
        first = table.stream(reader_of(batches_of(range(40), 10)), token="a", commit_every=TEN)
        again = table.stream(reader_of(batches_of(range(40), 10)), token="a", commit_every=TEN)
        assert again.duplicate
        assert (again.snapshot, again.offset) == (first.snapshot, 40)
        assert table.ids() == list(range(40))

    @pytest.mark.parametrize("mode", ["create", "overwrite", "upsert"])
    def test_a_broken_stream_goes_on_in_every_mode(self, engine: Any, mode: str) -> None:
        """What the first try created or overwrote is not made again."""
        table = TableHandle(engine)
        if mode != "create":
            table.create(key=("id",))
            table.put([{"id": 0}])
        request: dict[str, Any] = {"token": "a", "commit_every": TEN, "key": ("id",)}
        broken = reader_of(batches_of(range(25), 5), Unavailable("The line is cut."))
        with refused(ErrorCode.UNAVAILABLE, error=Unavailable):
            table.stream(broken, mode, **request)
        answer = table.stream(reader_of(batches_of(range(50), 5)), mode, **request)
        assert answer.offset == 50
        assert table.ids() == list(range(50))

    def test_other_content_cannot_go_on(self, engine: Any) -> None:
        """The rows that were safe have to come again as they were."""
        table, commits = TableHandle(engine).create(), list[Commit]()
        broken = reader_of(batches_of(range(35), 5), Unavailable("The line is cut."))
        with refused(ErrorCode.UNAVAILABLE, error=Unavailable):
            table.stream(broken, token="a", commit_every=TEN, acknowledge=commits.append)
        with refused(ErrorCode.TOKEN_CONFLICT, "'a'", error=Conflict):
            table.stream(reader_of(batches_of(range(1, 61), 5)), token="a", commit_every=TEN)
        assert table.ids() == list(range(commits[-1].offset))

    def test_two_clients_at_once(self, engine: Any) -> None:
        """Of several that send one token at the same time, one writes."""
        table, answers = TableHandle(engine).create(), list[Commit]()
        barrier = threading.Barrier(4)

        def send() -> None:
            barrier.wait()
            answers.append(table.put(THREE, token="a"))

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answer.duplicate for answer in answers) == [False, True, True, True]
        assert len({answer.snapshot for answer in answers}) == 1
        assert table.rows() == unordered(THREE)
