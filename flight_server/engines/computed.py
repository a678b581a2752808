"""The ability to have columns that are computed of others, and functions that these may call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class SupportsFunctions(Protocol):
    """There are functions that expressions of computed columns may call."""

    def functions(self) -> list[Mapping[str, Any]]:
        """Every function by name, with its signatures, and what keeps it from being called."""
