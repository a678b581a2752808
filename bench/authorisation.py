"""Asks what it costs to know who asks, and what they may: for somebody of many roles and grants.

The principal has 20 roles with 1,000 grants, each limited to columns and to rows. What is measured
is what every call pays before its work begins: a credential becomes a principal, and a table what
may be read of it. A decision is made once and remembered until a grant changes; both are measured.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pyarrow as pa

from bench.results import Row
from bench.sample import workspace
from bench.sizes import Sizes
from flight_server.assemble import assemble
from flight_server.auth import Access, Action, Grant
from flight_server.auth.access import ANONYMOUS
from flight_server.auth.permissions import Permissions
from flight_server.model import DEFAULT_WORKSPACE, TableRef, TableSpec
from flight_server.operations import Call, Services, create_table
from flight_server.operations.authorise import permitted
from flight_server.operations.limits import Limits, RouteClass
from flight_server.operations.permissions import bound_to
from flight_server.query import bound_filter, fits
from flight_server.setting_values import Durability
from flight_server.settings import Settings

ROLES, GRANTS, TABLES = 20, 1_000, 50
MS_MAX = 0.3
LIMIT_MS_MAX = 0.02


@dataclass(frozen=True)
class Asker:
    """Somebody with a key, on a server that is asked in process."""

    services: Services
    key: str
    tables: tuple[TableRef, ...]
    permissions: Permissions

    def ask(self, number: int) -> None:
        """What a call pays before its work begins."""
        principal = self.services.authenticator.identify(f"Bearer {self.key}").principal
        table = self.tables[number % len(self.tables)]
        permitted(self.services, Call(principal, "bench"), table, Action.READ)

    def forget(self) -> None:
        """As after a grant has changed: no decision is remembered."""
        self.permissions.decisions.clear()

    def forget_filters(self) -> None:
        """As for somebody who has never asked: no filter has been read for it."""
        self.forget()
        bound_filter.cache_clear()
        fits.cache_clear()


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question."""
    with asker() as found:
        calls = sizes.rounds_short * 25
        remembered = _times(calls, lambda n: found.ask(n))
        first = _times(calls, lambda n: found.ask(n), found.forget)
        unread = _times(min(calls, 2 * TABLES), lambda n: found.ask(n), found.forget_filters)
        admitted = _times(calls, _limited(found))
    return [
        _row("authorisation of a call, decided before", remembered, MS_MAX),
        _row("authorisation of a call, decided anew", first, MS_MAX),
        _row("authorisation of a call, its row filters read anew as well", unread, None),
        _row("admission of a call under a rate limit", admitted, LIMIT_MS_MAX),
    ]


def _limited(found: Asker) -> Callable[[int], object]:
    """Admits a call of somebody whose rate is limited, and far from its limit."""
    services = found.services
    settings = services.settings.model_copy(update={"limit_read": "1000000000/hour"})
    limits = Limits(settings, services.usage, lambda workspace: {})
    principal = services.authenticator.identify(f"Bearer {found.key}").principal
    return lambda number: limits.admit(principal, RouteClass.READ)


@contextmanager
def asker() -> Iterator[Asker]:
    """A server with tables of a few columns, and somebody with limited grants on all of them."""
    with workspace() as folder:
        settings = Settings(data=folder, durability=Durability.NONE, housekeeping_seconds=0)
        services = assemble(settings)
        try:
            root = Call(ANONYMOUS, "bench")
            tables = tuple(TableRef.of(f"table_{n}") for n in range(TABLES))
            fields = [("id", pa.int64()), ("owner", pa.string()), ("region", pa.string())]
            fields += [(f"measure_{n}", pa.float64()) for n in range(17)]
            for table in tables:
                create_table(services, root, table, TableSpec(pa.schema(fields)))
            names = [f"role {n}" for n in range(ROLES)]
            for name in names:
                services.permissions.create_role(DEFAULT_WORKSPACE, name, "", "bench")
            key, _ = services.keys.create("ann", names, created_by="bench")
            grants = _grants(names, tables)
            access = Access(lambda: grants, bound_to)
            yield Asker(replace(services, access=access), key, tables, grants)
        finally:
            services.close()


def _grants(names: list[str], tables: tuple[TableRef, ...]) -> Permissions:
    """As many for each role; for each table one of every role."""
    held: dict[tuple[str, str], list[Grant]] = {}
    for number in range(GRANTS):
        name, table = names[number % ROLES], tables[number // ROLES % TABLES]
        columns = frozenset({"id", "owner", f"measure_{number % 17}"})
        grant = Grant(
            name,
            frozenset({Action.READ}),
            table.catalog,
            table.namespace,
            table.name,
            columns,
            f"owner = current_user AND region = 'r{number}'",
        )
        held.setdefault((DEFAULT_WORKSPACE, name), []).append(grant)
    return Permissions(grants={key: tuple(found) for key, found in held.items()})


def _times(
    calls: int, ask: Callable[[int], object], before: Callable[[], None] = lambda: None
) -> list[float]:
    """How long each call took, in milliseconds, from the quickest on; the first of all warm up."""
    for number in range(TABLES):
        ask(number)
    taken = []
    for number in range(calls):
        before()
        began = time.perf_counter()
        ask(number)
        taken.append((time.perf_counter() - began) * 1e3)
    return sorted(taken)


def _row(question: str, taken: list[float], at_most: float | None) -> Row:
    tenth = len(taken) // 10
    return Row(
        question,
        statistics.median(taken),
        taken[tenth],
        taken[-tenth - 1],
        at_least=at_most,
        unit="ms",
        less_is_better=True,
        detail=f"{ROLES} roles, {GRANTS} grants, {TABLES} tables; {len(taken)} calls, the "
        f"slowest {taken[-1]:.3f} ms",
    )
