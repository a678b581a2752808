"""What a webhook and a delivery are, as rows of the metastore and as the values made of them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import RowMapping

from flight_server.dialling import Destination
from flight_server.model import DEFAULT_WORKSPACE

# Shown in the place of a header's value, which may be a credential.
HIDDEN = "***"
# Hooks are read anew for every few events, and seldom change.
HOOKS_KEPT = 1024


class Status(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    WITHHELD = "withheld"  # the hook's owner may no longer hear of it


@dataclass(frozen=True)
class HookOwner:
    """Whose a hook is: as whom, and within which scopes of a credential, it hears."""

    principal_id: str
    principal: str
    workspace: str = DEFAULT_WORKSPACE
    scopes: frozenset[str] | None = None


@dataclass(frozen=True)
class RetryRule:
    """A hook's own rule instead of the specification's schedule."""

    max_retries: int
    retry_delay_seconds: float


@dataclass(frozen=True)
class Hook:
    """A webhook. `tables` are names, or `namespace.*`; None is any."""

    id: str
    owner: HookOwner
    url: str = field(repr=False)
    events: tuple[str, ...]
    tables: tuple[str, ...] | None
    headers: Mapping[str, str] = field(repr=False)
    secret: str = field(repr=False)
    previous_secret: str | None = field(repr=False)
    previous_until: dt.datetime | None
    retry: RetryRule | None
    active: bool
    disabled_reason: str | None
    failing_since: dt.datetime | None
    after_snapshot: int
    after_job_event: int
    created_at: dt.datetime
    updated_at: dt.datetime

    @property
    def place(self) -> str:
        """Where it leads, without what may be secret of its URL."""
        destination = Destination.of(self.url)
        return f"{destination.scheme}://{destination.authority}"

    def secrets(self, now: dt.datetime) -> tuple[str, ...]:
        """Those that sign now, the newest first."""
        if self.previous_secret is None or self.previous_until is None:
            return (self.secret,)
        return (self.secret, self.previous_secret) if now < self.previous_until else (self.secret,)


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one receiver."""

    number: int
    id: str
    webhook_id: str
    url: str | None = field(repr=False)
    event: str
    at: dt.datetime
    table_name: str | None
    job_owner: str | None
    data: Mapping[str, Any]
    status: Status
    due_at: dt.datetime
    attempts: int
    response_status: int | None
    error: str | None
    duration_ms: float | None
    created_at: dt.datetime
    attempted_at: dt.datetime | None


def hook_from(row: RowMapping) -> Hook:
    """The hook that a row holds."""
    return _hook_of(tuple(row.items()))


@lru_cache(HOOKS_KEPT)
def _hook_of(items: tuple[tuple[str, Any], ...]) -> Hook:
    """The same, made once for as long as the row stays the same."""
    row = dict(items)
    scopes, tables = row["scopes"], row["tables"]
    owner = HookOwner(
        row["principal_id"],
        row["principal"],
        row["workspace"],
        None if scopes is None else frozenset(json.loads(scopes)),
    )
    retries = row["max_retries"]
    kept = ("active", "disabled_reason", "failing_since", "after_snapshot", "after_job_event")
    return Hook(
        id=row["id"],
        owner=owner,
        url=row["url"],
        events=tuple(json.loads(row["events"])),
        tables=None if tables is None else tuple(json.loads(tables)),
        headers=json.loads(row["headers"]),
        secret=row["secret"],
        previous_secret=row["previous_secret"],
        previous_until=row["previous_until"],
        retry=None if retries is None else RetryRule(retries, row["retry_delay_seconds"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        **{name: row[name] for name in kept},
    )


def delivery_from(row: RowMapping) -> Delivery:
    """The delivery that a row holds."""
    values = dict(row) | {"data": json.loads(row["data"]), "status": Status(row["status"])}
    return Delivery(**values)


def hook_told(hook: Hook) -> dict[str, Any]:
    """A hook as its owner is told of it: never its secret, of its headers only the names."""
    retry = None
    if hook.retry is not None:
        retry = {
            "max_retries": hook.retry.max_retries,
            "retry_delay_seconds": hook.retry.retry_delay_seconds,
        }
    return {
        "id": hook.id,
        "url": hook.url,
        "events": list(hook.events),
        "tables": None if hook.tables is None else list(hook.tables),
        "active": hook.active,
        "disabled_reason": hook.disabled_reason,
        "headers": dict.fromkeys(hook.headers, HIDDEN),
        "retry_config": retry,
        "owner": hook.owner.principal,
        "workspace": hook.owner.workspace,
        "failing_since": hook.failing_since,
        "previous_secret_until": hook.previous_until,
        "created_at": hook.created_at,
        "updated_at": hook.updated_at,
    }


def delivery_told(delivery: Delivery) -> dict[str, Any]:
    """A delivery as the hook's owner is told of it."""
    is_pending = delivery.status is Status.PENDING
    return {
        "id": delivery.id,
        "webhook_id": delivery.webhook_id,
        "event": delivery.event,
        "timestamp": delivery.at,
        "data": dict(delivery.data),
        "status": delivery.status.value,
        "attempts": delivery.attempts,
        "response_status": delivery.response_status,
        "error": delivery.error,
        "duration_ms": delivery.duration_ms,
        "created_at": delivery.created_at,
        "attempted_at": delivery.attempted_at,
        "next_attempt_at": delivery.due_at if is_pending else None,
    }
