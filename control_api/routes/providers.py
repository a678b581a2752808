"""Providers of models: the keys of a workspace, and what it has called."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from control_api.dependencies import Call, Services
from flight_server.bodies.providers import ReadModelUsage, SetKey
from flight_server.operations import providers

router = APIRouter(prefix="/providers", tags=["providers"])


@router.get("")
def list_providers(services: Services, call: Call) -> dict[str, Any]:
    """The providers that are admitted here, and your workspace's keys, masked."""
    return {"providers": providers.list_providers(services, call)}


@router.get("/usage")
def list_model_usage(
    services: Services, call: Call, query: Annotated[ReadModelUsage, Query()]
) -> dict[str, Any]:
    """Calls, errors, tokens and costs of your workspace by day of UTC, function and model."""
    return query.report(services, call)


@router.put("/{provider}/key")
def set_provider_key(services: Services, call: Call, provider: str, body: SetKey) -> dict[str, Any]:
    """Sets your workspace's key, in place of the one before. It is never shown again."""
    return body.set(services, call, provider)


@router.delete("/{provider}/key", status_code=204, response_class=Response)
def drop_provider_key(services: Services, call: Call, provider: str) -> None:
    """Forgets your workspace's key."""
    providers.drop_provider_key(services, call, provider)
