"""The ability to be followed: what was committed can be read on, entry by entry, as it happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from flight_server.model import LogEntry


@runtime_checkable
class SupportsCommitLog(Protocol):
    """What was committed can be followed: by whom, why, and to what it was done."""

    def snapshot(self) -> int:
        """The newest snapshot."""

    def entries(self, after: int, limit: int) -> tuple[list[LogEntry], int]:
        """What the next `limit` commits after a snapshot did, and the last of them."""

    def follow(self, wake: Callable[[], object], position: Callable[[], int]) -> Callable[[], None]:
        """Calls `wake` at each commit, and lets nothing expire that comes after `position`.

        What is answered ends that. `wake` is called in the writer's thread: it must be quick.
        """
