"""Webhooks and deliveries as JSON: what is asked for, and what is told of them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from flight_server.bodies.identity import Seconds, Secret
from flight_server.bodies.requests import Body
from flight_server.operations import Call, Services, list_deliveries, rotate_webhook
from flight_server.webhooks import Delivery, Hook, RetryRule, Status, delivery_told, hook_told

PAGE, PAGE_MAX = 100, 1_000
DAY_SECONDS = 24 * 3600
Text = Annotated[str, Field(max_length=8192)]
Texts = Annotated[list[Annotated[str, Field(max_length=1000)]], Field(max_length=1000)]


class RetryConfig(Body):
    """How often and how soon a delivery that failed is tried again."""

    max_retries: Annotated[int, Field(strict=True, ge=0, le=100)] = 3
    retry_delay_seconds: Annotated[float, Field(ge=0, le=DAY_SECONDS, allow_inf_nan=False)] = 60


class CreateWebhook(Body):
    """A new webhook. Without `tables` it hears of all.

    Without `retry_config` what fails is tried again as Standard Webhooks proposes, for three days.
    """

    url: Text
    events: Texts
    tables: Texts | None = None
    active: bool = True
    secret: Secret | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    retry_config: RetryConfig | None = None

    def values(self) -> dict[str, Any]:
        """What the hook is made of."""
        return _values(self)


class ChangeWebhook(Body):
    """What of a webhook is to be otherwise; what is left out stays.

    Null for `tables` is all of them, and for `retry_config` the schedule of Standard Webhooks.
    """

    url: Text | None = None
    events: Texts | None = None
    tables: Texts | None = None
    active: bool | None = None
    secret: Secret | None = None
    headers: dict[str, str] | None = None
    retry_config: RetryConfig | None = None

    def values(self) -> dict[str, Any]:
        """The fields that were given."""
        given = _values(self)
        return {k: v for k, v in given.items() if v is not None or k in ("tables", "retry")}


class RotateWebhook(Body):
    """A new secret; the old one signs beside it for so long, a day unless that is said."""

    secret: Secret | None = None
    overlap_seconds: Seconds = DAY_SECONDS

    def rotate(self, services: Services, call: Call, webhook_id: str) -> Hook:
        """The webhook with its new secret. NotFound; InvalidRequest."""
        secret = None if self.secret is None else self.secret.get_secret_value()
        return rotate_webhook(services, call, webhook_id, secret, self.overlap_seconds)


class OfWebhook(Body):
    """Something about one webhook, by its id."""

    webhook: str


class ChangeWebhookAction(OfWebhook, ChangeWebhook):
    """`change_webhook`."""


class RotateWebhookAction(OfWebhook, RotateWebhook):
    """`rotate_webhook`."""


class ReadDeliveries(Body):
    """Which deliveries of a webhook are wanted, the newest first."""

    status: Annotated[Status | None, Field(description="Of this status only.")] = None
    limit: Annotated[
        int | None,
        Field(ge=1, description=f"Of a page {PAGE} where it is left out, and at most {PAGE_MAX}."),
    ] = None
    cursor: Annotated[
        int | None, Field(ge=1, description="The `cursor` of the page before this one.")
    ] = None

    def page(self, services: Services, call: Call, webhook_id: str) -> dict[str, Any]:
        """The answer: a page, and what asks for the next one. NotFound."""
        size = min(self.limit or PAGE, PAGE_MAX)
        status = None if self.status is None else self.status.value
        found = list_deliveries(
            services, call, webhook_id, limit=size, before=self.cursor, status=status
        )
        more = found[-1].number if len(found) == size else None
        return {"deliveries": [delivery_listed(one) for one in found], "cursor": more}


class ReadDeliveriesAction(OfWebhook, ReadDeliveries):
    """`list_deliveries`."""


class OfDelivery(OfWebhook):
    """`replay_delivery`."""

    delivery: str


def webhook_listed(hook: Hook) -> dict[str, Any]:
    """A webhook, without its secret."""
    return _plain(hook_told(hook))


def webhook_shown(hook: Hook) -> dict[str, Any]:
    """A webhook with its secret, which is shown this once."""
    return {"secret": hook.secret, **webhook_listed(hook)}


def delivery_listed(delivery: Delivery) -> dict[str, Any]:
    """A delivery."""
    return _plain(delivery_told(delivery))


def _values(body: CreateWebhook | ChangeWebhook) -> dict[str, Any]:
    given = {name: getattr(body, name) for name in body.model_fields_set if name != "webhook"}
    if (secret := given.get("secret")) is not None:
        given["secret"] = secret.get_secret_value()
    elif "secret" in given:
        del given["secret"]
    if "retry_config" in given:
        rule = given.pop("retry_config")
        given["retry"] = (
            None if rule is None else RetryRule(rule.max_retries, rule.retry_delay_seconds)
        )
    return given


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    """The values as JSON has them: moments are texts."""
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in told.items()
    }
