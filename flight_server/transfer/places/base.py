"""What every place can."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Check = Callable[[], None]


@dataclass(frozen=True)
class Result:
    """Files in a folder, by their names within it, and the manifest that goes with them."""

    folder: Path
    names: tuple[str, ...]
    manifest: Mapping[str, Any]


class Place(Protocol):
    """Where one job's result is to go."""

    @property
    def url(self) -> str:
        """Its name for people."""

    def refuse(self) -> None:
        """AlreadyExists where there is something already that must not be replaced."""

    def clean(self, names: tuple[str, ...]) -> None:
        """Removes what an attempt has left; `names` are its files. What is whole stays."""

    def holds(self, manifest: Mapping[str, Any]) -> bool:
        """Whether the result of this manifest is there, whole."""

    def attest(self, manifest: Mapping[str, Any]) -> None:
        """Puts the manifest there where a kill has kept it from a result that is whole."""

    def publish(self, result: Result, check: Check) -> None:
        """Gives the result its name. `check` is asked now and then, and may raise."""
