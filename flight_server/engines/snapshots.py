"""The ability to keep what several tables were at one moment, under a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from flight_server.model import Author, Commit, Member, NamedSnapshot, TableRef


@runtime_checkable
class SupportsSnapshots(Protocol):
    """Snapshots of a table or a namespace can be named, listed, restored and dropped."""

    def named_snapshots(self) -> list[NamedSnapshot]:
        """All of them, by name."""

    def named_snapshot(self, name: TableRef) -> NamedSnapshot:
        """NotFound (snapshot_not_found)."""

    def create_snapshot(self, snapshot: NamedSnapshot, author: Author) -> None:
        """AlreadyExists; NotFound (version_not_found, table_not_found)."""

    def drop_snapshot(self, name: TableRef, author: Author) -> None:
        """NotFound (snapshot_not_found)."""

    def members(self, snapshot: NamedSnapshot) -> list[Member]:
        """What it holds, sorted: tables and views. One that was renamed since is still itself."""

    def restore_members(
        self, snapshot: NamedSnapshot, members: Sequence[Member], author: Author
    ) -> Commit:
        """A new commit in which these members are as they were; what was dropped is there again.

        Views that hold rows, and are still there, stay as they are: they follow their tables.
        Conflict where a name is taken by something of another kind.
        """
