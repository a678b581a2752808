"""Webhooks: made, changed, tried and ended by their owners, and seen by administrators.

A hook hears what its owner could see within the scopes of the credential that made it, so a
credential with narrower scopes knows nothing of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flight_server.auth import within
from flight_server.dialling import Destination, Dialling
from flight_server.engines.log import SupportsCommitLog
from flight_server.errors import InvalidRequest, NotFound, Unavailable
from flight_server.model import DEFAULT_CATALOG
from flight_server.operations.authority import authority
from flight_server.operations.services import Call, Services
from flight_server.webhooks import (
    Delivery,
    Hook,
    HookOwner,
    Status,
    check_events,
    check_tables,
    checked_headers,
    checked_secret,
    webhook_not_found,
)

# How long somebody who tries a hook waits for the answer beyond what the receiver may take.
TEST_SECONDS_MORE = 5.0
LOOK_SECONDS = 0.05


def create_webhook(services: Services, call: Call, values: Mapping[str, Any]) -> Hook:
    """A new hook of the caller's; it hears of what happens from now on.

    InvalidRequest; Forbidden (address_refused); LimitExceeded.
    """
    who = call.principal
    checked = {"headers": {}, "tables": None, "retry": None} | _checked(services, values)
    owner = HookOwner(who.id, who.name, who.workspace, who.scopes)
    hook = services.webhooks.store.create(
        owner, checked, _snapshot(services), services.settings.webhooks_max
    )
    services.webhooks.refresh()
    return hook


def list_webhooks(services: Services, call: Call) -> list[Hook]:
    """The caller's hooks; for an administrator of a workspace, all of it."""
    return [hook for hook in services.webhooks.store.all() if _may_see(services, call, hook)]


def describe_webhook(services: Services, call: Call, webhook_id: str) -> Hook:
    """One hook. NotFound."""
    hook = services.webhooks.store.find(webhook_id)
    if not _may_see(services, call, hook):
        raise webhook_not_found(webhook_id)
    return hook


def change_webhook(
    services: Services, call: Call, webhook_id: str, values: Mapping[str, Any]
) -> Hook:
    """Other values for a hook. Made active, it hears of what happens from then on.

    NotFound; InvalidRequest; Forbidden (address_refused).
    """
    describe_webhook(services, call, webhook_id)
    if not values:
        raise InvalidRequest("Nothing is to be changed: give at least one field.")
    checked = _checked(services, values)
    hook = services.webhooks.store.change(webhook_id, checked, _snapshot(services))
    services.webhooks.refresh([webhook_id])
    return hook


def rotate_webhook(
    services: Services, call: Call, webhook_id: str, secret: str | None, overlap_seconds: float
) -> Hook:
    """A new secret for a hook; the old one signs beside it for so long. NotFound."""
    describe_webhook(services, call, webhook_id)
    given = None if secret is None else checked_secret(secret)
    return services.webhooks.store.rotate(webhook_id, given, overlap_seconds)


def delete_webhook(services: Services, call: Call, webhook_id: str) -> Hook:
    """Ends a hook, and what is on its way to it. NotFound."""
    describe_webhook(services, call, webhook_id)
    hook = services.webhooks.store.remove(webhook_id)
    services.webhooks.refresh()
    return hook


def try_webhook(services: Services, call: Call, webhook_id: str) -> Delivery:
    """Sends a test, and tells how that went. NotFound; Unavailable where it takes too long."""
    hook = describe_webhook(services, call, webhook_id)
    store = services.webhooks.store
    sent = store.test(hook)
    services.webhooks.refresh([webhook_id])
    seconds = services.settings.webhook_timeout_seconds + TEST_SECONDS_MORE
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        call.cancellation.check()
        found = store.delivery(webhook_id, sent.id)
        if found.status is not Status.PENDING:
            return found
        time.sleep(LOOK_SECONDS)
    raise Unavailable(f"The test has not been sent within {seconds:g} s: the server is busy.")


def list_deliveries(
    services: Services,
    call: Call,
    webhook_id: str,
    *,
    limit: int,
    before: int | None = None,
    status: str | None = None,
) -> list[Delivery]:
    """What was delivered and is to be, the newest first. NotFound.

    What the owner of the hook may no longer hear of, and has not heard of, is left out. The id of
    a job is that of its own URL.
    """
    hook = _receiver(services, call, webhook_id)
    found: list[Delivery] = []
    while len(found) < limit:
        wanted = limit - len(found)
        some = services.webhooks.store.deliveries(webhook_id, wanted, before, status)
        found += [one for one in some if services.webhooks.is_told(hook, one)]
        if len(some) < wanted:
            break
        before = some[-1].number
    return found


def replay_delivery(services: Services, call: Call, webhook_id: str, delivery_id: str) -> Delivery:
    """Has a delivery sent again, under its own id. NotFound; Conflict."""
    _receiver(services, call, webhook_id)
    delivery = services.webhooks.store.replay(webhook_id, delivery_id)
    services.webhooks.refresh([webhook_id])
    return delivery


def check_outbound(services: Services, url: str) -> str:
    """The URL in one spelling. InvalidRequest; Forbidden where it may not be dialled.

    A host that cannot be found now may be when something is sent, and is checked then.
    """
    destination = Destination.of(url)
    dialling = Dialling(services.settings.outbound_networks)
    with suppress(Unavailable):
        dialling.addresses(destination.host, destination.port)
    return destination.url


def _checked(services: Services, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, each in its one spelling. InvalidRequest; Forbidden."""
    checked = dict(values)
    for name, check in (
        ("url", lambda url: check_outbound(services, url)),
        ("events", check_events),
        ("tables", check_tables),
        ("headers", checked_headers),
        ("secret", checked_secret),
    ):
        if checked.get(name) is not None:
            checked[name] = check(checked[name])
    return checked


def _receiver(services: Services, call: Call, receiver: str) -> Hook | None:
    """The hook, or None for a job whose own URL it is about. NotFound."""
    try:
        return describe_webhook(services, call, receiver)
    except NotFound:
        # Imported here, since jobs ask whether their URLs may be dialled.
        from flight_server.operations.jobs import describe_job

        with suppress(NotFound):
            if describe_job(services, call, receiver).spec.webhook_url is not None:
                return None
        raise


def _may_see(services: Services, call: Call, hook: Hook) -> bool:
    owner, who = hook.owner, call.principal
    if owner.principal_id == who.id:
        return within(owner.scopes, who.scopes)
    manager = authority(services, call)
    if manager is None or not manager.is_workspace_admin:
        return False
    return manager.sees(owner.workspace)


def _snapshot(services: Services) -> int:
    engine = services.engine(DEFAULT_CATALOG)
    assert isinstance(engine, SupportsCommitLog), "its commits can be followed"
    return engine.snapshot()
