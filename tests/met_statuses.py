"""Which statuses of which operations the document tells of, and which of them tests have met."""

from __future__ import annotations

from typing import Any

from tests.held_answers import Pairs

# What processes hand over is under this name.
OUTPUT = "statuses"


class Statuses:
    """What was told of and met in this process, and in those that it has started."""

    def __init__(self) -> None:
        self._told: Pairs = set()
        self._met: Pairs = set()
        self.is_whole = True

    def note(self, told: Pairs, met: Pairs) -> None:
        """Takes in what one application told and answered."""
        self._told |= told
        self._met |= met

    def handed_over(self) -> dict[str, Any]:
        """What another process takes in."""
        told, met = sorted(self._told), sorted(self._met)
        return {"told": told, "met": met, "is_whole": self.is_whole}

    def take(self, output: dict[str, Any]) -> None:
        """Takes in what another process has handed over, if it came to its end."""
        found = output.get(OUTPUT, {"told": (), "met": (), "is_whole": False})
        self.note({(a, b) for a, b in found["told"]}, {(a, b) for a, b in found["met"]})
        self.is_whole &= found["is_whole"]

    def unmet(self) -> list[str]:
        """What no test was answered, if all were run."""
        missing = sorted(self._told - self._met) if self.is_whole else []
        return [f"{operation} {status}" for operation, status in missing]

    def summary(self) -> str:
        """How many there are."""
        operations = len({name for name, _ in self._told})
        met = len(self._told & self._met)
        return f"{met} of {len(self._told)} documented statuses of {operations} operations were met"


STATUSES = Statuses()
