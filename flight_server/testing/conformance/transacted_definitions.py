"""Namespaces and tables made, changed and removed within a transaction."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest

from flight_server.errors import AlreadyExists, Conflict, ErrorCode, NotFound
from flight_server.model import (
    AddColumn,
    IngestRequest,
    NamespaceRef,
    ScanRequest,
    SetNullable,
    TableSpec,
)
from flight_server.testing.conformance.handles import (
    AUTHOR,
    SCHEMA,
    THREE,
    EngineCase,
    TableHandle,
    refused,
    table_of,
    unordered,
)


class TransactedDefinitionTests(EngineCase):
    """Definitions are seen inside at once, and outside with the commit or not at all."""

    @pytest.mark.parametrize("ends", ["commit", "rollback"])
    def test_definitions_in_it(self, engine: Any, table: TableHandle, ends: str) -> None:
        """All kinds of them in one."""
        old = TableHandle(engine, "old").create()
        made = TableHandle(engine, "made", "space")
        new = TableHandle(engine, "new")
        with engine.transaction(AUTHOR) as transaction:
            transaction.create_namespace(NamespaceRef(engine.name, "space"), AUTHOR)
            transaction.create_table(made.ref, TableSpec(SCHEMA, key=("id",)), AUTHOR)
            _put(transaction, made, THREE)
            transaction.drop_table(old.ref, AUTHOR)
            transaction.rename_table(table.ref, new.ref, AUTHOR)
            added = AddColumn(pa.field("more", pa.int64()), "7")
            transaction.alter_table(new.ref, [added], AUTHOR)
            _put(transaction, new, [{"id": 4}])
            assert transaction.namespaces() == ["main", "space"]
            assert transaction.tables("space") == [made.ref]
            assert transaction.tables("main") == [new.ref]
            assert transaction.resolve(made.ref).spec.key == ("id",)
            assert transaction.describe(made.ref).rows == 3
            assert _column(transaction, new, "more") == [7, 7, 7, 7]
            for gone in (old, table):
                with refused(ErrorCode.TABLE_NOT_FOUND, gone.ref.name, error=NotFound):
                    transaction.resolve(gone.ref)
            assert engine.namespaces() == ["main"]
            assert [ref.name for ref in engine.tables("main")] == ["old", "t"]
            assert table.schema() == SCHEMA
            getattr(transaction, ends)()
        if ends == "rollback":
            assert engine.namespaces() == ["main"]
            assert [ref.name for ref in engine.tables("main")] == ["old", "t"]
            assert table.rows() == unordered(THREE)
            return
        assert engine.tables("space") == [made.ref]
        assert engine.tables("main") == [new.ref]
        assert made.rows() == unordered(THREE)
        assert new.ids() == [1, 2, 3, 4]
        assert new.schema().names == ["id", "name", "amount", "more"]

    def test_made_and_dropped_in_one(self, engine: Any) -> None:
        """Of it nothing is left; its name can be taken again."""
        new, space = TableHandle(engine, "new"), NamespaceRef(engine.name, "space")
        with engine.transaction(AUTHOR) as transaction:
            transaction.create_namespace(space, AUTHOR)
            transaction.create_table(new.ref, TableSpec(SCHEMA), AUTHOR)
            _put(transaction, new, THREE)
            transaction.drop_table(new.ref, AUTHOR)
            transaction.drop_namespace(space, AUTHOR)
            with refused(ErrorCode.TABLE_NOT_FOUND, "new'", error=NotFound):
                _put(transaction, new, THREE)
            other = pa.schema([("x", pa.string())])
            transaction.create_table(new.ref, TableSpec(other), AUTHOR)
        assert new.schema() == other
        assert engine.namespaces() == ["main"]

    def test_a_table_replaced(self, engine: Any, table: TableHandle) -> None:
        """By one that was made beside it, as tools do it; readers see the one or the other."""
        beside, aside = TableHandle(engine, "beside"), TableHandle(engine, "aside")
        with engine.transaction(AUTHOR) as transaction:
            transaction.create_table(beside.ref, TableSpec(SCHEMA), AUTHOR)
            _put(transaction, beside, [{"id": 8}])
            transaction.rename_table(table.ref, aside.ref, AUTHOR)
            transaction.rename_table(beside.ref, table.ref, AUTHOR)
            transaction.drop_table(aside.ref, AUTHOR)
            assert _column(transaction, table, "id") == [8]
            assert table.ids() == [1, 2, 3]
        assert table.ids() == [8]
        assert engine.tables("main") == [table.ref]

    def test_what_is_there_already(self, engine: Any, table: TableHandle) -> None:
        """Is told at once, by what the transaction sees; it goes on."""
        with engine.transaction(AUTHOR) as transaction:
            _put(transaction, table, [{"id": 4}])
            with refused(ErrorCode.ALREADY_EXISTS, "t'", error=AlreadyExists):
                transaction.create_table(table.ref, TableSpec(SCHEMA), AUTHOR)
            with refused(ErrorCode.ALREADY_EXISTS, "main", error=AlreadyExists):
                transaction.create_namespace(NamespaceRef(engine.name, "main"), AUTHOR)
            with refused(ErrorCode.NAMESPACE_NOT_FOUND, "nowhere", error=NotFound):
                transaction.tables("nowhere")
            transaction.create_namespace(NamespaceRef(engine.name, "space"), AUTHOR)
            transaction.create_table(
                TableHandle(engine, "x", "space").ref, TableSpec(SCHEMA), AUTHOR
            )
            with refused(ErrorCode.CONFLICT, "space", error=Conflict):
                transaction.drop_namespace(NamespaceRef(engine.name, "space"), AUTHOR)
        assert table.ids() == [1, 2, 3, 4]

    @pytest.mark.parametrize(
        ("mine", "theirs"),
        [
            (lambda do, t: do.rename_table(t.ref, _ref(t, "mine"), AUTHOR),) * 2,
            (lambda do, t: do.drop_table(t.ref, AUTHOR),) * 2,
            (lambda do, t: do.alter_table(t.ref, [SetNullable("id", True)], AUTHOR),) * 2,
            (lambda do, t: do.create_table(_ref(t, "x"), TableSpec(SCHEMA), AUTHOR),) * 2,
            (lambda do, t: do.create_namespace(NamespaceRef(t.engine.name, "s"), AUTHOR),) * 2,
            (
                lambda do, t: _put(do, t, [{"id": 4}]),
                lambda do, t: do.rename_table(t.ref, _ref(t, "theirs"), AUTHOR),
            ),
            (
                lambda do, t: do.update(t.ref, {"name": "'x'"}, None, AUTHOR),
                lambda do, t: do.rename_table(t.ref, _ref(t, "theirs"), AUTHOR),
            ),
            (
                lambda do, t: do.alter_table(t.ref, [SetNullable("name", True)], AUTHOR),
                lambda do, t: do.drop_table(t.ref, AUTHOR),
            ),
            (
                lambda do, t: do.create_table(_ref(t, "x", "idle"), TableSpec(SCHEMA), AUTHOR),
                lambda do, t: do.drop_namespace(NamespaceRef(t.engine.name, "idle"), AUTHOR),
            ),
            (
                lambda do, t: do.drop_namespace(NamespaceRef(t.engine.name, "idle"), AUTHOR),
                lambda do, t: do.create_table(_ref(t, "x", "idle"), TableSpec(SCHEMA), AUTHOR),
            ),
        ],
    )
    def test_definitions_that_collide(
        self,
        engine: Any,
        table: TableHandle,
        mine: Callable[[Any, TableHandle], Any],
        theirs: Callable[[Any, TableHandle], Any],
    ) -> None:
        """The one who commits first is in the right; the other may try again."""
        engine.create_namespace(NamespaceRef(engine.name, "idle"), AUTHOR)
        with (
            refused(ErrorCode.CONFLICT, error=Conflict),
            engine.transaction(AUTHOR) as transaction,
        ):
            mine(transaction, table)
            theirs(engine, table)
            after = engine.snapshot()
            transaction.commit()
        assert engine.snapshot() == after

    def test_definitions_of_different_tables(self, engine: Any, table: TableHandle) -> None:
        """Do not get into each other's way."""
        with engine.transaction(AUTHOR) as one, engine.transaction(AUTHOR) as two:
            for name, transaction in (("one", one), ("two", two)):
                new = TableHandle(engine, name)
                transaction.create_table(new.ref, TableSpec(SCHEMA), AUTHOR)
                _put(transaction, new, THREE)
            table.put([{"id": 4}])
        assert [ref.name for ref in engine.tables("main")] == ["one", "t", "two"]
        assert TableHandle(engine, "one").rows() == unordered(THREE)

    def test_changes_of_different_tables(self, engine: Any, table: TableHandle) -> None:
        """Altering, renaming and dropping as well."""
        for name in "abcd":
            TableHandle(engine, name).create()
        ref = {name: TableHandle(engine, name).ref for name in "abcdxyz"}
        added = AddColumn(pa.field("more", pa.int64()))
        with engine.transaction(AUTHOR) as one, engine.transaction(AUTHOR) as two:
            one.alter_table(ref["a"], [added], AUTHOR)
            one.drop_table(ref["b"], AUTHOR)
            two.rename_table(ref["c"], ref["x"], AUTHOR)
            two.alter_table(ref["d"], [added], AUTHOR)
            two.create_table(ref["y"], TableSpec(SCHEMA), AUTHOR)
            engine.alter_table(table.ref, [added], AUTHOR)
            engine.create_table(ref["z"], TableSpec(SCHEMA), AUTHOR)
        assert [ref.name for ref in engine.tables("main")] == ["a", "d", "t", "x", "y", "z"]
        for name in ("a", "d", "t"):
            assert "more" in TableHandle(engine, name).schema().names

    def test_tokens_in_one_that_defines(self, engine: Any, table: TableHandle) -> None:
        """A token goes with its table, and is forgotten with it; twice in one it counts once."""
        new, fresh = TableHandle(engine, "new"), [{"id": 4}]
        table.put([{"id": 3}], "upsert", token="old")
        with engine.transaction(AUTHOR) as transaction:
            assert not _put(transaction, table, fresh, "a").duplicate
            assert _put(transaction, table, fresh, "a").duplicate
            with refused(ErrorCode.TOKEN_CONFLICT, "'a'", error=Conflict):
                _put(transaction, table, [{"id": 5}], "a")
            transaction.rename_table(table.ref, new.ref, AUTHOR)
            assert _put(transaction, new, fresh, "a").duplicate
            transaction.create_table(table.ref, TableSpec(SCHEMA), AUTHOR)
            assert not _put(transaction, table, fresh, "old").duplicate
        assert new.put(fresh, token="a").duplicate
        assert new.put([{"id": 3}], "upsert", token="old").duplicate
        assert table.put(fresh, token="old").duplicate
        with engine.transaction(AUTHOR) as transaction:
            transaction.drop_table(new.ref, AUTHOR)
            transaction.create_table(new.ref, TableSpec(SCHEMA), AUTHOR)
            assert not _put(transaction, new, fresh, "a").duplicate
        assert new.ids() == [4]
        assert new.put(fresh, token="a").duplicate


def _ref(table: TableHandle, name: str, namespace: str = "main") -> Any:
    return TableHandle(table.engine, name, namespace).ref


def _put(
    where: Any, table: TableHandle, rows: list[dict[str, Any]], token: str | None = None
) -> Any:
    """The rows appended; columns that the rows do not know are left out."""
    request = IngestRequest(token=token)
    return where.ingest(table.ref, request, table_of(rows).to_reader(), AUTHOR)


def _column(transaction: Any, table: TableHandle, name: str) -> list[Any]:
    with closing(transaction.scan(table.ref, ScanRequest(columns=(name,)))) as reader:
        values: list[Any] = reader.read_all().column(0).to_pylist()
    return values
