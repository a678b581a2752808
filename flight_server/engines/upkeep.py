"""What an engine may be able to do about its own files and old snapshots.

A part of the abilities of `base`, in a file of their own for their length.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from flight_server.model import Housekeeping, TableRef


@runtime_checkable
class SupportsPins(Protocol):
    """Snapshots can be held against expiry."""

    def hold(self, version: int, seconds: float, sliced: TableRef | None = None) -> None:
        """Keeps the snapshot readable for so long, for a ticket that is out.

        `sliced` is the table that it is for a part of: its files are kept as they are.
        """

    def pinned(self, version: int) -> AbstractContextManager[None]:
        """Keeps the snapshot readable while the block runs, for a stream that is open."""


@runtime_checkable
class SupportsHousekeeping(Protocol):
    """The engine tends its files."""

    def housekeep(self, tables: Collection[TableRef] | None = None) -> Housekeeping:
        """One round now: flush inlined rows, merge small files, expire snapshots, remove files.

        Expiry and removal concern the whole lake and run only without `tables`.
        """
