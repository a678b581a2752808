"""Deliveries that wait: to whom there are some, which are due, and when the next will be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from flight_server.metastore.tables import webhook_deliveries, webhooks
from flight_server.webhooks.events import TEST
from flight_server.webhooks.records import Delivery, Hook, Status, delivery_from, hook_from

_OF = webhook_deliveries.c
_PENDING = _OF.status == Status.PENDING.value


@dataclass(frozen=True)
class Due:
    """What is due for a receiver. `next_at` is when to look again, None is not by itself.

    `hook` is None for a job's own URL that is no hook's.
    """

    receiver: str
    hook: Hook | None
    deliveries: Sequence[Delivery]
    next_at: dt.datetime | None


def first_due(connection: Connection) -> dict[str, dt.datetime]:
    """Those to whom something waits, and since or until when."""
    statement = select(_OF.webhook_id, func.min(_OF.due_at)).where(_PENDING)
    rows = connection.execute(statement.group_by(_OF.webhook_id))
    return {str(row[0]): row[1] for row in rows}


def due_now(
    connection: Connection, receiver: str, now: dt.datetime, limit: int, without: set[int]
) -> Due:
    """The first `limit` deliveries that are due, those under way (`without`) left out."""
    hook = _hook(connection, receiver)
    mine = (_OF.webhook_id == receiver) & _PENDING
    # What waits for a hook that is not active goes on waiting; the test button works all the same.
    sent = mine if hook is None or hook.active else mine & (_OF.event == TEST)
    statement = select(webhook_deliveries).where(sent, _OF.due_at <= now)
    asked = limit + len(without)
    rows = connection.execute(statement.order_by(_OF.due_at, _OF.number).limit(asked))
    found = [delivery_from(row) for row in rows.mappings()]
    rest = [one for one in found if one.number not in without]
    next_at: dt.datetime | None = now
    if len(found) < asked:
        later = select(func.min(_OF.due_at)).where(sent, _OF.due_at > now)
        next_at = connection.scalar(later)
    if hook is None and rest:
        hook = _same_place(connection, rest[0])
    return Due(receiver, hook, rest[:limit], next_at)


def _hook(connection: Connection, receiver: str) -> Hook | None:
    statement = select(webhooks).where(webhooks.c.id == receiver)
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else hook_from(row)


def _same_place(connection: Connection, delivery: Delivery) -> Hook | None:
    """A hook of the job's owner that leads where the job's own URL does: its secret signs."""
    of = webhooks.c
    statement = select(webhooks).where(
        of.principal_id == delivery.job_owner, of.url == delivery.url, of.active
    )
    row = connection.execute(statement.order_by(of.created_at).limit(1)).mappings().one_or_none()
    return None if row is None else hook_from(row)
