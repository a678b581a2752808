"""Tags, restores and feeds over renames, drops and restarts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flight_server.engines.lake.engine import LakeEngine
from flight_server.errors import AlreadyExists, Conflict, ErrorCode, NotFound
from flight_server.model import ChangesRequest, Images
from flight_server.settings import Settings
from flight_server.testing.conformance.handles import (
    AUTHOR,
    TableHandle,
    batches_of,
    reader_of,
    refused,
)
from tests.fix_lake import QUIET, OpenLake

WRITES = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.integers(1, 40)),
        st.tuples(st.just("update"), st.integers(1, 5)),
        st.tuples(st.just("delete"), st.integers(2, 5)),
        st.tuples(st.just("upsert"), st.integers(1, 9)),
        st.tuples(st.just("restore"), st.integers(0, 5)),
        st.tuples(st.just("flush"), st.just(0)),
    ),
    min_size=1,
    max_size=8,
)


def test_tags_outlive_the_process(open_lake: OpenLake) -> None:
    engine = open_lake()
    table = TableHandle(engine).create()
    made = engine.create_tag(table.ref, 'it\'s "a" tag 😀', None, AUTHOR)
    engine.create_tag(table.ref, "gone", None, AUTHOR)
    engine.drop_tag(table.ref, "gone", AUTHOR)
    other = TableHandle(engine, "Other")
    engine.rename_table(table.ref, other.ref, AUTHOR)
    engine.close()
    (found,) = open_lake().tags(other.ref)
    assert (found.name, found.snapshot, found.author) == (made.name, made.snapshot, "ada")
    assert found.created_at == made.created_at


def test_a_new_table_has_no_tags_of_an_old_one(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    lake.create_tag(table.ref, "a", None, AUTHOR)
    lake.drop_table(table.ref, AUTHOR)
    table.create()
    assert lake.tags(table.ref) == []
    lake.create_tag(table.ref, "a", None, AUTHOR)


def test_one_of_many_makes_a_tag(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    made: list[Any] = []

    def create() -> None:
        try:
            made.append(lake.create_tag(table.ref, "a", None, AUTHOR))
        except AlreadyExists as error:
            made.append(error)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in made if isinstance(one, AlreadyExists)]) == 3
    assert len(lake.tags(table.ref)) == 1


def test_drop_and_undrop_again_and_again(lake: LakeEngine) -> None:
    table = TableHandle(lake).create(key=("id",))
    for number in range(3):
        table.put([{"id": number}])
        lake.drop_table(table.ref, AUTHOR)
        with refused(ErrorCode.TABLE_NOT_FOUND, "'t'", error=NotFound):
            table.ids()
        lake.undrop_table(table.ref, AUTHOR)
        with refused(ErrorCode.ALREADY_EXISTS, "'t'", error=AlreadyExists):
            lake.undrop_table(table.ref, AUTHOR)
        assert table.ids() == list(range(number + 1))
        assert table.spec().key == ("id",)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakeEngine]:
    engine = LakeEngine.open(Settings(data=tmp_path_factory.mktemp("shared"), **QUIET))
    yield engine
    engine.close()


@settings(max_examples=15)
@given(writes=WRITES)
def test_a_feed_replayed_is_the_table(shared: LakeEngine, writes: list[tuple[str, int]]) -> None:
    """Over files and inlined rows, restores and maintenance; from any snapshot on."""
    table = TableHandle(shared, f"t{shared.snapshot()}").create(key=("id",))
    states, rows = {shared.snapshot(): table.scan(with_row_id=True)}, 0
    for what, size in writes:
        if what == "insert":
            table.stream(reader_of(batches_of(range(rows, rows + size), 15)))
            rows += size
        elif what == "update":
            table.update({"amount": f"{size} + amount"}, f"id % {size} = 0")
        elif what == "delete":
            table.delete(f"id % {size} = 1")
        elif what == "upsert":
            table.stream(reader_of(batches_of(range(0, rows + 1, size), 15)), "upsert")
        elif what == "restore":
            shared.restore(table.ref, list(states)[size % len(states)], AUTHOR)
        else:
            shared.housekeep([table.ref])
        states[shared.snapshot()] = table.scan(with_row_id=True)
    newest = shared.snapshot()
    for version, state in states.items():
        assert by_row(table.scan(version=version, with_row_id=True)) == by_row(state)
    for version in (min(states), sorted(states)[len(states) // 2]):
        replayed = by_row(states[version])
        request = ChangesRequest(after=version, until=newest, images=Images.BOTH)
        for change in shared.changes(table.ref, request).read_all().to_pylist():
            replay(replayed, change)
        assert replayed == by_row(states[newest])


def by_row(table: pa.Table) -> dict[int, Any]:
    return {row.pop("_row_id"): row for row in table.to_pylist()}


def replay(rows: dict[int, Any], change: dict[str, Any]) -> None:
    """Applies one change; it must fit what is there."""
    kind, row, _ = change.pop("_change"), change.pop("_row_id"), change.pop("_snapshot")
    if kind in ("delete", "update_preimage"):
        assert rows.pop(row) == change
    else:
        assert row not in rows
        rows[row] = change


def test_restores_while_others_append(lake: LakeEngine) -> None:
    """A restore takes away all that came before it and nothing that comes after."""
    table = TableHandle(lake).create()
    table.put([{"id": -1}])
    old, odd = lake.snapshot(), list[BaseException]()

    def append(first: int, size: int) -> None:
        for start in range(first, first + 10 * size, size):
            try:
                table.stream(reader_of(batches_of(range(start, start + size), 6_000)))
            except Conflict:
                continue
            except BaseException as error:
                odd.append(error)

    threads = [threading.Thread(target=append, args=one) for one in ((0, 1), (10**6, 12_000))]
    for thread in threads:
        thread.start()
    for _ in range(5):
        commit = lake.restore(table.ref, old, AUTHOR)
        assert table.ids(version=commit.snapshot) == [-1]
    for thread in threads:
        thread.join()
    assert odd == []
    lake.restore(table.ref, old, AUTHOR)
    assert table.ids() == [-1]
