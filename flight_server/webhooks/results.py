"""What became of attempts, written down: delivered, to be tried again, or given up."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from flight_server.metastore import Metastore
from flight_server.metastore.audit import record_change
from flight_server.metastore.tables import webhook_deliveries, webhooks
from flight_server.settings import Settings
from flight_server.webhooks.events import TEST
from flight_server.webhooks.records import Delivery, Hook, Status
from flight_server.webhooks.schedule import delay_after
from flight_server.webhooks.store import RESOURCE
from flight_server.webhooks.turns import giving_way

GONE = 410
# Between so many rows others may have Python's lock.
ROWS_EACH = 20
_OF = webhook_deliveries.c
_BY_NUMBER = update(webhook_deliveries).where(_OF.number == bindparam("of"))

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """An attempt that has ended. `status` is None where there was no answer.

    `hook` is as it was when the attempt began; None for a job's own URL. `is_withheld` says that
    nothing was sent.
    """

    delivery: Delivery
    hook: Hook | None
    status: int | None = None
    error: str | None = None
    retry_after: float | None = None
    duration_ms: float | None = None
    is_withheld: bool = False

    @property
    def is_success(self) -> bool:
        """Whether the receiver has taken it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def of_hook(self) -> Hook | None:
        """The hook whose health it tells of."""
        hook = self.hook
        mine = hook is not None and hook.id == self.delivery.webhook_id
        return hook if mine and not self.is_withheld and self.delivery.event != TEST else None


class Results:
    """Writes down what became of attempts, and what follows from it for their hooks."""

    def __init__(self, metastore: Metastore, settings: Settings) -> None:
        self._metastore = metastore
        self._settings = settings

    def write(self, attempts: Sequence[Attempt], now: dt.datetime) -> dict[int, dt.datetime]:
        """Writes them down; gives when those that are to be tried again are due."""
        rows = [_row(attempt, now) for attempt in giving_way(attempts)]
        with self._metastore.begin() as connection:
            for start in range(0, len(rows), ROWS_EACH):
                connection.execute(_BY_NUMBER, rows[start : start + ROWS_EACH])
            for hook, of_it in giving_way(_by_hook(attempts)):
                self._write_health(connection, hook, of_it, now)
        pending = Status.PENDING.value
        return {row["of"]: row["due_at"] for row in rows if row["status"] == pending}

    def expire(self, now: dt.datetime) -> None:
        """Removes what is old: what has come to an end, and what waits for hooks at rest."""
        before = now - dt.timedelta(seconds=self._settings.webhook_history_seconds_max)
        at_rest = select(webhooks.c.id).where(~webhooks.c.active)
        is_over = (_OF.status != Status.PENDING.value) | _OF.webhook_id.in_(at_rest)
        with self._metastore.begin() as connection:
            connection.execute(delete(webhook_deliveries).where(_OF.created_at < before, is_over))

    def _write_health(
        self,
        connection: Connection,
        hook: Hook,
        attempts: Sequence[Attempt],
        now: dt.datetime,
    ) -> None:
        mine = webhooks.c.id == hook.id
        if any(attempt.status == GONE for attempt in attempts):
            _disable(connection, hook, "The receiver answered 410: it is gone.")
        elif any(attempt.is_success for attempt in attempts):
            # Whatever else failed meanwhile, the receiver is there.
            if hook.failing_since is not None:
                connection.execute(update(webhooks).where(mine).values(failing_since=None))
        else:
            of = webhooks.c.failing_since
            since = connection.scalar(select(of).where(mine))
            if since is None:
                connection.execute(update(webhooks).where(mine).values(failing_since=now))
            elif (now - since).total_seconds() > self._settings.webhook_failing_seconds_max:
                _disable(connection, hook, f"Every attempt since {since:%Y-%m-%d %H:%M} failed.")


def _by_hook(attempts: Sequence[Attempt]) -> Iterable[tuple[Hook, list[Attempt]]]:
    found: dict[str, tuple[Hook, list[Attempt]]] = {}
    for attempt in attempts:
        if (hook := attempt.of_hook) is not None:
            found.setdefault(hook.id, (hook, []))[1].append(attempt)
    return found.values()


def _row(attempt: Attempt, now: dt.datetime) -> Mapping[str, Any]:
    """The columns of a delivery after an attempt."""
    delivery = attempt.delivery
    attempts = delivery.attempts + (0 if attempt.is_withheld else 1)
    status, due_at, error = Status.DELIVERED, delivery.due_at, attempt.error
    if attempt.is_withheld:
        status = Status.WITHHELD
    elif not attempt.is_success:
        error = error or f"It answered with the status {attempt.status}."
        delay = _delay(attempt, attempts)
        status = Status.FAILED if delay is None else Status.PENDING
        due_at = now + dt.timedelta(seconds=delay or 0)
    return {
        "of": delivery.number,
        "status": status.value,
        "due_at": due_at,
        "attempts": attempts,
        "response_status": attempt.status,
        "error": error,
        "duration_ms": attempt.duration_ms,
        "attempted_at": now,
    }


def _delay(attempt: Attempt, attempts: int) -> float | None:
    if attempt.status == GONE or attempt.delivery.event == TEST:
        return None
    rule = attempt.hook.retry if attempt.hook is not None else None
    return delay_after(attempts, rule, attempt.retry_after)


def _disable(connection: Connection, hook: Hook, reason: str) -> None:
    mine = (webhooks.c.id == hook.id) & webhooks.c.active
    values = {"active": False, "disabled_reason": reason}
    if connection.execute(update(webhooks).where(mine).values(values)).rowcount:
        record_change(
            connection, "disable_webhook", RESOURCE + hook.id, leads_to=hook.place, reason=reason
        )
        log.warning("the webhook %s to %s is disabled: %s", hook.id, hook.place, reason)
