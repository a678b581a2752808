"""The ability to keep views and snapshots of tables, rows and all, among the tables.

A part of the abilities of `base`, in a file of their own for their length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.model import Author, Commit, Derivation, NamedSnapshot, TableRef


@runtime_checkable
class SupportsDerivedTables(Protocol):
    """Tables can be made of others: views that follow them, and snapshots.

    They are renamed and dropped as tables are, and `resolve` says of what they are (`derived`).
    """

    def create_derived(
        self,
        table: TableRef,
        derivation: Derivation,
        author: Author,
        replace: bool = False,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Makes one. With `replace` a view of the name is replaced, unless others are made of it.

        AlreadyExists; NotFound (namespace_not_found, table_not_found, version_not_found);
        InvalidRequest; Unsupported; Conflict.
        """

    def kept_snapshots(self) -> list[NamedSnapshot]:
        """All snapshots, by name."""

    def dependents(self, table: TableRef) -> list[TableRef]:
        """What is made of the table, directly or not, sorted. NotFound."""

    def drop_with_dependents(
        self, table: TableRef, dependents: Sequence[TableRef], author: Author
    ) -> Commit:
        """Drops the table and all that is made of it. NotFound.

        Conflict where that is more than the `dependents`.
        """
