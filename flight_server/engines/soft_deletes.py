"""The ability to delete rows so that they can be brought back."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.model import Author, Commit, Deletion, TableRef


@runtime_checkable
class SupportsSoftDelete(Protocol):
    """Rows can be deleted for now: they are no longer there, and can be brought back for a while.

    A deletion bears the number of its commit.
    """

    def soft_delete(
        self,
        table: TableRef,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Deletes as `SupportsUpdate.delete`. Unsupported behind other writes of a transaction."""

    def deletions(self, table: TableRef) -> list[Deletion]:
        """What can be brought back, newest first."""

    def undelete(
        self,
        table: TableRef,
        deletion: int,
        skip_known: bool,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Brings the rows of a deletion back, under new ids. NotFound (version_not_found).

        Where a key is there again it is a Conflict; with `skip_known` such rows stay away.
        """
