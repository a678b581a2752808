"""What was used: counted in memory, written down every few seconds, held against quotas.

A server that is killed loses what it counted since it last wrote: a few seconds of counters, and
never anything that was counted.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from flight_server.errors import PixelflightError
from flight_server.metastore import Metastore
from flight_server.metastore.usage import add_usage, sums
from flight_server.model import Principal
from flight_server.operations.metering import AMOUNTS, Usage

FLUSH_SECONDS = 5.0
DAY_SECONDS = 24 * 3600

log = logging.getLogger(__name__)


@dataclass
class _Counted:
    """What one principal has used on a day and is not written down yet."""

    principal: str
    usage: Usage


class UsageCounters:
    """Adds up usage by workspace, principal and day. Every method may be called from any thread.

    Days and months are those of UTC.
    """

    def __init__(self, metastore: Metastore, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._metastore = metastore
        self._flush_seconds = flush_seconds
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._counted: dict[tuple[str, str, str], _Counted] = {}
        # What workspaces have used in a period, written down or not: '2031-01' or '2031-01-31'.
        self._sums: dict[tuple[str, str], Usage] = {}
        self._day_number, self._day = -1, ""
        self._read_sums()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="usage", daemon=True)
        self._thread.start()

    def add(self, principal: Principal, used: Usage) -> None:
        """Counts what a principal has used just now."""
        day = self.today()
        key = (principal.workspace, principal.id, day)
        with self._lock:
            counted = self._counted.get(key)
            if counted is None:
                counted = self._counted[key] = _Counted(principal.name, Usage())
            counted.usage.add(used)
            self._sum(principal.workspace, day).add(used)
            self._sum(principal.workspace, day[:7]).add(used)

    def used(self, workspace: str, period: str) -> Usage:
        """What a workspace has used in the running day or month: `2031-01-31`, `2031-01`."""
        return self._sums.get((workspace, period)) or Usage()

    def today(self) -> str:
        """The day in UTC."""
        number = int(time.time() // DAY_SECONDS)
        if number != self._day_number:
            day = time.strftime("%Y-%m-%d", time.gmtime(number * DAY_SECONDS))
            self._day, self._day_number = day, number
        return self._day

    def flush(self) -> None:
        """Writes down all that was counted. Unavailable, after which it is still counted."""
        with self._writing:
            with self._lock:
                counted, self._counted = self._counted, {}
            if not counted:
                return
            rows = [
                {"workspace": workspace, "principal_id": who, "day": day}
                | {"principal": one.principal, **vars(one.usage)}
                for (workspace, who, day), one in counted.items()
            ]
            try:
                with self._metastore.begin() as connection:
                    add_usage(connection, rows, AMOUNTS)
            except BaseException:
                self._take_back(counted)
                raise
        self._forget_past()

    def close(self) -> None:
        """Writes down what is left, and ends."""
        self._stopping.set()
        self._thread.join()
        self._flush_quietly()

    def _run(self) -> None:
        while not self._stopping.wait(self._flush_seconds):
            self._flush_quietly()

    def _flush_quietly(self) -> None:
        try:
            self.flush()
        except PixelflightError as error:
            log.warning("usage is written down later: %s", error.message)

    def _take_back(self, counted: dict[tuple[str, str, str], _Counted]) -> None:
        with self._lock:
            for key, one in counted.items():
                newer = self._counted.setdefault(key, _Counted(one.principal, Usage()))
                newer.usage.add(one.usage)

    def _read_sums(self) -> None:
        with self._metastore.read() as connection:
            for period in (self.today(), self.today()[:7]):
                for row in sums(connection, period, AMOUNTS):
                    amounts = {name: int(row[name]) for name in AMOUNTS}
                    self._sums[row["workspace"], period] = Usage(**amounts)

    def _sum(self, workspace: str, period: str) -> Usage:
        found = self._sums.get((workspace, period))
        if found is None:
            found = self._sums[workspace, period] = Usage()
        return found

    def _forget_past(self) -> None:
        today = self.today()
        with self._lock:
            for key in [key for key in self._sums if not today.startswith(key[1])]:
                del self._sums[key]
