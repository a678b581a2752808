"""How often, how much at once, how much in all: limits of principals and quotas of workspaces.

Doors say of which class a call is, and ask here before they do anything else for it. Rates are
counted by the library `limits` in windows that begin with their first call, so that what is told
of them is exact: how many are left, and when all of them are again.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from flight_server.errors import LimitExceeded, PixelflightError, Unauthenticated
from flight_server.model import Principal
from flight_server.operations.metering import Meter, Sizes, Usage
from flight_server.operations.usage import UsageCounters
from flight_server.operations.workspace_limits import (
    NO_LIMITS,
    ReadLimits,
    WorkspaceLimits,
    parse_workspace_limits,
)
from flight_server.settings import Settings

# How long limits of a workspace are remembered.
REMEMBERED_SECONDS = 2.0


class RouteClass(StrEnum):
    """What a call is counted as."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    BATCH = "batch"
    AUTH = "auth"


# Whoever manages a workspace whose quota is used up must be able to do something about it.
_UNDER_QUOTAS = frozenset({RouteClass.READ, RouteClass.WRITE, RouteClass.BATCH})


@dataclass(frozen=True)
class Standing:
    """Where somebody stands with one rate: what is left of it, and when it is whole again."""

    name: str
    limit: int
    window_seconds: int
    remaining: int
    reset_seconds: float


