"""Old states: read, listed, compared, named, brought back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from flight_server.errors import AlreadyExists, ErrorCode, InvalidRequest, NotFound
from flight_server.model import (
    AddColumn,
    Author,
    Commit,
    DropColumn,
    RenameColumn,
    RetypeColumn,
    SetComment,
    SetKey,
)
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


class VersionTests(EngineCase):
    """Time travel."""

    def test_every_old_state_can_be_read(self, engine: Any) -> None:
        """As it was, through writes of every kind."""
        table = TableHandle(engine).create(key=("id",))
        states: dict[int, Rows] = {}
        acts: tuple[Callable[[], Commit], ...] = (
            lambda: table.put(THREE),
            lambda: table.put([{"id": 4}]),
            lambda: table.update({"name": "'x'"}, "id < 3"),
            lambda: table.put([{"id": 1, "name": "uno"}, {"id": 5}], "upsert"),
            lambda: table.delete("id = 2"),
            lambda: table.put([{"id": 6}], "overwrite"),
            lambda: table.delete(),
        )
        for act in acts:
            snapshot = act().snapshot
            states[snapshot] = table.rows()
        assert len(states) == 7
        for snapshot, rows in states.items():
            assert table.rows(version=snapshot) == rows
            assert engine.describe(table.ref, snapshot).rows == len(rows)
        assert table.ids(version=next(iter(states)), filter="id > 1", order_by="id DESC") == [3, 2]

    def test_old_states_keep_their_schema(self, engine: Any, table: TableHandle) -> None:
        """Through changes of columns, key and comment."""
        before = engine.snapshot()
        table.alter(
            RenameColumn("name", "label"),
            DropColumn("amount"),
            AddColumn(pa.field("n", pa.int32()), default="1"),
            SetKey(("label",)),
            SetComment("new"),
        )
        between = engine.snapshot()
        table.alter(RetypeColumn("n", pa.int64()))
        assert table.schema(before).equals(SCHEMA, check_metadata=True)
        assert table.scan(version=before).schema.equals(SCHEMA, check_metadata=True)
        assert table.rows(version=before) == unordered(THREE)
        assert table.rows(version=before, columns=("name",), filter="amount > 0") == [
            {"name": "one"}
        ]
        assert (table.spec(before).key, table.spec(before).comment) == (("id",), "")
        assert table.schema(between).field("n").type == pa.int32()
        assert table.schema().field("n").type == pa.int64()
        assert table.scan(version=between).column_names == ["id", "label", "n"]
        with refused(ErrorCode.COLUMN_NOT_FOUND, "'label'"):
            table.scan(version=before, columns=("label",))

    def test_a_version_from_before_the_table(self, engine: Any) -> None:
        """Has no such table, and that is said; of a table that is nowhere now it is not."""
        TableHandle(engine, "first").create()
        before = engine.snapshot()
        table = TableHandle(engine).create()
        said = f"did not exist at version {before}"
        with refused(ErrorCode.VERSION_NOT_FOUND, table.ref.name, said, error=NotFound):
            table.scan(version=before)
        with refused(ErrorCode.TABLE_NOT_FOUND, "nope", error=NotFound):
            TableHandle(engine, "nope").scan(version=before)

    def test_history(self, engine: Any) -> None:
        """Newest first, with who, why and what; other tables' commits are not in it."""
        table = TableHandle(engine).create(key=("id",))
        snapshots = [engine.snapshot()]
        for act in (
            lambda: table.put(THREE),
            lambda: TableHandle(engine, "other").create(),
            lambda: table.update({"name": "'x'"}, "id = 1"),
            lambda: table.delete("id = 2"),
            lambda: table.alter(SetComment("new")),
        ):
            act()
            snapshots.append(engine.snapshot())
        del snapshots[2]
        versions = engine.versions(table.ref)
        assert [version.snapshot for version in versions] == snapshots[::-1]
        kinds = ["altered", "deleted", "updated", "inserted", "created"]
        for version, kind in zip(versions, kinds, strict=True):
            assert kind in version.changes
            assert (version.author, version.reason) == ("ada", "a test")
            assert version.tags == ()
        times = [version.committed_at for version in versions]
        assert times == sorted(times, reverse=True)
        assert times[0].utcoffset() == dt.timedelta(0)
        assert engine.versions(table.ref, limit=2) == versions[:2]
        assert engine.describe(table.ref).versions == 5

    def test_authors_differ(self, table: TableHandle) -> None:
        """Each commit has its own."""
        table.put([{"id": 4}], author=Author(principal="bob's", reason='said "so"'))
        version, *_ = table.engine.versions(table.ref)
        assert (version.author, version.reason) == ("bob's", 'said "so"')

    def test_the_snapshot_at_a_time(self, engine: Any, table: TableHandle) -> None:
        """Is the newest of that time."""
        for i in range(4, 7):
            table.put([{"id": i}])
        for version in engine.versions(table.ref):
            assert engine.snapshot_at(version.committed_at) == version.snapshot
        assert engine.snapshot_at(dt.datetime.now(dt.UTC)) == engine.snapshot()
        with refused(ErrorCode.VERSION_NOT_FOUND, error=NotFound):
            engine.snapshot_at(dt.datetime(1999, 1, 1, tzinfo=dt.UTC))

    def test_diff(self, engine: Any, table: TableHandle) -> None:
        """The net difference: what came and went between, or came to the same, is not in it."""
        older = engine.snapshot()
        table.put([{"id": 4, "name": "four"}, {"id": 5, "name": "five"}])
        table.update({"name": "'uno'"}, "id = 1")
        table.delete("id = 2")
        table.delete("id = 5")
        table.update({"amount": "0.0"}, "id = 3")
        table.update({"amount": "-3.0"}, "id = 3")
        answer = engine.diff(table.ref, older, engine.snapshot()).read_all()
        assert answer.column_names == ["_change", "_row_id", "id", "name", "amount"]
        assert answer.schema.field("id").equals(SCHEMA.field("id"))
        found = {(row["_change"], row["id"], row["name"]) for row in answer.to_pylist()}
        assert found == {
            ("insert", 4, "four"),
            ("update_preimage", 1, "one"),
            ("update_postimage", 1, "uno"),
            ("delete", 2, "two"),
        }

    def test_diff_of_equal_states(self, engine: Any, table: TableHandle) -> None:
        """Is empty, and so is that of a version and itself."""
        older = engine.snapshot()
        table.put([{"id": 4}])
        table.delete("id = 4")
        assert engine.diff(table.ref, older, engine.snapshot()).read_all().num_rows == 0
        assert engine.diff(table.ref, older, older).read_all().num_rows == 0

    def test_diff_over_a_schema_change(self, engine: Any, table: TableHandle) -> None:
        """Has the newer version's columns; a column that came changes no row by itself."""
        older = engine.snapshot()
        table.alter(AddColumn(pa.field("n", pa.int32())), RenameColumn("name", "label"))
        table.update({"label": "'uno'"}, "id = 1")
        answer = engine.diff(table.ref, older, engine.snapshot()).read_all()
        assert answer.column_names == ["_change", "_row_id", "id", "label", "amount", "n"]
        found = {(row["_change"], row["label"]) for row in answer.to_pylist()}
        assert found == {("update_preimage", "one"), ("update_postimage", "uno")}

    def test_diff_the_wrong_way_round(self, engine: Any, table: TableHandle) -> None:
        """Is refused, and so are versions that are not there."""
        older = engine.snapshot()
        table.put([{"id": 4}])
        with pytest.raises(InvalidRequest):
            engine.diff(table.ref, engine.snapshot(), older).read_all()
        with refused(ErrorCode.VERSION_NOT_FOUND, "987654", error=NotFound):
            engine.diff(table.ref, older, 987654).read_all()

    def test_restore(self, engine: Any, table: TableHandle) -> None:
        """A new commit with the old rows; the states between stay, and it can be undone."""
        old = engine.snapshot()
        table.update({"name": "'x'"})
        table.delete("id = 1")
        table.put([{"id": 4}])
        new = engine.snapshot()
        commit = engine.restore(table.ref, old, AUTHOR)
        assert commit.snapshot > new
        assert table.rows() == unordered(THREE)
        assert table.ids(version=new) == [2, 3, 4]
        engine.restore(table.ref, new, AUTHOR)
        assert table.ids() == [2, 3, 4]
        assert engine.versions(table.ref)[0].snapshot == engine.snapshot()

    def test_restore_over_schema_changes(self, engine: Any, table: TableHandle) -> None:
        """Schema, key and defaults come back too, and back again."""
        old = engine.snapshot()
        table.alter(
            DropColumn("amount"),
            RenameColumn("name", "label"),
            AddColumn(pa.field("n", pa.int32()), default="7"),
            SetKey(("label",)),
        )
        table.put({"id": [4], "label": ["four"]})
        new, new_schema = engine.snapshot(), table.schema()
        engine.restore(table.ref, old, AUTHOR)
        assert table.schema().equals(SCHEMA, check_metadata=True)
        assert table.rows() == unordered(THREE)
        spec = table.spec()
        assert (spec.key, dict(spec.defaults)) == (("id",), {})
        table.put([{"id": 1, "name": "uno"}, {"id": 9}], "upsert")
        assert table.ids() == [1, 2, 3, 9]
        engine.restore(table.ref, new, AUTHOR)
        assert table.schema().equals(new_schema, check_metadata=True)
        assert {row["n"] for row in table.rows()} == {7}
        assert dict(table.spec().defaults) == {"n": "7"}

    def test_restore_keeps_the_name(self, engine: Any, table: TableHandle) -> None:
        """A table that was renamed since is restored under the name it has."""
        old = engine.snapshot()
        other = TableHandle(engine, "other")
        engine.rename_table(table.ref, other.ref, AUTHOR)
        other.delete()
        engine.restore(other.ref, old, AUTHOR)
        assert engine.tables("main") == [other.ref]
        assert other.rows() == unordered(THREE)

    def test_restore_after_names_were_exchanged(self, engine: Any, table: TableHandle) -> None:
        """A table gets its own old state, not that of the one that had its name."""
        other = TableHandle(engine, "other").create()
        other.put([{"id": 70}])
        old = engine.snapshot()
        between = TableHandle(engine, "between")
        for one, to in ((table, between), (other, table), (between, other)):
            engine.rename_table(one.ref, to.ref, AUTHOR)
        other.delete()
        engine.restore(other.ref, old, AUTHOR)
        assert other.rows() == unordered(THREE)
        assert table.ids() == [70]

    def test_restore_refusals(self, engine: Any, table: TableHandle) -> None:
        """A missing version, a missing table."""
        with refused(ErrorCode.VERSION_NOT_FOUND, "987654", error=NotFound):
            engine.restore(table.ref, 987654, AUTHOR)
        with refused(ErrorCode.TABLE_NOT_FOUND, "nope", error=NotFound):
            engine.restore(TableHandle(engine, "nope").ref, 0, AUTHOR)

    def test_tags(self, engine: Any, table: TableHandle) -> None:
        """Name versions; the newest where none is said."""
        old = engine.snapshot()
        table.put([{"id": 4}])
        newest = engine.snapshot()
        first = engine.create_tag(table.ref, "before 'it'", old, AUTHOR)
        engine.create_tag(table.ref, "after", None, AUTHOR)
        assert (first.name, first.table, first.snapshot) == ("before 'it'", table.ref, old)
        assert first.author == "ada"
        assert engine.tagged(table.ref, "before 'it'") == old
        assert engine.tagged(table.ref, "after") >= newest
        assert [tag.name for tag in engine.tags(table.ref)] == ["after", "before 'it'"]
        assert table.ids(version=engine.tagged(table.ref, "before 'it'")) == [1, 2, 3]
        assert table.ids(version=engine.tagged(table.ref, "after")) == [1, 2, 3, 4]
        listed = {version.snapshot: version.tags for version in engine.versions(table.ref)}
        assert listed[old] == ("before 'it'",)
        engine.drop_tag(table.ref, "after", AUTHOR)
        assert [tag.name for tag in engine.tags(table.ref)] == ["before 'it'"]

    def test_tag_refusals(self, engine: Any, table: TableHandle) -> None:
        """A name given twice or that is a number, a version or a tag that is not there."""
        engine.create_tag(table.ref, "a", None, AUTHOR)
        with refused(ErrorCode.ALREADY_EXISTS, "'a'", error=AlreadyExists):
            engine.create_tag(table.ref, "a", None, AUTHOR)
        with refused(ErrorCode.VERSION_NOT_FOUND, "987654", error=NotFound):
            engine.create_tag(table.ref, "b", 987654, AUTHOR)
        with refused(ErrorCode.INVALID_NAME, "'123'", "a version's number"):
            engine.create_tag(table.ref, "123", None, AUTHOR)
        for act in (engine.tagged, lambda ref, name: engine.drop_tag(ref, name, AUTHOR)):
            with refused(ErrorCode.TAG_NOT_FOUND, "'b'", error=NotFound):
                act(table.ref, "b")
        TableHandle(engine, "other").create()
        assert engine.tags(TableHandle(engine, "other").ref) == []

    def test_tags_follow_a_rename(self, engine: Any, table: TableHandle) -> None:
        """They are the table's, not its name's."""
        tag = engine.create_tag(table.ref, "a", None, AUTHOR)
        other = TableHandle(engine, "other")
        engine.rename_table(table.ref, other.ref, AUTHOR)
        assert engine.tagged(other.ref, "a") == tag.snapshot
        table.create()
        assert engine.tags(table.ref) == []
