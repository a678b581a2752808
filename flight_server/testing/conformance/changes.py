"""The feed of changed rows."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest

from flight_server.errors import ErrorCode, NotFound
from flight_server.model import CHANGE_COLUMNS, ChangesRequest, Images
from flight_server.testing.conformance.handles import (
    AUTHOR,
    SCHEMA,
    THREE,
    EngineCase,
    TableHandle,
    refused,
    unordered,
)

Rows = list[dict[str, Any]]
# What the lake's own SQL calls things, or DuckLake its virtual columns.
INNER_NAMES = ("_row", "_at", "snapshot_id", "kept", "was", "came", "went", "fed", "file_index")


class ChangesTests(EngineCase):
    """Following a table."""

    def test_the_schema(self, engine: Any, table: TableHandle) -> None:
        """Three columns of the feed, then the table's own."""
        with closing(engine.changes(table.ref, ChangesRequest(after=0))) as reader:
            assert reader.schema.names == ["_snapshot", "_row_id", "_change", *SCHEMA.names]
            for field in CHANGE_COLUMNS:
                assert reader.schema.field(field.name).type == field.type
            for field in SCHEMA:
                assert reader.schema.field(field.name).type == field.type

    def test_from_the_beginning(self, engine: Any, table: TableHandle) -> None:
        """After 0 comes everything."""
        found = _changes(table, after=0)
        assert {row["_change"] for row in found} == {"insert"}
        assert unordered([{n: row[n] for n in SCHEMA.names} for row in found]) == unordered(THREE)

    def test_from_before_the_beginning(self, table: TableHandle) -> None:
        """There is no such version, and none that has expired."""
        with refused(ErrorCode.VERSION_NOT_FOUND, "There is no version -5", error=NotFound):
            _changes(table, after=-5)

    def test_each_kind(self, engine: Any, table: TableHandle) -> None:
        """By snapshot, with the ids of the rows."""
        row_ids = {row["id"]: row["_row_id"] for row in table.rows(with_row_id=True)}
        start = engine.snapshot()
        inserted = table.put([{"id": 4, "name": "four"}]).snapshot
        updated = table.update({"name": "'uno'"}, "id = 1").snapshot
        deleted = table.delete("id = 2").snapshot
        found = _changes(table, after=start)
        assert [(row["_snapshot"], row["_change"], row["id"], row["name"]) for row in found] == [
            (inserted, "insert", 4, "four"),
            (updated, "update_postimage", 1, "uno"),
            (deleted, "delete", 2, "two"),
        ]
        assert found[1]["_row_id"] == row_ids[1]
        assert found[2]["_row_id"] == row_ids[2]

    def test_both_images(self, engine: Any, table: TableHandle) -> None:
        """The row before comes before the row after."""
        start = engine.snapshot()
        table.update({"name": "'uno'"}, "id = 1")
        table.update({"name": "'eins'"}, "id = 1")
        found = _changes(table, after=start, images=Images.BOTH)
        assert [(row["_change"], row["name"]) for row in found] == [
            ("update_preimage", "one"),
            ("update_postimage", "uno"),
            ("update_preimage", "uno"),
            ("update_postimage", "eins"),
        ]
        assert len({row["_row_id"] for row in found}) == 1

    @pytest.mark.parametrize("mode", ["upsert", "merge"])
    def test_writes_by_key(self, engine: Any, table: TableHandle, mode: str) -> None:
        """Are updates of the rows that were known, and inserts."""
        start = engine.snapshot()
        table.put([{"id": 1, "name": "uno"}, {"id": 9, "name": "nine"}], mode)
        found = {(row["_change"], row["id"], row["name"]) for row in _changes(table, after=start)}
        assert found == {("update_postimage", 1, "uno"), ("insert", 9, "nine")}

    def test_overwrite_in_the_feed(self, engine: Any, table: TableHandle) -> None:
        """Deletes what was there and inserts what came."""
        start = engine.snapshot()
        table.put([{"id": 1, "name": "new"}], "overwrite")
        found = _changes(table, after=start)
        assert sorted((row["_change"], row["id"]) for row in found) == [
            ("delete", 1),
            ("delete", 2),
            ("delete", 3),
            ("insert", 1),
        ]

    @pytest.mark.parametrize("name", INNER_NAMES)
    def test_columns_of_inner_names(self, engine: Any, name: str) -> None:
        """A column may be called as something inside an engine is."""
        schema = pa.schema([("id", pa.int64()), (name, pa.int64())])
        table = TableHandle(engine).create(schema, key=("id",))
        first = table.put({"id": [1, 2, 3], name: [11, 12, 13]}).snapshot
        table.put({"id": [2, 4], name: [22, 14]}, "upsert")
        table.delete("id = 3")
        found = _changes(table, after=first, images=Images.BOTH)
        told = sorted((row["_change"], row["id"], row[name]) for row in found)
        assert told == [
            ("delete", 3, 13),
            ("insert", 4, 14),
            ("update_postimage", 2, 22),
            ("update_preimage", 2, 12),
        ]
        with closing(engine.diff(table.ref, first, engine.snapshot())) as stream:
            rows = stream.read_all().to_pylist()
        assert sorted((row["_change"], row["id"], row[name]) for row in rows) == told
        engine.restore(table.ref, first, AUTHOR)
        assert table.rows() == unordered([{"id": n, name: n + 10} for n in (1, 2, 3)])

    def test_a_window(self, engine: Any, table: TableHandle) -> None:
        """After one snapshot, up to and with another; nothing after the newest."""
        snapshots = [table.put([{"id": i}]).snapshot for i in range(10, 15)]
        found = _changes(table, after=snapshots[0], until=snapshots[3])
        assert [row["id"] for row in found] == [11, 12, 13]
        assert [row["_snapshot"] for row in found] == snapshots[1:4]
        assert _changes(table, after=engine.snapshot()) == []

    def test_other_tables_are_not_in_it(self, engine: Any, table: TableHandle) -> None:
        """Neither their rows nor their schema changes."""
        start = engine.snapshot()
        TableHandle(engine, "other").create().put([{"id": 7}])
        assert _changes(table, after=start) == []

    def test_following_replays_the_table(self, engine: Any) -> None:
        """The feed, applied to an empty table, gives the table, through writes of all kinds."""
        table = TableHandle(engine).create(key=("id",))
        replay: dict[int, dict[str, Any]] = {}
        marks = [0]
        for act in (
            lambda: table.put(THREE),
            lambda: table.put([{"id": 1, "name": "uno"}, {"id": 4}], "upsert"),
            lambda: table.put([{"id": 4, "name": "four"}], "merge"),
            lambda: table.update({"amount": "1.0"}, "id > 1"),
            lambda: table.delete("id = 3"),
            lambda: table.put([{"id": 8}, {"id": 1}], "overwrite"),
            lambda: table.put([{"id": 9}]),
            lambda: engine.restore(table.ref, marks[2], AUTHOR),
        ):
            act()
            for row in _changes(table, after=marks[-1]):
                apply(replay, row)
            marks.append(engine.snapshot())
            assert unordered(list(replay.values())) == table.rows()

    def test_changes_under_another_name_are_its_own(self, engine: Any, table: TableHandle) -> None:
        """Whatever else had the table's name meanwhile."""
        since = engine.snapshot()
        away = TableHandle(engine, "away")
        engine.rename_table(table.ref, away.ref, AUTHOR)
        # Another table gets the name, and loses a row as this one does.
        table.create()
        table.put(THREE)
        with engine.transaction(AUTHOR) as transaction:
            transaction.delete(table.ref, "id = 3", AUTHOR)
            transaction.delete(away.ref, "id = 2", AUTHOR)
            transaction.commit()
        away.update({"amount": "7"}, "id = 1")
        engine.drop_table(table.ref, AUTHOR)
        engine.rename_table(away.ref, table.ref, AUTHOR)
        table.delete("id = 3")
        found = _changes(table, after=since, images=Images.BOTH)
        told = [(row["_change"], row["id"], row["amount"]) for row in found]
        assert told == [
            ("delete", 2, None),
            ("update_preimage", 1, 1.5),
            ("update_postimage", 1, 7.0),
            ("delete", 3, -3.0),
        ]

    def test_a_rename_changes_no_row(self, engine: Any, table: TableHandle) -> None:
        """And the feed goes on over it."""
        start = engine.snapshot()
        first = table.put([{"id": 4}]).snapshot
        other = TableHandle(engine, "other")
        engine.rename_table(table.ref, other.ref, AUTHOR)
        second = other.put([{"id": 5}]).snapshot
        found = [(row["_snapshot"], row["id"]) for row in _changes(other, after=start)]
        assert found == [(first, 4), (second, 5)]

    def test_changes_that_cannot_be_read(self, engine: Any, table: TableHandle) -> None:
        """A table or a snapshot that is not there."""
        with refused(ErrorCode.TABLE_NOT_FOUND, "nope", error=NotFound):
            _changes(TableHandle(engine, "nope"), after=0)
        with refused(ErrorCode.VERSION_NOT_FOUND, "987654", error=NotFound):
            _changes(table, after=0, until=987654)
        with refused(ErrorCode.VERSION_NOT_FOUND, "987654", error=NotFound):
            _changes(table, after=987654)

    def test_types_stay(self, engine: Any) -> None:
        """The table's own columns are of the table's own types."""
        schema = pa.schema(
            [("k", pa.dictionary(pa.int8(), pa.string())), ("v", pa.list_(pa.float32(), 2))]
        )
        table = TableHandle(engine).create(schema)
        rows: Rows = [{"k": "a", "v": [1.0, 2.0]}, {"k": None, "v": None}]
        table.put(pa.Table.from_pylist(rows, schema=schema))
        with closing(engine.changes(table.ref, ChangesRequest(after=0))) as reader:
            answer = reader.read_all()
        assert [answer.schema.field(name).type for name in ("k", "v")] == schema.types
        assert unordered(answer.select(["k", "v"]).to_pylist()) == unordered(rows)


def apply(rows: dict[int, dict[str, Any]], change: dict[str, Any]) -> None:
    """Applies one row of a feed to a table kept by row id."""
    values = {name: value for name, value in change.items() if name in SCHEMA.names}
    if change["_change"] == "delete":
        del rows[change["_row_id"]]
    else:
        assert (change["_change"] == "insert") == (change["_row_id"] not in rows)
        rows[change["_row_id"]] = values


def _changes(table: TableHandle, **request: Any) -> Rows:
    with closing(table.engine.changes(table.ref, ChangesRequest(**request))) as reader:
        found: Rows = reader.read_all().to_pylist()
    return found
