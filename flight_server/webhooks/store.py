"""Webhooks in the metastore: made, changed, read; what was delivered to them, and again.

Changes are recorded in the audit trail with the place that a hook leads to: the rest of its URL,
its headers and its secret are in none of it.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from flight_server.errors import Conflict, InvalidRequest, LimitExceeded, NotFound
from flight_server.metastore import Metastore
from flight_server.metastore.audit import record_change
from flight_server.metastore.tables import job_events, webhook_deliveries, webhooks
from flight_server.webhooks.events import TEST
from flight_server.webhooks.positions import COMMITS, JOBS, begin, move
from flight_server.webhooks.records import (
    Delivery,
    Hook,
    HookOwner,
    Status,
    delivery_from,
    hook_from,
)
from flight_server.webhooks.signatures import new_secret

OVERLAP_SECONDS_MAX = 30 * 24 * 3600
RESOURCE = "webhook:"


class WebhookStore:
    """Every method may be called from any thread."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def create(
        self,
        owner: HookOwner,
        values: Mapping[str, Any],
        snapshot: int,
        hooks_max: int,
    ) -> Hook:
        """A new hook, which hears of what comes after the snapshot. LimitExceeded."""
        now = _now()
        row = {
            "id": f"wh_{uuid.uuid4().hex[:20]}",
            "workspace": owner.workspace,
            "principal_id": owner.principal_id,
            "principal": owner.principal,
            "scopes": None if owner.scopes is None else json.dumps(sorted(owner.scopes)),
            "secret": new_secret(),
            "active": True,
            "after_snapshot": snapshot,
            "created_at": now,
            "updated_at": now,
        } | _columns(values)
        with self._metastore.begin() as connection:
            _check_room(connection, owner.principal_id, hooks_max)
            row["after_job_event"] = _newest_job_event(connection)
            if not _has_any(connection):
                move(connection, COMMITS, snapshot)
            begin(connection, JOBS, row["after_job_event"])
            connection.execute(insert(webhooks).values(row))
            hook = _existing(connection, row["id"])
            _record(connection, "create_webhook", hook, events=list(hook.events))
        return hook

    def find(self, webhook_id: str) -> Hook:
        """One hook. NotFound."""
        with self._metastore.read() as connection:
            return _existing(connection, webhook_id)

    def all(self, principal_id: str | None = None, workspace: str | None = None) -> list[Hook]:
        """The hooks, the oldest first: of an owner, of a workspace, or all."""
        statement = select(webhooks).order_by(webhooks.c.created_at, webhooks.c.id)
        if principal_id is not None:
            statement = statement.where(webhooks.c.principal_id == principal_id)
        if workspace is not None:
            statement = statement.where(webhooks.c.workspace == workspace)
        with self._metastore.read() as connection:
            return [hook_from(row) for row in connection.execute(statement).mappings()]

    def change(self, webhook_id: str, values: Mapping[str, Any], snapshot: int) -> Hook:
        """Other values for a hook. One that is made active hears from the snapshot on. NotFound."""
        with self._metastore.begin() as connection:
            hook = _existing(connection, webhook_id)
            changed = _columns(values) | {"updated_at": _now()}
            if changed.get("active") and not hook.active:
                changed |= {"disabled_reason": None, "failing_since": None}
                changed |= {"after_snapshot": snapshot}
                changed["after_job_event"] = _newest_job_event(connection)
            if "secret" in changed:
                changed |= {"previous_secret": None, "previous_until": None}
            _update(connection, webhook_id, changed)
            hook = _existing(connection, webhook_id)
            _record(connection, "change_webhook", hook, fields=sorted(values))
        return hook

    def rotate(self, webhook_id: str, secret: str | None, overlap_seconds: float) -> Hook:
        """A new secret; the old one signs beside it for so long. NotFound; InvalidRequest."""
        if not 0 <= overlap_seconds <= OVERLAP_SECONDS_MAX:
            raise InvalidRequest(
                f"'overlap_seconds' is {overlap_seconds:g}: give 0 to {OVERLAP_SECONDS_MAX}."
            )
        now = _now()
        with self._metastore.begin() as connection:
            hook = _existing(connection, webhook_id)
            changed: dict[str, Any] = {"secret": secret or new_secret(), "updated_at": now}
            changed |= {"previous_secret": None, "previous_until": None}
            if overlap_seconds:
                until = now + dt.timedelta(seconds=overlap_seconds)
                changed |= {"previous_secret": hook.secret, "previous_until": until}
            _update(connection, webhook_id, changed)
            hook = _existing(connection, webhook_id)
            _record(connection, "rotate_webhook", hook, overlap_seconds=overlap_seconds)
        return hook

    def remove(self, webhook_id: str) -> Hook:
        """Ends a hook, and all that is on its way to it. NotFound."""
        with self._metastore.begin() as connection:
            hook = _existing(connection, webhook_id)
            of_it = webhook_deliveries.c.webhook_id == webhook_id
            connection.execute(delete(webhook_deliveries).where(of_it))
            connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id))
            _record(connection, "delete_webhook", hook)
        return hook

    def follow_jobs(self) -> None:
        """Sees to it that jobs are followed from now on, if they were not before."""
        with self._metastore.begin() as connection:
            begin(connection, JOBS, _newest_job_event(connection))

    def deliveries(
        self, webhook_id: str, limit: int, before: int | None = None, status: str | None = None
    ) -> list[Delivery]:
        """What was or is to be delivered, the newest first: `limit` of those before a number."""
        of = webhook_deliveries.c
        statement = select(webhook_deliveries).where(of.webhook_id == webhook_id)
        if before is not None:
            statement = statement.where(of.number < before)
        if status is not None:
            statement = statement.where(of.status == status)
        statement = statement.order_by(of.number.desc()).limit(limit)
        with self._metastore.read() as connection:
            return [delivery_from(row) for row in connection.execute(statement).mappings()]

    def delivery(self, webhook_id: str, delivery_id: str) -> Delivery:
        """One of a hook's deliveries. NotFound."""
        with self._metastore.read() as connection:
            return _delivery(connection, webhook_id, delivery_id)

    def test(self, hook: Hook) -> Delivery:
        """A delivery of nothing, to see whether it arrives."""
        now = _now()
        row: dict[str, Any] = {
            "id": f"msg_{uuid.uuid4().hex}",
            "webhook_id": hook.id,
            "event": TEST,
            "at": now,
            "data": json.dumps({"message": "This is a test."}),
            "status": Status.PENDING.value,
            "due_at": now,
            "attempts": 0,
            "created_at": now,
        }
        with self._metastore.begin() as connection:
            connection.execute(insert(webhook_deliveries).values(row))
            return _delivery(connection, hook.id, row["id"])

    def replay(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Has a delivery sent again, under its own id. NotFound; Conflict where it is under way."""
        with self._metastore.begin() as connection:
            found = _delivery(connection, webhook_id, delivery_id)
            if found.url is None and not _existing(connection, webhook_id).active:
                raise Conflict(f"The webhook '{webhook_id}' is not active: activate it first.")
            if found.status is Status.PENDING and found.attempts == 0:
                raise Conflict(f"The delivery '{delivery_id}' is under way for the first time.")
            values = {"status": Status.PENDING.value, "due_at": _now(), "attempts": 0}
            mine = webhook_deliveries.c.number == found.number
            connection.execute(update(webhook_deliveries).where(mine).values(values))
            record_change(
                connection, "replay_delivery", RESOURCE + webhook_id, delivery=delivery_id
            )
            return _delivery(connection, webhook_id, delivery_id)


def webhook_not_found(webhook_id: str) -> NotFound:
    """There is no such hook, or none that may be known of."""
    return NotFound(f"There is no webhook with the id '{webhook_id[:80]}'.")


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a hook as its row has them; lists and objects are JSON."""
    row = dict(values)
    for name in ("events", "tables"):
        if row.get(name) is not None:
            row[name] = json.dumps(list(row[name]))
    if "headers" in row:
        row["headers"] = json.dumps(dict(row["headers"]))
    if "retry" in row:
        rule = row.pop("retry")
        row["max_retries"] = None if rule is None else rule.max_retries
        row["retry_delay_seconds"] = None if rule is None else rule.retry_delay_seconds
    return row


def _check_room(connection: Connection, principal_id: str, hooks_max: int) -> None:
    mine = webhooks.c.principal_id == principal_id
    count = connection.scalar(select(func.count()).select_from(webhooks).where(mine)) or 0
    if count >= hooks_max:
        raise LimitExceeded(
            f"You have {count} webhooks, and {hooks_max} are allowed: remove one first."
        )


def _has_any(connection: Connection) -> bool:
    return connection.scalar(select(webhooks.c.id).limit(1)) is not None


def _newest_job_event(connection: Connection) -> int:
    return connection.scalar(select(func.max(job_events.c.id))) or 0


def _existing(connection: Connection, webhook_id: str) -> Hook:
    statement = select(webhooks).where(webhooks.c.id == webhook_id)
    row: RowMapping | None = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise webhook_not_found(webhook_id)
    return hook_from(row)


def _update(connection: Connection, webhook_id: str, values: Mapping[str, Any]) -> None:
    connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(values))


def _delivery(connection: Connection, webhook_id: str, delivery_id: str) -> Delivery:
    of = webhook_deliveries.c
    statement = select(webhook_deliveries).where(
        of.id == delivery_id, of.webhook_id == webhook_id, of.status != Status.WITHHELD.value
    )
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise NotFound(f"The webhook has no delivery with the id '{delivery_id[:80]}'.")
    return delivery_from(row)


def _record(connection: Connection, action: str, hook: Hook, **details: object) -> None:
    record_change(connection, action, RESOURCE + hook.id, leads_to=hook.place, **details)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
