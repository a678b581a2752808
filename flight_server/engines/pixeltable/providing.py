"""The part of the engine that knows providers of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flight_server.engines.pixeltable.asking import Asking


class Providing(Asking):
    """Providers whose models are called with keys of workspaces."""

    def providers(self) -> list[Mapping[str, Any]]:
        """Those that are admitted, each with whether it takes a key and has one already."""
        return list(self._asked("providers")["providers"])
