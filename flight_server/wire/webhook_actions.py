"""Actions about webhooks and what is delivered to them."""

from __future__ import annotations

from flight_server import operations
from flight_server.bodies.actions import Nothing
from flight_server.bodies.webhooks import (
    ChangeWebhookAction,
    CreateWebhook,
    OfDelivery,
    OfWebhook,
    ReadDeliveriesAction,
    RotateWebhookAction,
    delivery_listed,
    webhook_listed,
    webhook_shown,
)
from flight_server.operations import Call, Services
from flight_server.wire.json_actions import Answer, JsonAction


def _create(services: Services, call: Call, body: CreateWebhook) -> Answer:
    return webhook_shown(operations.create_webhook(services, call, body.values()))


def _list(services: Services, call: Call, body: Nothing) -> Answer:
    found = operations.list_webhooks(services, call)
    return {"webhooks": [webhook_listed(hook) for hook in found]}


def _describe(services: Services, call: Call, body: OfWebhook) -> Answer:
    return webhook_listed(operations.describe_webhook(services, call, body.webhook))


def _change(services: Services, call: Call, body: ChangeWebhookAction) -> Answer:
    return webhook_listed(operations.change_webhook(services, call, body.webhook, body.values()))


def _rotate(services: Services, call: Call, body: RotateWebhookAction) -> Answer:
    return webhook_shown(body.rotate(services, call, body.webhook))


def _delete(services: Services, call: Call, body: OfWebhook) -> Answer:
    operations.delete_webhook(services, call, body.webhook)
    return {}


def _test(services: Services, call: Call, body: OfWebhook) -> Answer:
    return delivery_listed(operations.try_webhook(services, call, body.webhook))


def _deliveries(services: Services, call: Call, body: ReadDeliveriesAction) -> Answer:
    return body.page(services, call, body.webhook)


def _replay(services: Services, call: Call, body: OfDelivery) -> Answer:
    found = operations.replay_delivery(services, call, body.webhook, body.delivery)
    return delivery_listed(found)


WEBHOOK_ACTIONS: dict[str, JsonAction] = {
    "create_webhook": JsonAction("Have events sent to a URL.", CreateWebhook, _create),
    "list_webhooks": JsonAction("Webhooks, without their secrets.", Nothing, _list),
    "describe_webhook": JsonAction("One webhook.", OfWebhook, _describe),
    "change_webhook": JsonAction("Change a webhook.", ChangeWebhookAction, _change),
    "rotate_webhook": JsonAction(
        "A new secret for a webhook; the old one signs beside it.", RotateWebhookAction, _rotate
    ),
    "delete_webhook": JsonAction("End a webhook.", OfWebhook, _delete),
    "test_webhook": JsonAction("Send a test, and tell how it went.", OfWebhook, _test),
    "list_deliveries": JsonAction(
        "What was sent to a webhook, newest first.", ReadDeliveriesAction, _deliveries
    ),
    "replay_delivery": JsonAction("Send a delivery again.", OfDelivery, _replay),
}
