"""What Pixeltable's tables were: their versions, what differs between them, and the way back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest

from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.errors import ErrorCode, InvalidRequest, NotFound, Unsupported
from flight_server.model import Author, ChangesRequest, Images, TableRef
from tests.fix_pixeltable import ANA, EVERY_KIND, NUMBERS, PICTURES, put, read

FEW = TableRef("pixeltable", "views", "few")
THEN = TableRef("pixeltable", "views", "then")
TILES = TableRef("pixeltable", "views", "tiles")
THREE = pa.table({"id": [1, 2, 3], "name": ["one", "two", "three"]})
NewTable = Callable[..., TableRef]


@pytest.fixture
def table(new_table: NewTable) -> TableRef:
    return new_table({"id": pa.int64(), "name": pa.string()}, key=("id",))


def fed(engine: PixeltableEngine, table: TableRef, **request: Any) -> list[tuple[Any, ...]]:
    with closing(engine.changes(table, ChangesRequest(**request))) as rows:
        found = rows.read_all().to_pylist()
    return [(row["_snapshot"], row["_change"], row["id"], row["name"]) for row in found]


def between(engine: PixeltableEngine, table: TableRef, older: int, newer: int) -> list[Any]:
    with closing(engine.diff(table, older, newer)) as rows:
        found = rows.read_all().to_pylist()
    return [(row["_change"], row["id"], row["name"]) for row in found]


def ids_of(engine: PixeltableEngine, table: TableRef, **request: Any) -> dict[int, int]:
    rows = read(engine, table, with_row_id=True, **request).to_pylist()
    return {row["id"]: row["_row_id"] for row in rows}


def test_versions_of_a_home_that_is_there(pixeltable: PixeltableEngine) -> None:
    told = [(one.snapshot, one.changes, one.rows) for one in pixeltable.versions(NUMBERS)]
    assert told == [
        (5, ("inserted",), 1),
        (4, ("altered",), None),
        (3, ("deleted",), 1),
        (2, ("updated",), 10),
        (1, ("inserted",), 500),
        (0, ("created",), 0),
    ]
    assert [one.snapshot for one in pixeltable.versions(NUMBERS, limit=2)] == [5, 4]
    (snapshot,) = pixeltable.versions(THEN)
    assert snapshot.changes == ("created",)
    assert pixeltable.versions(FEW)[-1].changes[0] == "created"


def test_who_made_a_version_and_why(writable: PixeltableEngine, table: TableRef) -> None:
    put(writable, table, THREE)
    writable.update(table, {"name": "'x'"}, "id = 1", Author("bob", reason="a whim"))
    newest, first, made = writable.versions(table)
    assert (newest.author, newest.reason, newest.rows) == ("bob", "a whim", 1)
    assert (first.author, first.changes, first.rows) == ("ana", ("inserted",), 3)
    assert made.changes == ("created",)
    assert newest.committed_at.utcoffset() == dt.timedelta(0)


def test_the_version_of_a_moment(writable: PixeltableEngine, table: TableRef) -> None:
    put(writable, table, THREE)
    for version in writable.versions(table):
        assert writable.version_at(table, version.committed_at) == version.snapshot
    assert writable.version_at(table, dt.datetime.now(dt.UTC)) == 1
    with pytest.raises(NotFound) as told:
        writable.version_at(table, dt.datetime(1999, 1, 1, tzinfo=dt.UTC))
    assert told.value.code is ErrorCode.VERSION_NOT_FOUND


def test_rows_keep_their_ids(writable: PixeltableEngine, table: TableRef) -> None:
    put(writable, table, THREE)
    before = ids_of(writable, table)
    assert len(set(before.values())) == 3
    writable.update(table, {"name": "'uno'"}, f"rowid = {before[1]}", ANA)
    writable.delete(table, f"rowid = {before[2]} AND id = 2", ANA)
    assert ids_of(writable, table) == {1: before[1], 3: before[3]}
    found = read(writable, table, filter=f"rowid = {before[1]}", columns=("name",))
    assert found.to_pylist() == [{"name": "uno"}]
    turned = read(writable, table, order_by="rowid DESC", limit=1, with_row_id=True)
    assert turned.to_pylist() == [{"id": 3, "name": "three", "_row_id": before[3]}]
    assert ids_of(writable, table, version=1) == before


def test_ids_of_views_and_of_what_has_none(pixeltable: PixeltableEngine) -> None:
    of_base = ids_of(pixeltable, NUMBERS)
    of_view = ids_of(pixeltable, FEW)
    assert of_view == {id_: of_base[id_] for id_ in of_view}
    assert len(of_view) == 49
    then = ids_of(pixeltable, THEN)
    assert then == {id_: of_base[id_] for id_ in then}
    with pytest.raises(Unsupported, match="no ids of one number"):
        read(pixeltable, TILES, with_row_id=True)


def test_the_feed_of_changes(writable: PixeltableEngine, table: TableRef) -> None:
    put(writable, table, THREE)
    start = writable.resolve(table).snapshot
    writable.update(table, {"name": "'uno'"}, "id = 1", ANA)
    writable.delete(table, "id = 2", ANA)
    put(writable, table, pa.table({"id": [4], "name": ["four"]}))
    after = [(2, "update_postimage", 1, "uno"), (3, "delete", 2, "two"), (4, "insert", 4, "four")]
    assert fed(writable, table, after=start) == after
    both = [(2, "update_preimage", 1, "one"), *after]
    assert fed(writable, table, after=start, images=Images.BOTH) == both
    assert fed(writable, table, after=2, until=3) == after[1:2]
    assert fed(writable, table, after=4) == []
    every = fed(writable, table, after=0)
    assert [row[:2] for row in every[:3]] == [(1, "insert")] * 3
    with closing(writable.changes(table, ChangesRequest(after=0))) as rows:
        assert rows.schema.names == ["_snapshot", "_row_id", "_change", "id", "name"]
        told = {row["id"]: row["_row_id"] for row in rows.read_all().to_pylist()}
    assert told[1] == ids_of(writable, table)[1]
    for wrong in ({"after": 77}, {"after": 0, "until": 77}):
        with pytest.raises(NotFound) as refused:
            fed(writable, table, **wrong)
        assert refused.value.code is ErrorCode.VERSION_NOT_FOUND


def test_following_gives_the_table(writable: PixeltableEngine, table: TableRef) -> None:
    held: dict[int, tuple[Any, ...]] = {}
    seen = 0
    acts: tuple[Callable[[], object], ...] = (
        lambda: put(writable, table, THREE),
        lambda: put(writable, table, pa.table({"id": [1, 9], "name": ["uno", "nine"]}), "upsert"),
        lambda: put(writable, table, THREE.slice(1), "overwrite"),
        lambda: writable.delete(table, "id = 3", ANA),
        lambda: writable.restore(table, 2, ANA),
        lambda: writable.update(table, {"name": "'x'"}, None, ANA),
    )
    for act in acts:
        act()
        with closing(writable.changes(table, ChangesRequest(after=seen))) as rows:
            for row in rows.read_all().to_pylist():
                seen = row["_snapshot"]
                if row["_change"] == "delete":
                    del held[row["_row_id"]]
                else:
                    assert (row["_change"] == "insert") == (row["_row_id"] not in held)
                    held[row["_row_id"]] = (row["id"], row["name"])
        now = read(writable, table).to_pylist()
        assert sorted(held.values()) == sorted((row["id"], row["name"]) for row in now)


def test_the_net_difference(writable: PixeltableEngine, table: TableRef) -> None:
    older = put(writable, table, THREE).snapshot
    put(writable, table, pa.table({"id": [4, 5], "name": ["four", "five"]}))
    writable.update(table, {"name": "'uno'"}, "id = 1", ANA)
    writable.update(table, {"name": "'x'"}, "id = 3", ANA)
    writable.update(table, {"name": "'three'"}, "id = 3", ANA)
    writable.delete(table, "id IN (2, 5)", ANA)
    newer = writable.resolve(table).snapshot
    assert between(writable, table, older, newer) == [
        ("update_preimage", 1, "one"),
        ("update_postimage", 1, "uno"),
        ("delete", 2, "two"),
        ("insert", 4, "four"),
    ]
    assert between(writable, table, newer, newer) == []
    with closing(writable.diff(table, older, newer)) as rows:
        assert rows.schema.names == ["_change", "_row_id", "id", "name"]
    with pytest.raises(InvalidRequest, match="Exchange them"):
        writable.diff(table, newer, older)
    with pytest.raises(NotFound):
        writable.diff(table, older, 77)


def test_differences_of_a_home_that_is_there(pixeltable: PixeltableEngine) -> None:
    with closing(pixeltable.diff(NUMBERS, 1, 5)) as rows:
        found = rows.read_all()
    kinds = found["_change"].to_pylist()
    assert (kinds.count("update_preimage"), kinds.count("delete")) == (9, 1)
    assert found.filter(pa.compute.equal(found["_change"], "insert"))["name"].to_pylist() == [
        "late"
    ]
    # A column that came changes no row by itself, and the older rows have none of it.
    before = found.filter(pa.compute.equal(found["_change"], "update_preimage"))
    assert before["twice"].null_count == 9
    with closing(pixeltable.diff(FEW, 0, pixeltable.resolve(FEW).snapshot)) as rows:
        assert rows.read_all().num_rows == 0


def test_every_type_comes_through(pixeltable: PixeltableEngine) -> None:
    schema = pixeltable.resolve(EVERY_KIND).schema
    rows = read(pixeltable, EVERY_KIND, order_by="n")
    for found in (
        pixeltable.diff(EVERY_KIND, 0, 1),
        pixeltable.changes(EVERY_KIND, ChangesRequest(after=0)),
    ):
        with closing(found) as stream:
            told = stream.read_all()
        assert set(told["_change"].to_pylist()) == {"insert"}
        # As texts: what is no number equals nothing.
        assert str(told.select(schema.names).sort_by("n").to_pylist()) == str(rows.to_pylist())


def test_media_and_what_is_computed_whenever_it_is_read(pixeltable: PixeltableEngine) -> None:
    with closing(pixeltable.changes(PICTURES, ChangesRequest(after=0))) as stream:
        told = stream.read_all()
    assert told.schema.names[3:] == ["n", "picture", "width", "kept"]
    assert told["picture"][0].as_py().endswith("0.png")
    with pytest.raises(Unsupported, match="compare two versions"):
        pixeltable.changes(FEW, ChangesRequest(after=0))


def test_a_state_comes_back(writable: PixeltableEngine, table: TableRef) -> None:
    old = put(writable, table, THREE).snapshot
    ids = ids_of(writable, table)
    writable.update(table, {"name": "'x'"}, None, ANA)
    writable.delete(table, "id = 1", ANA)
    put(writable, table, pa.table({"id": [4], "name": ["four"]}))
    new = writable.resolve(table).snapshot
    commit = writable.restore(table, old, Author("eve", reason="undo"))
    assert (commit.snapshot, commit.rows_inserted, commit.rows_deleted) == (new + 1, 3, 3)
    assert read(writable, table, order_by="id").equals(THREE.cast(read(writable, table).schema))
    assert ids_of(writable, table) == ids
    assert between(writable, table, old, new + 1) == []
    newest = writable.versions(table)[0]
    assert (newest.author, newest.changes) == ("eve", ("inserted", "deleted"))
    writable.restore(table, new, ANA)
    assert sorted(ids_of(writable, table)) == [2, 3, 4]
    assert writable.restore(table, new + 2, ANA).snapshot == new + 2
    with pytest.raises(NotFound):
        writable.restore(table, 77, ANA)
    # Its key and its indexes go on as before.
    put(writable, table, pa.table({"id": [2, 7], "name": ["b", "c"]}), "upsert")
    assert read(writable, table, filter="name = 'b'")["id"].to_pylist() == [2]


def test_views_and_computed_columns_follow(writable: PixeltableEngine) -> None:
    before = read(writable, NUMBERS, order_by="id")
    view = read(writable, FEW, order_by="id")
    old = writable.resolve(NUMBERS).snapshot
    writable.delete(NUMBERS, "id BETWEEN 10 AND 20", ANA)
    writable.update(NUMBERS, {"x": "7.0"}, "id = 30", ANA)
    put(writable, NUMBERS, pa.table({"id": [3], "name": ["back"], "even": [False]}))
    assert not read(writable, FEW, order_by="id").equals(view)
    writable.restore(NUMBERS, old, ANA)
    assert read(writable, NUMBERS, order_by="id").equals(before)
    assert read(writable, FEW, order_by="id").equals(view)
    with pytest.raises(Unsupported, match="columns of the table have changed"):
        writable.restore(NUMBERS, 2, ANA)
    with pytest.raises(Unsupported, match="this is a view"):
        writable.restore(FEW, 0, ANA)


def test_a_view_at_its_newest_version_sees_its_base_as_it_is(writable: PixeltableEngine) -> None:
    version = writable.resolve(FEW).snapshot
    # No column of the view is made of this one: it makes no version of the view.
    writable.update(NUMBERS, {"name": "'seen'"}, "id = 5", ANA)
    assert writable.resolve(FEW).snapshot == version
    found = read(writable, FEW, filter="id = 5", version=version)
    assert found["name"].to_pylist() == ["seen"]
