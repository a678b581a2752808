"""Providers of models: what the client does with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flight_server.client.calls import Calls


class ProviderCalls(Calls):
    """The client's methods for it, for whoever may admin the workspace."""

    def providers(self) -> list[dict[str, Any]]:
        """The providers that are admitted, with the workspace's keys masked."""
        found: list[dict[str, Any]] = self._act("list_providers")["providers"]
        return found

    def set_provider_key(self, provider: str, key: str) -> dict[str, Any]:
        """Sets the workspace's key; the answer has it masked."""
        told: dict[str, Any] = self._act("set_provider_key", provider=provider, key=key)
        return told

    def drop_provider_key(self, provider: str) -> None:
        """Forgets the workspace's key."""
        self._act("drop_provider_key", provider=provider)

    def model_usage(self, wanted: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Calls by day, function and model; `wanted` are the days `from` and `to`."""
        found: list[dict[str, Any]] = self._act("read_model_usage", **(wanted or {}))["usage"]
        return found
