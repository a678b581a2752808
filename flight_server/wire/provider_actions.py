"""Actions about providers of models."""

from __future__ import annotations

from flight_server.bodies.actions import Nothing
from flight_server.bodies.providers import OfProvider, ReadModelUsage, SetProviderKey
from flight_server.operations import Call, Services, providers
from flight_server.wire.json_actions import Answer, JsonAction


def _list(services: Services, call: Call, body: Nothing) -> Answer:
    return {"providers": providers.list_providers(services, call)}


def _set(services: Services, call: Call, body: SetProviderKey) -> Answer:
    return body.set(services, call, body.provider)


def _drop(services: Services, call: Call, body: OfProvider) -> Answer:
    providers.drop_provider_key(services, call, body.provider)
    return {}


def _usage(services: Services, call: Call, body: ReadModelUsage) -> Answer:
    return body.report(services, call)


PROVIDER_ACTIONS: dict[str, JsonAction] = {
    "list_providers": JsonAction("Providers of models, with keys masked.", Nothing, _list),
    "set_provider_key": JsonAction("Set a key, never shown again.", SetProviderKey, _set),
    "drop_provider_key": JsonAction("Forget a key.", OfProvider, _drop),
    "read_model_usage": JsonAction(
        "Calls of models by day, with tokens and costs.", ReadModelUsage, _usage
    ),
}
