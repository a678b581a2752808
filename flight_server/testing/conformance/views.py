"""What an engine owes that keeps views: names, replacements, and the past."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from flight_server.errors import AlreadyExists, NotFound, Unsupported
from flight_server.model import Definition, Kind, NamespaceRef, TableRef, TableSpec
from flight_server.testing.conformance.handles import AUTHOR, EngineCase

SCHEMA = pa.schema([("n", pa.int64())])
BASE, VIEW, OTHER = TableRef.of("base"), TableRef.of("shown"), TableRef.of("other")
SQL = f"SELECT n FROM {BASE.sql}"


def view_of(text: str) -> TableSpec:
    """The spec of a view that says so."""
    return TableSpec(SCHEMA, definition=Definition(text))


class ViewTests(EngineCase):
    """Making, replacing, renaming and dropping."""

    def test_a_view_is_among_the_tables(self, engine: Any) -> None:
        """It is listed and resolved like one, with its definition."""
        engine.create_table(BASE, TableSpec(SCHEMA), AUTHOR)
        engine.create_view(VIEW, view_of("select n from base"), SQL, AUTHOR)
        assert engine.tables("main") == [BASE, VIEW]
        found = engine.resolve(TableRef.of("SHOWN"))
        assert (found.table, found.schema, found.spec.kind) == (VIEW, SCHEMA, Kind.VIEW)
        assert found.spec.definition == Definition("select n from base")

    def test_a_view_and_a_table_share_their_names(self, engine: Any) -> None:
        """Neither is made over the other."""
        engine.create_table(BASE, TableSpec(SCHEMA), AUTHOR)
        engine.create_view(VIEW, view_of("1"), SQL, AUTHOR)
        with pytest.raises(AlreadyExists, match="view 'shown' exists"):
            engine.create_table(TableRef.of("Shown"), TableSpec(SCHEMA), AUTHOR)
        with pytest.raises(AlreadyExists, match="view 'shown' exists"):
            engine.create_view(VIEW, view_of("2"), SQL, AUTHOR)
        with pytest.raises(AlreadyExists, match="table 'base' exists"):
            engine.create_view(BASE, view_of("2"), SQL, AUTHOR, replace=True)
        with pytest.raises(AlreadyExists, match="view 'shown' exists"):
            engine.rename_table(BASE, VIEW, AUTHOR)

    def test_a_view_is_replaced_and_its_past_stays(self, engine: Any) -> None:
        """Older versions tell of the older definition."""
        engine.create_table(BASE, TableSpec(SCHEMA), AUTHOR)
        first = engine.create_view(VIEW, view_of("first"), SQL, AUTHOR).snapshot
        engine.create_view(VIEW, view_of("second"), SQL, AUTHOR, replace=True)
        assert engine.resolve(VIEW).spec.definition.sql == "second"
        assert engine.resolve(VIEW, first).spec.definition.sql == "first"
        engine.drop_view(VIEW, AUTHOR)
        with pytest.raises(NotFound):
            engine.resolve(VIEW)
        assert engine.resolve(VIEW, first).spec.definition.sql == "first"

    def test_a_view_is_renamed_within_its_namespace(self, engine: Any) -> None:
        """And keeps its definition."""
        engine.create_table(BASE, TableSpec(SCHEMA), AUTHOR)
        engine.create_view(VIEW, view_of("1"), SQL, AUTHOR)
        engine.rename_view(VIEW, OTHER, AUTHOR)
        assert engine.tables("main") == [BASE, OTHER]
        assert engine.resolve(OTHER).spec.definition.sql == "1"
        with pytest.raises(AlreadyExists):
            engine.rename_view(OTHER, BASE, AUTHOR)
        engine.create_namespace(NamespaceRef("lake", "elsewhere"), AUTHOR)
        with pytest.raises(Unsupported):
            engine.rename_view(OTHER, TableRef.of("elsewhere", "other"), AUTHOR)

    def test_a_table_is_not_dropped_as_a_view(self, engine: Any) -> None:
        """Nor is what is not there."""
        engine.create_table(BASE, TableSpec(SCHEMA), AUTHOR)
        with pytest.raises(NotFound):
            engine.drop_view(BASE, AUTHOR)
        with pytest.raises(NotFound):
            engine.drop_view(VIEW, AUTHOR)

    def test_a_transaction_makes_changes_and_drops_views(self, engine: Any) -> None:
        """Nobody else sees them before it commits."""
        engine.create_table(BASE, TableSpec(SCHEMA), AUTHOR)
        with engine.transaction(AUTHOR) as transaction:
            transaction.create_view(VIEW, view_of("1"), SQL, AUTHOR)
            transaction.create_view(VIEW, view_of("2"), SQL, AUTHOR, replace=True)
            transaction.rename_view(VIEW, OTHER, AUTHOR)
            transaction.create_view(VIEW, view_of("3"), SQL, AUTHOR)
            assert transaction.tables("main") == [BASE, OTHER, VIEW]
            assert engine.tables("main") == [BASE]
            transaction.drop_view(VIEW, AUTHOR)
        assert engine.tables("main") == [BASE, OTHER]
        assert engine.resolve(OTHER).spec.definition.sql == "2"
