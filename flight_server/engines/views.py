"""What an engine may be able to do with views.

A part of the abilities of `base`, in a file of their own for their length.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from flight_server.model import Author, Commit, TableRef, TableSpec


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
