"""Webhooks: who is told what of what happens."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from control_api.dependencies import NO_BODY, Call, Services
from flight_server import operations
from flight_server.bodies.webhooks import (
    ChangeWebhook,
    CreateWebhook,
    ReadDeliveries,
    RotateWebhook,
    delivery_listed,
    webhook_listed,
    webhook_shown,
)

router = APIRouter(prefix="/batch/webhooks", tags=["webhooks"])


@router.get("")
def list_webhooks(services: Services, call: Call) -> dict[str, Any]:
    """Your webhooks; for an administrator those of the workspace. Never their secrets."""
    found = operations.list_webhooks(services, call)
    return {"webhooks": [webhook_listed(hook) for hook in found]}


@router.post("", status_code=201)
def create_webhook(services: Services, call: Call, body: CreateWebhook) -> dict[str, Any]:
    """Makes a webhook. Its `secret` is shown this once."""
    return webhook_shown(operations.create_webhook(services, call, body.values()))


@router.get("/{webhook_id}")
def describe_webhook(services: Services, call: Call, webhook_id: str) -> dict[str, Any]:
    """One webhook; of its headers only the names."""
    return webhook_listed(operations.describe_webhook(services, call, webhook_id))


@router.patch("/{webhook_id}")
def change_webhook(
    services: Services, call: Call, webhook_id: str, body: ChangeWebhook
) -> dict[str, Any]:
    """Changes what is given. One that is made active hears of what happens from then on."""
    return webhook_listed(operations.change_webhook(services, call, webhook_id, body.values()))


@router.delete("/{webhook_id}", status_code=204, response_class=Response)
def delete_webhook(services: Services, call: Call, webhook_id: str) -> None:
    """Ends a webhook, and what is on its way to it."""
    operations.delete_webhook(services, call, webhook_id)


@router.post("/{webhook_id}/rotate")
def rotate_webhook(
    services: Services, call: Call, webhook_id: str, body: RotateWebhook | None = None
) -> dict[str, Any]:
    """Gives it a new secret, shown this once; both sign for `overlap_seconds`, a day at first."""
    return webhook_shown((body or RotateWebhook()).rotate(services, call, webhook_id))


@router.post("/{webhook_id}/test", dependencies=[NO_BODY])
def try_webhook(services: Services, call: Call, webhook_id: str) -> dict[str, Any]:
    """Sends the event `webhook.test`, once, and tells how that went."""
    return delivery_listed(operations.try_webhook(services, call, webhook_id))


@router.get("/{webhook_id}/deliveries")
def list_deliveries(
    services: Services, call: Call, webhook_id: str, wanted: Annotated[ReadDeliveries, Query()]
) -> dict[str, Any]:
    """What was delivered and is to be, the newest first. `cursor` asks for the next page."""
    return wanted.page(services, call, webhook_id)


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/replay", status_code=202, dependencies=[NO_BODY]
)
def replay_delivery(
    services: Services, call: Call, webhook_id: str, delivery_id: str
) -> dict[str, Any]:
    """Has it sent again, under its own id."""
    return delivery_listed(operations.replay_delivery(services, call, webhook_id, delivery_id))
