"""Small appends that share a commit share nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pyarrow as pa
import pytest

from flight_server.engines.lake.commits import CommitLog, WriteTransaction
from flight_server.engines.lake.engine import LakeEngine
from flight_server.engines.lake.groups import GAP
from flight_server.errors import Conflict, PixelflightError, Unavailable
from flight_server.model import AddColumn, Author, Commit, IngestRequest
from flight_server.testing.conformance.handles import AUTHOR, TableHandle
from tests.fix_lake import PATIENCE_SECONDS, OpenLake, parquet_files, wait_until


@pytest.fixture
def lake_threads() -> int:
    """Several puts at once, and several of DuckDB's threads."""
    return 2


def together(
    lake: LakeEngine,
    jobs: list[Callable[[], Commit]],
    meanwhile: Callable[[], object] = lambda: None,
) -> list[Commit | Exception]:
    """Runs puts that come while somebody else commits, so that they form one group."""
    answers: dict[int, Commit | Exception] = {}

    def run(number: int, job: Callable[[], Commit]) -> None:
        try:
            answers[number] = job()
        except Exception as error:
            answers[number] = error

    threads = [threading.Thread(target=run, args=item) for item in enumerate(jobs)]
    with lake._log.lock:
        for thread in threads:
            thread.start()
        wait_until(lambda: len(lake._groups._waiting) == len(jobs), "all of them wait")
        meanwhile()
    for thread in threads:
        thread.join()
    return [answers[number] for number in range(len(jobs))]


def one(table: TableHandle, number: int, token: str | None = None) -> Callable[[], Commit]:
    return lambda: table.put([{"id": number}], token=token)


def puts(table: TableHandle, count: int, first: int = 0) -> list[Callable[[], Commit]]:
    return [one(table, number) for number in range(first, first + count)]


def commits(answers: list[Commit | Exception]) -> list[Commit]:
    assert all(isinstance(answer, Commit) for answer in answers), answers
    return [answer for answer in answers if isinstance(answer, Commit)]


def test_one_commit_for_all(lake: LakeEngine) -> None:
    table, other = TableHandle(lake).create(), TableHandle(lake, "other").create()
    before = lake.snapshot()
    answers = commits(together(lake, [*puts(table, 20), *puts(other, 5)]))
    assert {answer.snapshot for answer in answers} == {before + 1}
    assert {(answer.rows, answer.rows_inserted, answer.offset) for answer in answers} == {(1, 1, 1)}
    assert (table.ids(), other.ids()) == (list(range(20)), list(range(5)))


