"""What there is: namespaces and tables made, changed and removed, with all that hangs on them.

A table's ingest receipts and tags follow it when it is renamed and go when it is dropped. The
engine does these things in a transaction of each, a client's transaction several in one.
"""

from __future__ import annotations

from collections.abc import Sequence

from flight_server.engines.lake import columns, tables, views
from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.refreshes import Refreshes
from flight_server.engines.lake.registry import Registry
from flight_server.engines.lake.tags import Tags
from flight_server.engines.lake.tokens import Tokens
from flight_server.errors import Unsupported
from flight_server.model import (
    DropCheck,
    NamespaceRef,
    RetypeColumn,
    SchemaChange,
    SetCheck,
    SetColumnComment,
    SetComment,
    SetConstraint,
    SetKey,
    SetNullable,
    TableRef,
    TableSpec,
    TableVersion,
)

# What is found to hold of all rows before it is done.
_ON_ROWS = SetNullable | RetypeColumn | SetConstraint | SetCheck


# What DuckLake knows nothing of.
_OURS = SetNullable | SetKey | SetComment | SetConstraint | SetCheck | DropCheck | SetColumnComment


class Definitions:
    """Changes of what there is, each within a transaction."""

    def __init__(
        self, registry: Registry, tokens: Tokens, tags: Tags, refreshes: Refreshes
    ) -> None:
        self._registry = registry
        self.tokens = tokens
        self._tags = tags
        self.refreshes = refreshes

    def create_namespace(self, transaction: WriteTransaction, namespace: NamespaceRef) -> None:
        """AlreadyExists."""
        tables.create_namespace(transaction, namespace)

    def drop_namespace(self, transaction: WriteTransaction, namespace: NamespaceRef) -> None:
        """NotFound; Conflict while tables are in it."""
        tables.drop_namespace(transaction, self._registry, namespace)

    def create_table(self, transaction: WriteTransaction, table: TableRef, spec: TableSpec) -> None:
        """AlreadyExists; NotFound (namespace_not_found); InvalidRequest (unsupported_type)."""
        tables.create_table(transaction, self._registry, table, spec)

    def rename_table(self, transaction: WriteTransaction, table: TableRef, to: TableRef) -> None:
        """NotFound; AlreadyExists; Unsupported where `to` is in another namespace."""
        found = self._guarded(transaction, table)
        _refuse_reshaped(transaction, found.table)
        transaction.note(found.table, "altered")
        tables.rename_table(transaction, self._registry, table, to)
        transaction.local_rows.renamed(found.table, to)
        self.tokens.rename(transaction, found.table, to)
        self._tags.rename(transaction, found.table, to)
        self.refreshes.rename(transaction, found.table, to)

    def drop_table(self, transaction: WriteTransaction, table: TableRef) -> None:
        """NotFound. Rows that another commit adds meanwhile are not dropped unseen: Conflict."""
        transaction.refuse_changes(self._guarded(transaction, table).table, "dropped")
        tables.drop_table(transaction, self._registry, table)
        transaction.local_rows.dropped(table)
        self.tokens.forget(transaction, table)
        self._tags.forget(transaction, table)
        self.refreshes.forget(transaction, table)

    def alter_table(
        self, transaction: WriteTransaction, table: TableRef, changes: Sequence[SchemaChange]
    ) -> None:
        """All changes in order. NotFound; AlreadyExists; InvalidRequest."""
        found = self._guarded(transaction, table)
        if any(isinstance(change, _ON_ROWS) for change in changes):
            transaction.refuse_changes(found.table, "altered")
        transaction.local_rows.unite(transaction, found.table)
        columns.alter_table(transaction, self._registry, table, changes)
        if not all(isinstance(change, _OURS) for change in changes):
            transaction.reshaped.add(_key(found.table))

    def create_view(
        self,
        transaction: WriteTransaction,
        view: TableRef,
        spec: TableSpec,
        sql: str,
        replaces: bool,
    ) -> None:
        """AlreadyExists; NotFound (namespace_not_found)."""
        views.create_view(transaction, self._registry, view, spec, sql, replaces)

    def rename_view(self, transaction: WriteTransaction, view: TableRef, to: TableRef) -> None:
        """NotFound; AlreadyExists; Unsupported where `to` is in another namespace."""
        views.rename_view(transaction, self._registry, self._guarded(transaction, view).table, to)

    def drop_view(self, transaction: WriteTransaction, view: TableRef) -> None:
        """NotFound."""
        views.drop_view(transaction, self._registry, self._guarded(transaction, view).table)

    def _guarded(self, transaction: WriteTransaction, table: TableRef) -> TableVersion:
        found = self._registry.resolve(table, transaction=transaction)
        self._registry.guard(transaction, found)
        return found


def _refuse_reshaped(transaction: WriteTransaction, table: TableRef) -> None:
    """Unsupported for a table whose columns were changed in the transaction.

    DuckLake 1.5.5 writes the columns of such a table twice into its catalog, which then cannot be
    read at all. Of one that the transaction has made itself it knows better, and the other way
    round is no trouble.
    """
    if _key(table) in transaction.reshaped and transaction.original(table) is not None:
        raise Unsupported(
            f"The columns of '{table}' were altered in this transaction: rename it before that, "
            "or in another one."
        )


def _key(table: TableRef) -> tuple[str, str]:
    return table.namespace.lower(), table.name.lower()
