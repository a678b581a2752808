"""Webhooks: what happens to tables and jobs is told to who asked for it, by HTTP.

An outbox follows the commit log and the log of jobs. What it finds becomes deliveries, written in
the transaction that notes how far it has come: no event is lost by a crash, none is told twice
under two ids, none is invented. A process of its own, the courier, does the sending, so that the
server's calls do not wait for it; what it reports is written down, and what failed comes again
later. Whoever receives may therefore get an event twice, always under the same id.

Knows the metastore, the commit log and where may be dialled; what the owner of a hook may hear is
asked of whoever starts it.
"""

from flight_server.webhooks.events import EVENTS, check_events, check_tables
from flight_server.webhooks.headers import checked_headers
from flight_server.webhooks.records import (
    Delivery,
    Hook,
    HookOwner,
    RetryRule,
    Status,
    delivery_told,
    hook_told,
)
from flight_server.webhooks.rights import Hearing, Rights
from flight_server.webhooks.service import Webhooks
from flight_server.webhooks.signatures import checked_secret
from flight_server.webhooks.store import WebhookStore, webhook_not_found

__all__ = [
    "EVENTS",
    "Delivery",
    "Hearing",
    "Hook",
    "HookOwner",
    "RetryRule",
    "Rights",
    "Status",
    "WebhookStore",
    "Webhooks",
    "check_events",
    "check_tables",
    "checked_headers",
    "checked_secret",
    "delivery_told",
    "hook_told",
    "webhook_not_found",
]
