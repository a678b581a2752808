"""Namespaces: made, listed, dropped."""

from __future__ import annotations

from typing import Any

import pytest

from flight_server.errors import AlreadyExists, Conflict, ErrorCode, NotFound
from flight_server.model import NamespaceRef
from flight_server.testing.conformance.handles import (
    AUTHOR,
    THREE,
    EngineCase,
    TableHandle,
    refused,
    unordered,
)

UNUSUAL = ("a/b/c", "weird \"quotes\" and 'more'", "空 間", "dotted.name", "select", "🛩️")


class NamespaceTests(EngineCase):
    """Directories of tables."""

    def test_main_is_always_there(self, engine: Any) -> None:
        """A new engine has `main`, and nothing in it."""
        assert "main" in engine.namespaces()
        assert engine.tables("main") == []

    def test_main_stays(self, engine: Any) -> None:
        """`main` cannot be dropped."""
        with refused(ErrorCode.INVALID_REQUEST, "main"):
            engine.drop_namespace(NamespaceRef(engine.name, "main"), AUTHOR)
        assert "main" in engine.namespaces()

    @pytest.mark.parametrize("name", UNUSUAL)
    def test_create_use_and_drop(self, engine: Any, name: str) -> None:
        """A namespace of any name holds tables and goes when they are gone."""
        namespace = NamespaceRef(engine.name, name)
        engine.create_namespace(namespace, AUTHOR)
        assert name in engine.namespaces()
        table = TableHandle(engine, "t", name).create()
        table.put(THREE)
        assert engine.tables(name) == [table.ref]
        assert table.rows() == unordered(THREE)
        engine.drop_table(table.ref, AUTHOR)
        engine.drop_namespace(namespace, AUTHOR)
        assert name not in engine.namespaces()

    def test_namespaces_are_listed_in_order(self, engine: Any) -> None:
        """The list is sorted."""
        for name in ("zoo", "ant"):
            engine.create_namespace(NamespaceRef(engine.name, name), AUTHOR)
        assert engine.namespaces() == ["ant", "main", "zoo"]

    @pytest.mark.parametrize("again", ["sales", "SALES"])
    def test_a_namespaces_name_is_given_once(self, engine: Any, again: str) -> None:
        """In any case of its letters."""
        engine.create_namespace(NamespaceRef(engine.name, "sales"), AUTHOR)
        with refused(ErrorCode.ALREADY_EXISTS, again, error=AlreadyExists):
            engine.create_namespace(NamespaceRef(engine.name, again), AUTHOR)

    def test_dropping_needs_it_empty(self, engine: Any) -> None:
        """A namespace with tables stays, and so do they."""
        namespace = NamespaceRef(engine.name, "sales")
        engine.create_namespace(namespace, AUTHOR)
        table = TableHandle(engine, "t", "sales").create()
        with refused(ErrorCode.CONFLICT, "sales", error=Conflict):
            engine.drop_namespace(namespace, AUTHOR)
        assert engine.tables("sales") == [table.ref]

    def test_a_missing_one_is_named(self, engine: Any) -> None:
        """Listing, dropping, and making a table in a namespace that is not there."""
        missing = NamespaceRef(engine.name, "nowhere")
        with refused(ErrorCode.NAMESPACE_NOT_FOUND, "nowhere", error=NotFound):
            engine.tables("nowhere")
        with refused(ErrorCode.NAMESPACE_NOT_FOUND, "nowhere", error=NotFound):
            engine.drop_namespace(missing, AUTHOR)
        with refused(ErrorCode.NAMESPACE_NOT_FOUND, "nowhere", error=NotFound):
            TableHandle(engine, "t", "nowhere").create()

    def test_tables_of_one_name_in_two(self, engine: Any) -> None:
        """Namespaces keep tables apart."""
        engine.create_namespace(NamespaceRef(engine.name, "a"), AUTHOR)
        engine.create_namespace(NamespaceRef(engine.name, "a/b"), AUTHOR)
        outer = TableHandle(engine, "t", "a").create()
        inner = TableHandle(engine, "t", "a/b").create()
        inner.put(THREE)
        assert outer.rows() == []
        assert inner.rows() == unordered(THREE)
