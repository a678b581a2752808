"""API keys."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from control_api.dependencies import Call, Services
from flight_server import operations
from flight_server.bodies.identity import CreateKey, RotateKey, key_shown, key_told

router = APIRouter(prefix="/auth/api-keys", tags=["auth"])


@router.get("")
def list_keys(services: Services, call: Call) -> dict[str, Any]:
    """The keys that you manage, or your own; never their secrets."""
    return {"api_keys": [key_told(key) for key in operations.list_keys(services, call)]}


@router.post("", status_code=201)
def create_key(services: Services, call: Call, body: CreateKey) -> dict[str, Any]:
    """Makes a key. Its text is in `key`, and is shown this once."""
    return key_shown(*operations.create_key(services, call, **body.model_dump()))


@router.get("/{key_id}")
def describe_key(services: Services, call: Call, key_id: str) -> dict[str, Any]:
    """One key."""
    return key_told(operations.describe_key(services, call, key_id))


@router.delete("/{key_id}")
def revoke_key(services: Services, call: Call, key_id: str) -> dict[str, Any]:
    """Ends a key. It stays in the list, so that what it did can still be told."""
    return key_told(operations.revoke_key(services, call, key_id))


@router.post("/{key_id}/rotate")
def rotate_key(
    services: Services, call: Call, key_id: str, body: RotateKey | None = None
) -> dict[str, Any]:
    """Gives a key a new secret, shown this once; the old one works for `overlap_seconds`."""
    seconds = (body or RotateKey()).overlap_seconds
    return key_shown(*operations.rotate_key(services, call, key_id, seconds))
