"""Requests whose answer tells of all of a table, or that are answered later than they were made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from tests.end_to_end.rights.asking import Answer, Asked, Expected, changed_told, rows_told, told
from tests.end_to_end.rights.oracle import FORBIDDEN, Oracle
from tests.end_to_end.rights.reading import QUERY, Scan, Sql, places, scans, statements, table_told
from tests.end_to_end.rights.world import PEOPLE, Ends, Held, Place, Who, World


@dataclass(frozen=True)
class Following(Asked):
    """What only somebody is shown to whom nothing of the table is withheld."""

    door: str
    place: Place

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        return told(lambda: _FOLLOWING[self.door](self.place, ends, world.made_at))

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        causes = oracle.refusals(who, self.place, "read")
        if not causes and not oracle.offer(who, self.place, "read").whole:
            causes = [FORBIDDEN]
        return Expected(causes)


_FOLLOWING: dict[str, Callable[[Place, Ends, int], Answer]] = {
    "changes": lambda place, ends, since: table_told(
        ends.flight.read(changes={"table": place.text, "after": since})
    ),
    "diff": lambda place, ends, since: table_told(
        ends.flight.read(diff={"table": place.text, "older": since})
    ),
    "http changes": lambda place, ends, since: changed_told(
        ends.http.get(place.url.replace("/rows", "/changes"), params={"after": since})
    ),
    "http diff": lambda place, ends, since: changed_told(
        ends.http.get(place.url.replace("/rows", "/diff"), params={"from": since})
    ),
}


@dataclass(frozen=True)
class Ticket(Asked):
    """A ticket of somebody's, redeemed by somebody else, or once its grants are gone."""

    scan: Scan
    thief: str | None

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        def asked() -> Answer:
            info = ends.flight.info(scan=self.scan.command)
            if self.thief is not None:
                other = world.ends[self.thief].flight
                return table_told(other.stream(info.endpoints[0].ticket).read_all())
            with _other_grants(world, ()):
                return table_told(ends.flight.stream(info.endpoints[0].ticket).read_all())

        return told(asked)

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        first = self.scan.expected(oracle, who)
        if first.causes:
            return first
        if self.thief is None:
            return Expected([frozenset({"table_not_found"})])
        if self.thief == who.name:
            return first
        return Expected([frozenset({"invalid_ticket"})])


@dataclass(frozen=True)
class Later(Asked):
    """A read that was prepared, or whose answer was kept, before some grants were taken back."""

    door: str
    scan: Scan

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        held = list(world.installed.values())

        def asked() -> Answer:
            again = _LATER[self.door](self.scan, ends)
            with _other_grants(world, _left(held)):
                return again()

        return told(asked)

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        first = self.scan.expected(oracle, who)
        if first.causes:
            return first
        return self.scan.expected(Oracle(_left(oracle.grants), oracle.tables), who)


def _left(grants: Collection[Held]) -> list[Held]:
    """The grants without those of all rows: what was whole is a part, or nothing."""
    return [held for held in grants if held.rows is not None]


def _prepared(scan: Scan, ends: Ends) -> Callable[[], Answer]:
    statement = ends.sql.prepare(scan.sql)
    return lambda: table_told(statement.query())


def _infos(scan: Scan, ends: Ends) -> Callable[[], Answer]:
    parts = ends.flight.info(scan=scan.command).endpoints
    return lambda: table_told(ends.flight.stream(parts[0].ticket).read_all())


def _kept(scan: Scan, ends: Ends) -> Callable[[], Answer]:
    def query() -> Answer:
        return rows_told(ends.http.post(QUERY, json={"sql": scan.sql, "cache": True}))

    first = query()
    return (lambda: first) if first.code else query


_LATER: dict[str, Callable[[Scan, Ends], Callable[[], Answer]]] = {
    "prepared": _prepared,
    "info": _infos,
    "kept": _kept,
}


@dataclass(frozen=True)
class Explain(Asked):
    """The plan of a statement, which tells of all that its tables hold."""

    is_http: bool
    statement: Sql

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        sql = self.statement.sql
        if self.is_http:
            found = rows_told(ends.http.post(QUERY, json={"sql": sql, "explain": True}))
            return replace(found, rows=None)

        def asked() -> Answer:
            ends.flight.action("explain", sql=sql)
            return Answer()

        return told(asked)

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        causes = [one | FORBIDDEN for one in self.statement.expected(oracle, who).causes]
        used = [self.statement.first]
        if "{b}" in self.statement.shape.sql:
            used.append(self.statement.second)
        if not causes and not all(oracle.offer(who, place, "read").whole for place in used):
            causes.append(FORBIDDEN)
        return Expected(causes)


@contextmanager
def _other_grants(world: World, grants: Sequence[Held]) -> Iterator[None]:
    held = list(world.installed.values())
    world.install(grants)
    try:
        yield
    finally:
        world.install(held)


followings = st.builds(Following, st.sampled_from(list(_FOLLOWING)), places)
tickets = st.builds(
    Ticket,
    scans.map(lambda scan: replace(scan, door="info")),
    st.none() | st.sampled_from([who.name for who in PEOPLE]),
)
later = st.builds(Later, st.sampled_from(list(_LATER)), scans)
plans = st.builds(Explain, st.booleans(), statements)
followings_and_plans = st.one_of(followings, tickets, later, later, plans)
