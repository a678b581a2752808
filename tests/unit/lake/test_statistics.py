"""Housekeeping changes no answer: of no version, whichever way its rows are asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pytest

from flight_server.engines.lake import statistics
from flight_server.engines.lake.engine import LakeEngine
from flight_server.engines.lake.instance import METADATA, Instance
from flight_server.errors import PixelflightError
from flight_server.model import ScanRequest, SqlRequest
from flight_server.testing.conformance.handles import AUTHOR, TableHandle
from tests.fix_lake import EAGER, OpenLake

QUESTIONS = (
    "SELECT count(*) AS n FROM {t} WHERE id = 11",
    "SELECT count(*) AS n FROM {t} WHERE id < 3000 AND name IS NOT NULL",
    "SELECT count(*) AS n FROM {t} WHERE amount IS NULL",
    "SELECT min(id) AS low, max(id) AS high, count(amount) AS n, count(*) AS every FROM {t}",
    "SELECT min(name) AS low, max(name) AS high FROM {t}",
    "SELECT id, count(*) AS n FROM {t} GROUP BY id ORDER BY id LIMIT 5",
    "SELECT id FROM {t} ORDER BY id DESC LIMIT 3",
    "SELECT count(*) AS n FROM (FROM {t}) AS a JOIN (FROM {t}) AS b ON a.id = b.id + 1",
)
ROWS = [{"id": n, "name": f"{n:06}", "amount": None if n == 20 else n / 7} for n in range(11, 8011)]


def answers(engine: LakeEngine, table: TableHandle, version: int) -> list[Any]:
    """What a version says to everything that a statistic could spoil."""
    at = f"{table.ref.sql} AT (VERSION => {version})"
    found: list[Any] = [
        engine.run_sql(SqlRequest(question.format(t=at))).read_all().to_pylist()
        for question in QUESTIONS
    ]
    for request in (
        ScanRequest(filter="id = 11", version=version),
        ScanRequest(filter="amount IS NULL", version=version),
        ScanRequest(order_by="id", limit=3, version=version),
        ScanRequest(columns=("id",), version=version),
    ):
        rows = engine.scan(table.ref, request).read_all().to_pylist()
        found.append(sorted(rows, key=lambda row: row["id"]))
    return found


def versions(table: TableHandle) -> list[int]:
    found: list[int] = [one.snapshot for one in table.engine.versions(table.ref)]
    return found


@contextmanager
def unchanged(
    engine: LakeEngine, table: TableHandle, before: dict[int, list[Any]]
) -> Iterator[None]:
    """A block after which every version that was there answers as before.

    `before` is what versions answered when they were first asked; those that are new are added.
    """
    for version in set(versions(table)) - set(before):
        before[version] = answers(engine, table, version)
    assert len(before) > 1
    yield
    assert {version: answers(engine, table, version) for version in before} == before


@pytest.mark.parametrize("inlined", [True, False], ids=["inlined", "in files"])
def test_no_version_answers_otherwise(open_lake: OpenLake, inlined: bool) -> None:
    engine = open_lake()
    table, before = TableHandle(engine).create(), dict[int, list[Any]]()
    for start in range(0, len(ROWS), 2000):
        table.put(ROWS[start : start + 2000])
    table.delete("id = 11" if inlined else "id < 6000 OR amount IS NULL")
    with unchanged(engine, table, before):
        engine.housekeep()
    table.update({"id": "id + 100000"}, "id > 6500")
    table.put(ROWS[:5])
    with unchanged(engine, table, before):
        assert engine.housekeep().files_written > 0
    table.put(ROWS[:3000], "overwrite")
    table.delete("id > 100 AND id < 2500")
    with unchanged(engine, table, before):
        assert engine.housekeep().files_written > 0
    with unchanged(engine, table, before):
        engine.housekeep([table.ref])


def rewritten_often(engine: LakeEngine) -> TableHandle:
    """A table most rows of which are deleted: the next round writes it anew."""
    table = TableHandle(engine).create()
    table.put(ROWS)
    table.delete("id < 6000 OR amount IS NULL")
    return table


def test_smallest_and_largest_are_those_of_rows_that_are_there(open_lake: OpenLake) -> None:
    engine = open_lake()
    table = rewritten_often(engine)
    engine.housekeep()
    ends = SqlRequest(f"SELECT min(id) AS low, max(id) AS high FROM {table.ref.sql}")
    assert engine.run_sql(ends).read_all().to_pylist() == [{"low": 6000, "high": 8010}]
    table.put([{"id": 5}])
    assert engine.run_sql(ends).read_all().to_pylist() == [{"low": 5, "high": 8010}]


def test_a_crash_before_statistics_are_put_back(
    open_lake: OpenLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_lake()
    table = rewritten_often(engine)
    before = {version: answers(engine, table, version) for version in versions(table)}
    with monkeypatch.context() as crash:
        crash.setattr(statistics, "_PUT_BACK", ())
        assert engine.housekeep().files_written > 0
    spoilt = ScanRequest(filter="id = 11", version=versions(table)[-2])
    assert engine.scan(table.ref, spoilt).read_all().num_rows == 0
    engine.close()
    engine = open_lake()
    table = TableHandle(engine)
    assert {version: answers(engine, table, version) for version in before} == before
    kept = f"SELECT * FROM {METADATA}.pixelflight_column_stats"
    with pytest.raises(Exception, match="does not exist"):
        engine._instance.rows(kept)


def test_nothing_is_committed_before_statistics_are_put_back(
    open_lake: OpenLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_lake()
    table = rewritten_often(engine)
    first = versions(table)[-2]
    before = answers(engine, table, first)
    with monkeypatch.context() as failing:
        failing.setattr(statistics, "_PUT_BACK", ("SELECT error('no room')",))
        with pytest.raises(PixelflightError):
            engine.housekeep()
        with pytest.raises(duckdb.Error, match="no room"):
            table.put([{"id": 5}])
    table.put([{"id": 5}])
    assert answers(engine, table, first) == before
    assert table.ids(filter="id = 5") == [5]


def test_nobody_begins_to_read_before_statistics_are_put_back(
    open_lake: OpenLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_lake()
    table = rewritten_often(engine)
    first = versions(table)[-2]
    before, during = answers(engine, table, first), list[Any]()
    put_back = statistics.put_back

    def slowly(instance: Instance) -> None:
        reader = threading.Thread(
            target=lambda: during.append(answers(engine, table, first)), name="reader"
        )
        reader.start()
        reader.join(0.3)
        assert during == []
        put_back(instance)

    # Only what follows the commit is slow; the first call finds nothing to put back.
    calls = iter([put_back, slowly])
    monkeypatch.setattr(statistics, "put_back", lambda instance: next(calls)(instance))
    assert engine.housekeep().files_written > 0
    for thread in threading.enumerate():
        if thread.name == "reader":
            thread.join()
    assert during == [before]


def test_a_lake_that_expires_goes_on(open_lake: OpenLake) -> None:
    engine = open_lake(**EAGER)
    table = rewritten_often(engine)
    engine.create_tag(table.ref, "first", versions(table)[-2], AUTHOR)
    first = answers(engine, table, versions(table)[-2])
    for _ in range(3):
        engine.housekeep()
        table.put(ROWS[:100])
        table.delete("id < 1000")
    tagged = engine.tagged(table.ref, "first")
    assert answers(engine, table, tagged) == first