class Limits:
    """The limits that are in force. Every method may be called from any thread."""

    def __init__(self, settings: Settings, usage: UsageCounters, read_limits: ReadLimits) -> None:
        self._usage = usage
        self._read_limits = read_limits
        self._settings = settings
        self._rates = {one: _parsed(getattr(settings, f"limit_{one}")) for one in RouteClass}
        self._sizes = _sizes(settings, NO_LIMITS)
        self._remembered: dict[str, tuple[float, WorkspaceLimits]] = {}
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._streams: Counter[str] = Counter()
        self._lock = threading.Lock()

    def admit(self, principal: Principal, kind: RouteClass) -> Standing | None:
        """Counts a call, and says where its principal stands now: None where nothing is limited.

        LimitExceeded where the rate or a quota of the workspace is used up.
        """
        mine = self._of(principal.workspace)
        if mine is not NO_LIMITS and kind in _UNDER_QUOTAS:
            self._check_quotas(principal.workspace, mine)
        own: str | None = getattr(mine, kind) if mine is not NO_LIMITS else None
        rates = self._rates[kind] if own is None else _parsed(own)
        return self._count(kind, rates, principal.id) if rates else None

    def job_rates(self, workspace: str) -> list[tuple[int, int]]:
        """How many jobs a workspace may submit in how many seconds."""
        own = self._of(workspace).jobs
        rates = _parsed(self._settings.limit_jobs if own is None else own)
        return [(rate.amount, rate.get_expiry()) for rate in rates]

    def meter(self, principal: Principal) -> Meter:
        """What counts for one call of the principal."""
        mine = self._of(principal.workspace)
        sizes = self._sizes if mine is NO_LIMITS else _sizes(self._settings, mine)
        return Meter(
            sizes,
            lambda used: self._usage.add(principal, used),
            lambda: self._stream(principal),
        )

    @contextmanager
    def _stream(self, principal: Principal) -> Iterator[None]:
        """A place among the streams that the principal has open. LimitExceeded."""
        mine = self._of(principal.workspace).streams_max
        most = self._settings.streams_max if mine is None else mine
        with self._lock:
            if self._streams[principal.id] >= most:
                raise LimitExceeded(
                    f"You have {most} streams open, which is as many as you may have at once. "
                    "Close one, or wait until one has ended.",
                    details={"limit": most, "remaining": 0, "retry_after_seconds": 1},
                )
            self._streams[principal.id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._streams[principal.id] -= 1
                if not self._streams[principal.id]:
                    del self._streams[principal.id]

    def refused(self, error: PixelflightError, host: str) -> PixelflightError:
        """What somebody is told who shows no valid credential: the error, or to wait with it.

        Only wrong credentials are counted, and only they are refused: nobody who has a good one
        suffers from what others of the same address try.
        """
        rates = self._rates[RouteClass.AUTH]
        if not isinstance(error, Unauthenticated) or not rates:
            return error
        try:
            self._count(RouteClass.AUTH, rates, host)
        except LimitExceeded as limited:
            # The trail is told once, or whoever tries for long would fill it.
            is_first = any(self._counted(rate, host) == rate.amount + 1 for rate in rates)
            return limited.refusing("authenticate", "") if is_first else limited
        return error

    def _counted(self, rate: RateLimitItem, host: str) -> int:
        return self._limiter.storage.get(rate.key_for(RouteClass.AUTH, host))

    def forget(self, workspace: str) -> None:
        """The limits of a workspace have been changed, and hold at once."""
        self._remembered.pop(workspace, None)

    def quotas(self, workspace: str) -> list[Quota]:
        """The quotas of a workspace, and how far they are used."""
        return list(self._quotas(workspace, self._of(workspace)))

    def _count(self, kind: RouteClass, rates: Sequence[RateLimitItem], who: str) -> Standing:
        found: Standing | None = None
        for rate in rates:
            with self._lock:
                is_within = self._limiter.hit(rate, kind, who)
                reset, remaining = self._limiter.get_window_stats(rate, kind, who)
            seconds = max(0.0, reset - time.time())
            if not is_within:
                raise _rate_exceeded(kind, rate, seconds)
            if found is None or remaining < found.remaining:
                found = Standing(kind, rate.amount, rate.get_expiry(), remaining, seconds)
        assert found is not None, "there is a rate"
        return found

    def _of(self, workspace: str) -> WorkspaceLimits:
        """The limits that a workspace has of its own, as they were a moment ago."""
        now = time.monotonic()
        known = self._remembered.get(workspace)
        if known is not None and known[0] > now:
            return known[1]
        given = self._read_limits(workspace)
        found = parse_workspace_limits(given) if given else NO_LIMITS
        self._remembered[workspace] = (now + REMEMBERED_SECONDS, found)
        return found

    def _check_quotas(self, workspace: str, mine: WorkspaceLimits) -> None:
        for quota in self._quotas(workspace, mine):
            if not quota.remaining:
                raise LimitExceeded(
                    f"The workspace '{workspace}' has used up its quota of {quota.limit} "
                    f"{quota.name}. It begins anew at {quota.resets_at:%Y-%m-%d %H:%M} UTC.",
                    details={
                        "limit": quota.limit,
                        "remaining": 0,
                        "retry_after_seconds": quota.seconds_left,
                        "quota": quota.name,
                    },
                )

    def _quotas(self, workspace: str, mine: WorkspaceLimits) -> Iterator[Quota]:
        day = self._usage.today()
        for name, limit in mine.quotas:
            if limit is None:
                continue
            amount, _, period = name.partition("_per_")
            used: Usage = self._usage.used(workspace, day if period == "day" else day[:7])
            yield Quota(name, limit, getattr(used, amount), _end_of(day, period))


@dataclass(frozen=True)
class Quota:
    """One quota of a workspace, and how far it is used. What was begun within it may end."""

    name: str
    limit: int
    used: int
    resets_at: dt.datetime

    @property
    def remaining(self) -> int:
        """How much is left; never less than nothing."""
        return max(0, self.limit - self.used)

    @property
    def seconds_left(self) -> int:
        """How long it takes until it begins anew."""
        return max(1, int((self.resets_at - dt.datetime.now(dt.UTC)).total_seconds()) + 1)


def rate_headers(standing: Standing) -> dict[str, str]:
    """What HTTP says of a rate: the fields of the IETF's draft, and those it grew out of."""
    reset = _whole(standing.reset_seconds)
    return {
        "ratelimit-policy": f'"{standing.name}";q={standing.limit};w={standing.window_seconds}',
        "ratelimit": f'"{standing.name}";r={standing.remaining};t={reset}',
        "ratelimit-limit": str(standing.limit),
        "ratelimit-remaining": str(standing.remaining),
        "ratelimit-reset": str(reset),
    }


def standing_of(details: Mapping[str, object]) -> Standing | None:
    """Where somebody stands who was refused by a rate, as the error's details say."""
    name, limit, window = (details.get(key) for key in ("rate", "limit", "window_seconds"))
    seconds = details.get("retry_after_seconds")
    if isinstance(limit, int) and isinstance(window, int) and isinstance(seconds, int | float):
        return Standing(str(name), limit, window, 0, seconds)
    return None


def _rate_exceeded(kind: RouteClass, rate: RateLimitItem, seconds: float) -> LimitExceeded:
    wait = _whole(seconds)
    return LimitExceeded(
        f"You have sent more than {rate.amount} calls of the class '{kind.value}' in "
        f"{rate.get_expiry()} seconds. Wait {wait} seconds, then send this again.",
        details={
            "limit": rate.amount,
            "remaining": 0,
            "retry_after_seconds": wait,
            "window_seconds": rate.get_expiry(),
            "rate": kind.value,
        },
    )


def _whole(seconds: float) -> int:
    """Whole seconds that are surely enough."""
    return max(1, int(-(-seconds // 1)))


_KNOWN: dict[str, tuple[RateLimitItem, ...]] = {}


def _parsed(text: str) -> tuple[RateLimitItem, ...]:
    found = _KNOWN.get(text)
    if found is None:
        found = _KNOWN[text] = tuple(parse_many(text)) if text else ()
    return found


def _sizes(settings: Settings, mine: WorkspaceLimits) -> Sizes | None:
    """The sizes that hold; None where there are none."""
    names = ("request_rows_max", "request_bytes_max", "result_rows_max", "result_bytes_max")
    own = {name: getattr(mine, name) for name in names}
    found = {n: getattr(settings, n) if value is None else value for n, value in own.items()}
    return Sizes(**found) if any(value is not None for value in found.values()) else None


def _end_of(day: str, period: str) -> dt.datetime:
    """When the running day or month of UTC ends."""
    today = dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)
    if period == "day":
        return today + dt.timedelta(days=1)
    return (today.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
