"""Deliveries that wait: to whom there are some, which are due, and when the next will be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select

from flight_server.metastore.tables import webhook_deliveries, webhooks
from flight_server.webhooks.events import TEST
from flight_server.webhooks.records import Delivery, Hook, Status, delivery_from, hook_from
from flight_server.webhooks.turns import giving_way

# So many deliveries are looked up by one question for all receivers.
FEW_MAX = 1000
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


@dataclass(frozen=True)
class Room:
    """How many more deliveries may be under way, beside those that are."""

    limit: int
    under_way: Collection[int]


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


def due_now(connection: Connection, lanes: Mapping[str, Room], now: dt.datetime) -> Iterator[Due]:
    """What is due for each receiver, as far as there is room."""
    hooks = hooks_of(connection, lanes)
    together = _few(connection, lanes)
    for receiver, room in lanes.items():
        hook = hooks.get(receiver)
        found = (
            _first(connection, receiver, room, hook)
            if together is None
            else [one for one in together.get(receiver, ()) if _is_sent(hook, one)]
        )
        yield _due(connection, receiver, hook, room, found, now)


def _few(connection: Connection, receivers: Iterable[str]) -> dict[str, list[Delivery]] | None:
    """All that waits for these, by one question; None where that is too much."""
    statement = select(webhook_deliveries).where(_PENDING, _OF.webhook_id.in_(list(receivers)))
    ordered = statement.order_by(_OF.webhook_id, _OF.due_at, _OF.number)
    rows = connection.execute(ordered.limit(FEW_MAX + 1)).mappings().all()
    if len(rows) > FEW_MAX:
        return None
    found: dict[str, list[Delivery]] = {}
    for row in giving_way(rows):
        found.setdefault(row["webhook_id"], []).append(delivery_from(row))
    return found


def _first(connection: Connection, receiver: str, room: Room, hook: Hook | None) -> list[Delivery]:
    """As many of what waits for one as there is room for, and one more, that comes next."""
    statement = _NEXT if hook is None or hook.active else _NEXT.where(_OF.event == TEST)
    wanted = room.limit + len(room.under_way) + 1
    rows = connection.execute(statement, {"receiver": receiver, "wanted": wanted})
    return [delivery_from(row) for row in rows.mappings()]


def _is_sent(hook: Hook | None, delivery: Delivery) -> bool:
    """What waits for a hook at rest goes on waiting; the test button works all the same."""
    return hook is None or hook.active or delivery.event == TEST


def _due(
    connection: Connection,
    receiver: str,
    hook: Hook | None,
    room: Room,
    found: Sequence[Delivery],
    now: dt.datetime,
) -> Due:
    waiting = [one for one in found if one.number not in room.under_way]
    rest = [one for one in waiting[: room.limit] if one.due_at <= now]
    later = waiting[len(rest) :]
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
