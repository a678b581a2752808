"""Namespaces: directories of tables."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from control_api.dependencies import Call, Services
from flight_server import operations
from flight_server.bodies.actions import OfNamespace
from flight_server.bodies.answers import committed
from flight_server.model import DEFAULT_CATALOG, NamespaceRef

router = APIRouter(prefix="/namespaces", tags=["namespaces"])


@router.get("")
def list_namespaces(
    services: Services, call: Call, catalog: str = DEFAULT_CATALOG
) -> dict[str, list[str]]:
    """The namespaces that you may know of."""
    found = operations.list_namespaces(services, call, catalog)
    return {"namespaces": [str(namespace) for namespace in found]}


@router.post("", status_code=201)
def create_namespace(services: Services, call: Call, body: OfNamespace) -> dict[str, Any]:
    """Makes a namespace."""
    namespace = NamespaceRef.parse(body.namespace)
    return committed(operations.create_namespace(services, call, namespace))


@router.delete("/{namespace:path}")
def drop_namespace(services: Services, call: Call, namespace: str) -> dict[str, Any]:
    """Removes an empty namespace."""
    return committed(operations.drop_namespace(services, call, NamespaceRef.parse(namespace)))
