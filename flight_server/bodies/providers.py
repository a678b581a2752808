"""Providers of models as JSON: what is asked for, and what is told of them."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from pydantic import Field

from flight_server.bodies.identity import Name, Secret
from flight_server.bodies.requests import Body
from flight_server.operations import Call, Services
from flight_server.operations.providers import list_model_usage, set_provider_key


class SetKey(Body):
    """The key that the provider has given out. It is never shown again."""

    key: Secret

    def set(self, services: Services, call: Call, provider: str) -> dict[str, Any]:
        """The answer: the provider, with its key masked. NotFound; InvalidRequest; Forbidden."""
        return set_provider_key(services, call, provider, self.key.get_secret_value())


class OfProvider(Body):
    """Something about one provider, by its name."""

    provider: Name


class SetProviderKey(OfProvider, SetKey):
    """`set_provider_key`."""


class ReadModelUsage(Body):
    """Calls of which days of UTC are wanted."""

    since: Annotated[dt.date | None, Field(alias="from", description="The first day.")] = None
    until: Annotated[
        dt.date | None, Field(alias="to", description="The day after the last one.")
    ] = None

    def report(self, services: Services, call: Call) -> dict[str, Any]:
        """The answer: calls by day, function and model. Forbidden."""
        return {"usage": list_model_usage(services, call, self.since, self.until)}
