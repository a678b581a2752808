"""Deliveries that wait: to whom there are some, which are due, and when the next will be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select

from flight_server.metastore.tables import webhook_deliveries, webhooks
from flight_server.webhooks.events import TEST
from flight_server.webhooks.records import Delivery, Hook, Status, delivery_from, hook_from

_OF = webhook_deliveries.c
_PENDING = _OF.status == Status.PENDING.value
_NEXT = (
    select(webhook_deliveries)
    .where(_PENDING, _OF.webhook_id == bindparam("receiver"))
    .order_by(_OF.due_at, _OF.number)
    .limit(bindparam("wanted"))
)


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


def hooks_of(connection: Connection, receivers: Iterable[str]) -> dict[str, Hook]:
    """The hooks among the receivers, as they are now."""
    statement = select(webhooks).where(webhooks.c.id.in_(list(receivers)))
    found = (hook_from(row) for row in connection.execute(statement).mappings())
    return {hook.id: hook for hook in found}


def due_now(
    connection: Connection,
    receiver: str,
    hooks: Mapping[str, Hook],
    now: dt.datetime,
    limit: int,
    without: Collection[int],
) -> Due:
    """The first `limit` deliveries that are due, those under way (`without`) left out."""
    hook = hooks.get(receiver)
    statement = _NEXT
    if hook is not None and not hook.active:
        # What waits for it goes on waiting; the test button works all the same.
        statement = _NEXT.where(_OF.event == TEST)
    asked = limit + len(without)
    # One more tells when the next one is due.
    rows = connection.execute(statement, {"receiver": receiver, "wanted": asked + 1})
    found = [delivery_from(row) for row in rows.mappings()]
    rest = [one for one in found if one.due_at <= now and one.number not in without][:limit]
    later = [one for one in found if one.number not in without and one not in rest]
    next_at = max(later[0].due_at, now) if later else None
    if hook is None and rest:
        hook = _same_place(connection, rest[0])
    return Due(receiver, hook, rest, next_at)


def _same_place(connection: Connection, delivery: Delivery) -> Hook | None:
    """A hook of the job's owner that leads where the job's own URL does: its secret signs."""
    of = webhooks.c
    statement = select(webhooks).where(
        of.principal_id == delivery.job_owner, of.url == delivery.url, of.active
    )
    row = connection.execute(statement.order_by(of.created_at).limit(1)).mappings().one_or_none()
    return None if row is None else hook_from(row)
