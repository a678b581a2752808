"""Namespaces: directories of tables."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Response

from control_api.dependencies import Call, Services
from flight_server import operations
from flight_server.bodies.actions import CreateNamespace
from flight_server.bodies.answers import committed
from flight_server.model import NamespaceRef

THERE_ALREADY = {"description": "It was there already, and 'if_not_exists' was said."}

router = APIRouter(prefix="/namespaces", tags=["namespaces"])

_NAMESPACE = Path(description="`[catalog:]namespace`, as in a/b.", examples=["sales"])


@router.get("")
def list_namespaces(
    services: Services, call: Call, catalog: str | None = None
) -> dict[str, list[str]]:
    """The namespaces that you may know of, of all catalogs or of one."""
    found = operations.list_namespaces(services, call, catalog)
    return {"namespaces": [str(namespace) for namespace in found]}


@router.post("", status_code=201, responses={200: THERE_ALREADY})
def create_namespace(
    services: Services, call: Call, body: CreateNamespace, response: Response
) -> dict[str, Any]:
    """Makes a namespace; nested ones are joined by '/': a/b."""
    namespace = NamespaceRef.parse(body.namespace)
    make = operations.ensure_namespace if body.if_not_exists else operations.create_namespace
    made = make(services, call, namespace)
    if made is None:
        response.status_code = 200
    response.headers["location"] = f"/api/v1/namespaces/{quote(str(namespace), safe='.:')}"
    return committed(made)


@router.get("/{namespace:path}")
def describe_namespace(
    services: Services, call: Call, namespace: Annotated[str, _NAMESPACE]
) -> dict[str, Any]:
    """A namespace with the tables in it, and the namespaces below it, as far as you may know."""
    found = NamespaceRef.parse(namespace)
    inside, tables = operations.namespace_content(services, call, found)
    return {
        "namespace": str(found),
        "namespaces": [str(one) for one in inside],
        "tables": [str(table) for table in tables],
    }


@router.delete("/{namespace:path}")
def drop_namespace(
    services: Services,
    call: Call,
    namespace: Annotated[str, _NAMESPACE],
    if_exists: Annotated[bool, Query(description="Does nothing where there is none.")] = False,
) -> dict[str, Any]:
    """Removes an empty namespace."""
    found = NamespaceRef.parse(namespace)
    return committed(
        operations.unless_missing(
            if_exists, lambda: operations.drop_namespace(services, call, found)
        )
    )