def test_the_log_names_the_authors(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    jobs: list[Callable[[], Commit]] = [
        lambda: table.put([{"id": 1}], author=Author("ada", reason="x")),
        lambda: table.put([{"id": 2}], author=Author("bob", reason="x")),
    ]
    commits(together(lake, jobs))
    newest = lake.versions(table.ref, 1)[0]
    assert newest.author == "several"
    assert newest.reason == "x, 2 puts together"
    commits(together(lake, puts(table, 3)))
    assert lake.versions(table.ref, 1)[0].author == AUTHOR.principal


def test_a_table_that_went_harms_no_other(lake: LakeEngine) -> None:
    table, gone = TableHandle(lake).create(), TableHandle(lake, "gone").create()
    changed = TableHandle(lake, "changed").create()

    def change() -> None:
        lake.drop_table(gone.ref, AUTHOR)
        changed.alter(AddColumn(pa.field("more", pa.int32())))

    jobs = [*puts(table, 3), *puts(gone, 2), *puts(changed, 1), *puts(table, 3, 3)]
    answers = together(lake, jobs, change)
    assert [type(answer) for answer in answers] == ([Commit] * 3 + [Conflict] * 3 + [Commit] * 3)
    assert table.ids() == list(range(6))


@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyError("a bug"), MemoryError()])
def test_everybody_hears_of_a_failure(
    lake: LakeEngine, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever it is: nobody is told of a commit that was not made, and nobody waits for ever."""
    table = TableHandle(lake).create()

    def fail(self: WriteTransaction) -> int:
        raise error

    monkeypatch.setattr(WriteTransaction, "commit", fail)
    answers = together(lake, puts(table, 6))
    monkeypatch.undo()
    assert [type(answer) for answer in answers] == [type(error)] * 6
    assert table.ids() == []
    assert commits(together(lake, puts(table, 6)))
    assert table.ids() == list(range(6))


def test_a_failure_is_each_ones_own(lake: LakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that fails is tried one by one: only who is at fault fails."""
    good, bad = TableHandle(lake).create(), TableHandle(lake, "bad").create()
    insert = type(lake._groups)._insert

    def picky(self: object, transaction: WriteTransaction, same: list[object]) -> None:
        if any(small.found.table == bad.ref for small in same):  # type: ignore[attr-defined]
            raise Unavailable("Not this one.")
        insert(lake._groups, transaction, same)  # type: ignore[arg-type]

    monkeypatch.setattr(type(lake._groups), "_insert", picky)
    answers = together(lake, [*puts(good, 4), *puts(bad, 1), *puts(good, 4, 4)])
    assert [isinstance(answer, Commit) for answer in answers] == [True] * 4 + [False] + [True] * 4
    assert isinstance(answers[4], PixelflightError)
    assert good.ids() == list(range(8))
    assert bad.ids() == []


def test_what_is_committed_is_not_committed_again(
    lake: LakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure after the commit is no reason to write the rows a second time."""
    table = TableHandle(lake).create()
    commit = WriteTransaction.commit

    def commit_and_fail(self: WriteTransaction) -> int:
        commit(self)
        raise KeyError("after the commit")

    monkeypatch.setattr(WriteTransaction, "commit", commit_and_fail)
    answers = commits(together(lake, puts(table, 5)))
    assert {answer.snapshot for answer in answers} == {lake.snapshot()}
    assert table.ids() == list(range(5))


def test_a_commit_whose_answer_is_lost_is_not_made_again(
    lake: LakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the failure comes before anybody is told of the commit."""
    table = TableHandle(lake).create()
    before, newest = lake.snapshot(), type(lake._log)._newest
    failures = [KeyError("right after the commit")]

    def fail_once(self: CommitLog) -> int:
        if failures:
            raise failures.pop()
        return newest(self)

    monkeypatch.setattr(type(lake._log), "_newest", fail_once)
    answers = together(lake, puts(table, 5))
    assert [type(answer) for answer in answers] == [KeyError] * 5
    assert table.ids() == list(range(5))
    assert lake.snapshot() == before + 1
    assert commits(together(lake, puts(table, 5, 5)))
    assert table.ids() == list(range(10))


def test_many_tokens_in_one_commit_make_no_file(open_lake: OpenLake) -> None:
    """Receipts are written after the flush of files, so they must not become one."""
    engine = open_lake()
    table = TableHandle(engine).create()
    jobs = [one(table, number, f"t{number}") for number in range(40)]
    commits(together(engine, jobs))
    files = parquet_files(engine._instance.settings.data)
    assert not [path for path in files if "ingest" in path.parts]
    assert table.ids() == list(range(40))


def test_a_put_that_finds_its_table_made_meanwhile_stops_no_leader(lake: LakeEngine) -> None:
    """It looks under the commit lock, which a leader waits for, and must not wait with it."""
    led = TableHandle(lake).create()
    request = IngestRequest(create_if_missing=True)
    for number in range(10):
        name = f"made {number}"
        threads = [
            threading.Thread(target=one(led, number), daemon=True),
            threading.Thread(
                target=lambda name=name: lake.ingest(
                    TableHandle(lake, name).ref, request, pa.table({"id": [1]}).to_reader(), AUTHOR
                ),
                daemon=True,
            ),
        ]
        with lake._log.lock:
            for thread in threads:
                thread.start()
            wait_until(lambda: lake._groups._is_led, "the first one leads")
            TableHandle(lake, name).create()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive(), "they wait for each other"
        assert TableHandle(lake, name).ids() == [1]


def test_a_leader_waits_while_one_after_the_other_comes(lake: LakeEngine) -> None:
    """Of four who wrote together before, each may take as long as the one that came before it."""
    table = TableHandle(lake).create()
    groups = lake._groups
    groups._expected, groups._patience_seconds = 4, float(PATIENCE_SECONDS)
    before = lake.snapshot()
    threads = []
    for number, job in enumerate(puts(table, 4), start=1):
        threads.append(threading.Thread(target=job))
        threads[-1].start()
        if number < 4:
            wait_until(lambda: len(groups._waiting) == number, "it waits")  # noqa: B023
            assert lake.snapshot() == before
    for thread in threads:
        thread.join()
    assert lake.snapshot() == before + 1
    assert table.ids() == [0, 1, 2, 3]


def test_a_leader_waits_for_nobody_who_stays_away(lake: LakeEngine) -> None:
    """Company that does not come costs a part of a commit, once."""
    table = TableHandle(lake).create()
    groups = lake._groups
    groups._expected, groups._patience_seconds = 4, 0.01
    assert table.put([{"id": 1}]).rows == 1
    assert groups._expected == 1
    groups._patience_seconds = float(PATIENCE_SECONDS)
    began = time.monotonic()
    assert table.put([{"id": 2}]).rows == 1
    assert time.monotonic() - began < PATIENCE_SECONDS * GAP / 2, "it waited for one more"
