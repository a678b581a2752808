"""Numbers about an engine that operators watch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Figures:
    """An engine at one moment. `commits` and no other counts from the start of the server.

    `files` and `bytes` are of everything that is kept, for old versions as well; `waiting` is how
    many small appends stand in line for a commit.
    """

    tables: int
    files: int
    bytes: int
    snapshots: int
    commits: int
    waiting: int


@runtime_checkable
class SupportsFigures(Protocol):
    """The engine can be watched."""

    def figures(self) -> Figures:
        """Its numbers now; cheap enough for every few seconds."""
