"""The ability to call models of others, for computed columns and indexes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True)
class Called:
    """How often a function of a provider's has called a model for a workspace, and how that went.

    `model` is empty where it is told of none. Tokens and the cost are those that answers tell of;
    the cost is in the provider's own money.
    """

    workspace: str
    provider: str
    function: str
    model: str
    calls: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0


@runtime_checkable
class SupportsProviders(Protocol):
    """There are providers whose models are called with keys of workspaces."""

    def providers(self) -> list[Mapping[str, Any]]:
        """Each `provider`, whether it `takes_key`, and whether it `is_configured` without ours."""
