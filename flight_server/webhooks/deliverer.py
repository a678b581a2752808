"""The deliverer: hands what is due to the courier, and writes down how that went.

Each receiver has a lane, in which so many deliveries are under way at once, so that one that is
slow keeps nobody else waiting. What is under way is known here alone: after a crash it is still
pending, and is sent once more under its old id.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from flight_server.errors import PixelflightError
from flight_server.metastore import Metastore
from flight_server.settings import Settings
from flight_server.webhooks.couriers import Courier
from flight_server.webhooks.records import Delivery, Hook
from flight_server.webhooks.results import Attempt, Results
from flight_server.webhooks.rights import Rights, may_have
from flight_server.webhooks.turns import giving_way
from flight_server.webhooks.waiting import Due, Room, due_now, first_due

LANE_MAX = 128
# Of a receiver that fails, so few are tried at once.
FAILING_LANE_MAX = 4
# What comes closely after something else is dealt with together with it.
LINGER_SECONDS = 0.03
ROUND_SECONDS = 60.0
RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass
class _Lane:
    """What is under way to a receiver; the next is due at `due_at`, None until it is stirred."""

    due_at: dt.datetime | None
    under_way: dict[int, tuple[Delivery, Hook | None]] = field(default_factory=dict)
    width: int = LANE_MAX

    @property
    def room(self) -> int:
        return max(0, self.width - len(self.under_way))


@dataclass(frozen=True)
class _Gone:
    """The courier has ended."""

    courier: int


class Deliverer:
    """Delivers in a thread of its own."""

    def __init__(self, metastore: Metastore, rights: Rights, settings: Settings) -> None:
        self._metastore = metastore
        self._rights = rights
        self._settings = settings
        self._results = Results(metastore, settings)
        self._lanes: dict[str, _Lane] = {}
        self._receivers: dict[int, str] = {}
        # Attempts that have ended and are not written down yet.
        self._ended: list[Attempt] = []
        # Results, sets of receivers that are stirred, and the courier's end.
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self._courier: Courier | None = None
        self._couriers = 0
        self._stopping = threading.Event()
        self._next_round = 0.0
        self._thread = threading.Thread(target=self._run, name="webhook-deliverer", daemon=True)
        self._thread.start()

    def stir(self, receivers: Iterable[str]) -> None:
        """There may be something new for these. May be called from any thread."""
        self._inbox.put(frozenset(receivers))

    @property
    def processes(self) -> list[int]:
        """The ids of the processes that run."""
        courier = self._courier
        return [] if courier is None else [courier.process_id]

    def close(self) -> None:
        """Delivers no more; what is under way is sent again when it goes on."""
        self._stopping.set()
        self._inbox.put(frozenset())
        self._thread.join()
        if self._courier is not None:
            self._courier.close()

    def _run(self) -> None:
        is_ready = False
        while not self._stopping.is_set():
            try:
                if not is_ready:
                    self._look_for_lanes()
                    is_ready = True
                self._step()
            except Exception as error:
                reason = error.message if isinstance(error, PixelflightError) else repr(error)
                log.warning("deliveries wait: %s", reason)
                self._stopping.wait(RETRY_SECONDS)

    def _look_for_lanes(self) -> None:
        with self._metastore.read() as connection:
            for receiver, moment in first_due(connection).items():
                self._lanes[receiver] = _Lane(moment)

    def _step(self) -> None:
        """Waits until there is something to do, and does all of it that there is by then."""
        for said in giving_way(self._said()):
            self._ended += self._heard(said)
        self._write_down()
        self._hand_over()
        self._write_down()
        if time.monotonic() >= self._next_round:
            self._next_round = time.monotonic() + ROUND_SECONDS
            self._results.expire(_now())

    def _said(self) -> list[Any]:
        said = []
        try:
            said.append(self._inbox.get(timeout=self._patience()))
            self._stopping.wait(LINGER_SECONDS)
            while True:
                said.append(self._inbox.get_nowait())
        except Empty:
            return said

    def _patience(self) -> float:
        """Seconds until something is due where there is room for it."""
        moments = [lane.due_at for lane in self._lanes.values() if lane.due_at and lane.room]
        if not moments:
            return ROUND_SECONDS
        return min(max(0.001, (min(moments) - _now()).total_seconds()), ROUND_SECONDS)

    def _heard(self, said: Any) -> Iterable[Attempt]:
        """Takes note of what was said; a result is the end of an attempt."""
        if isinstance(said, _Gone):
            self._take_back(said)
        elif isinstance(said, frozenset):
            for receiver in said:
                self._lanes.setdefault(receiver, _Lane(None)).due_at = _now()
        else:
            yield from self._end_of(said)

    def _end_of(self, result: Mapping[str, Any]) -> Iterable[Attempt]:
        receiver = self._receivers.pop(result["number"], "")
        lane = self._lanes.get(receiver)
        if lane is None or result["number"] not in lane.under_way:
            return
        delivery, hook = lane.under_way[result["number"]]
        yield Attempt(
            delivery,
            hook,
            result.get("status"),
            result.get("error"),
            result.get("retry_after"),
            result["duration_ms"],
        )

    def _write_down(self) -> None:
        if not self._ended:
            return
        again = self._results.write(self._ended, _now())
        ended, self._ended = self._ended, []
        for attempt in ended:
            delivery = attempt.delivery
            lane = self._lanes[delivery.webhook_id]
            # Only now, or it would be found pending and be sent once more.
            lane.under_way.pop(delivery.number, None)
            lane.width = LANE_MAX if attempt.is_success else FAILING_LANE_MAX
            if (due_at := again.get(delivery.number)) is not None:
                lane.due_at = due_at if lane.due_at is None else min(lane.due_at, due_at)

    def _hand_over(self) -> None:
        """Gives the courier what is due; what receivers may not hear of ends here."""
        now = _now()
        ready = {
            receiver: Room(lane.room, lane.under_way)
            for receiver, lane in self._lanes.items()
            if lane.due_at is not None and lane.due_at <= now and lane.room
        }
        if not ready:
            self._let_go()
            return
        with self._metastore.read() as connection:
            found = list(giving_way(due_now(connection, ready, now)))
        for due in giving_way(found):
            self._send(due)

    def _send(self, due: Due) -> None:
        told = [
            (delivery, self._message(delivery, due.hook)) for delivery in giving_way(due.deliveries)
        ]
        messages = [message for _, message in told if message is not None]
        if messages:
            self._ready_courier().send(messages)
        lane = self._lanes[due.receiver]
        lane.due_at = due.next_at
        for delivery, message in told:
            lane.under_way[delivery.number] = (delivery, due.hook)
            if message is None:
                self._ended.append(Attempt(delivery, due.hook, is_withheld=True))
            else:
                self._receivers[delivery.number] = due.receiver

    def _message(self, delivery: Delivery, hook: Hook | None) -> dict[str, Any] | None:
        """What the courier is to send; None where it is not for this receiver."""
        data = may_have(self._rights, hook, delivery)
        url = delivery.url or (hook.url if hook is not None else None)
        if data is None or url is None:
            return None
        return {
            "number": delivery.number,
            "id": delivery.id,
            "webhook_id": delivery.webhook_id,
            "event": delivery.event,
            "at": delivery.at.isoformat().replace("+00:00", "Z"),
            "data": data,
            "url": url,
            "headers": dict(hook.headers) if hook is not None else {},
            "secrets": hook.secrets(_now()) if hook is not None else (),
        }

    def _let_go(self) -> None:
        """Forgets lanes in which nothing moves."""
        still = [
            receiver
            for receiver, lane in self._lanes.items()
            if lane.due_at is None and not lane.under_way
        ]
        for receiver in still:
            del self._lanes[receiver]

    def _ready_courier(self) -> Courier:
        if self._courier is None:
            self._couriers += 1
            gone = _Gone(self._couriers)
            settings = self._settings
            self._courier = Courier(
                settings.outbound_networks,
                settings.webhook_timeout_seconds,
                self._inbox.put,
                lambda: self._inbox.put(gone),
            )
        return self._courier

    def _take_back(self, gone: _Gone) -> None:
        """The courier has ended: nobody knows what of it arrived, so it is sent again."""
        if gone.courier != self._couriers or self._courier is None:
            return
        log.warning("the process that delivers webhooks has ended; another one is started")
        self._courier.close()
        self._courier = None
        self._receivers.clear()
        for lane in self._lanes.values():
            if lane.under_way:
                lane.under_way.clear()
                lane.due_at = _now()
        self._stopping.wait(RETRY_SECONDS)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
