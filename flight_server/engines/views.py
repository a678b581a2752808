"""What an engine may be able to do with views.

A part of the abilities of `base`, in a file of their own for their length.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from flight_server.model import Author, Commit, Refreshed, TableRef, TableSpec


@runtime_checkable
class SupportsViews(Protocol):
    """SELECTs can be kept under names of their own, among those of tables.

    `tables` lists views too, and `resolve` tells of them, with a `definition` in their spec and
    the columns that they were made with. They hold no rows, and an engine scans none: whoever
    reads one runs what it says. A view that holds its rows is a table, made by `create_table`.
    """

    def create_view(
        self, view: TableRef, spec: TableSpec, sql: str, author: Author, replace: bool = False
    ) -> Commit:
        """Keeps the view. `sql` is its SELECT over tables named in full, for other readers.

        With `replace` a view of the name is replaced. AlreadyExists; NotFound
        (namespace_not_found).
        """

    def rename_view(self, view: TableRef, to: TableRef, author: Author) -> Commit:
        """NotFound; AlreadyExists; Unsupported where `to` is in another namespace."""

    def drop_view(self, view: TableRef, author: Author) -> Commit:
        """NotFound."""


@runtime_checkable
class SupportsMaterializedViews(Protocol):
    """Tables can hold the answer of a SELECT, and it is known of which snapshot."""

    def refreshed(self, view: TableRef) -> Refreshed | None:
        """What the view's rows are; None where nobody knows."""

    def is_changed(self, table: TableRef, after: int, until: int) -> bool:
        """Whether the table changed between two snapshots, as far as that is known."""

    def added_rows(self, table: TableRef, after: int, until: int) -> str | None:
        """A SELECT of the rows that were added to the table between two snapshots.

        None where anything else happened to it, or may have.
        """


@runtime_checkable
class RecordsRefreshes(Protocol):
    """What a transaction has for these views."""

    @property
    def snapshot(self) -> int:
        """The snapshot that it reads."""

    def record_refresh(
        self, view: TableRef, refreshed: Refreshed, before: Refreshed | None
    ) -> None:
        """Says what the rows are that it writes, and what they were before.

        Its commit is a Conflict where they are something else by then.
        """
