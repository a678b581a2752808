"""What the grants show, cell by cell: it shares nothing with the server but the words of grants."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from tests.end_to_end.rights.world import COLUMNS, LIMITS, OWNERS, PLACES, Held, Place, Row, Who

Codes = frozenset[str]
HIDDEN: Codes = frozenset({"table_not_found"})
FORBIDDEN: Codes = frozenset({"forbidden"})
NO_COLUMN: Codes = frozenset({"column_not_found", "invalid_sql", "schema_mismatch"})


@dataclass(frozen=True)
class Rectangle:
    """Some columns of some rows, as one grant opens them."""

    columns: frozenset[str]
    rows: str | None

    def inside(self, other: Rectangle) -> bool:
        return self.columns <= other.columns and other.rows in (None, self.rows)


@dataclass(frozen=True)
class Offer:
    """What somebody may do something with: the columns that all grants show, the rows of any."""

    who: Who
    rectangles: tuple[Rectangle, ...]

    @property
    def allowed(self) -> bool:
        return bool(self.rectangles)

    @property
    def columns(self) -> frozenset[str]:
        if not self.rectangles:
            return frozenset()
        return frozenset.intersection(*(one.columns for one in self.rectangles))

    @property
    def every_row(self) -> bool:
        return any(one.rows is None for one in self.rectangles)

    @property
    def judges(self) -> frozenset[str]:
        """The columns that say which rows are meant."""
        if self.every_row:
            return frozenset()
        return frozenset[str]().union(*(LIMITS[one.rows or ""].uses for one in self.rectangles))

    @property
    def whole(self) -> bool:
        return self.every_row and self.columns == set(COLUMNS)

    def shows(self, row: Row) -> bool:
        return any(
            one.rows is None or LIMITS[one.rows].holds(row, self.who) for one in self.rectangles
        )

    def cell(self, row: Row, column: str) -> bool:
        """Whether a single grant opens this one cell."""
        return any(
            column in one.columns and (one.rows is None or LIMITS[one.rows].holds(row, self.who))
            for one in self.rectangles
        )


@dataclass
class Oracle:
    """The grants and the rows of all tables."""

    grants: Collection[Held]
    tables: dict[Place, list[Row]] = field(default_factory=dict)

    def visible(self, who: Who, place: Place) -> bool:
        """Whether somebody may know that there is the table."""
        if place not in self.tables or OWNERS[place.namespace] != who.workspace:
            return False
        scoped = who.scopes is None or any(_scope_covers(one, place) for one in who.scopes)
        return scoped and any(_covers(held, place) for held in self._of(who))

    def visible_places(self, who: Who) -> list[Place]:
        return [place for place in PLACES if self.visible(who, place)]

    def visible_namespaces(self, who: Who) -> list[str]:
        """Those of the workspace in which somebody may do something somewhere."""
        return sorted(
            name
            for name, owner in OWNERS.items()
            if owner == who.workspace
            and any(_reaches(h.namespace, h.table, name) for h in self._of(who))
            and (
                who.scopes is None
                or any(_reaches(space, table, name) for _, space, table in who.scopes)
            )
        )

    def offer(self, who: Who, place: Place, action: str) -> Offer:
        """What somebody may do this with."""
        if not self.visible(who, place):
            return Offer(who, ())
        if who.scopes is not None and not any(
            one[0] in (action, "admin") and _scope_covers(one, place) for one in who.scopes
        ):
            return Offer(who, ())
        found = {
            Rectangle(frozenset(COLUMNS if held.columns is None else held.columns), held.rows)
            for held in self._of(who)
            if held.actions & {action, "admin"} and _covers(held, place)
        }
        largest = [one for one in found if not any(one != o and one.inside(o) for o in found)]
        return Offer(who, tuple(largest))

    def may_in(self, who: Who, namespace: str, action: str) -> bool:
        """Whether somebody may do this in a namespace, be it there or not."""
        scopes = who.scopes
        scoped = scopes is None or any(
            one in (action, "admin") and table is None and _holds(space, namespace)
            for one, space, table in scopes
        )
        held = any(
            one.actions & {action, "admin"}
            and one.table is None
            and _holds(one.namespace, namespace)
            for one in self._of(who)
        )
        return scoped and held and owner_of(namespace) == who.workspace

    def refusals(
        self, who: Who, place: Place, *actions: str, uses: Collection[str] = ()
    ) -> list[Codes]:
        """Why somebody is refused who would do this, and read these columns; empty where not."""
        if not self.visible(who, place):
            return [HIDDEN]
        causes = [FORBIDDEN for action in actions if not self.offer(who, place, action).allowed]
        readable = self.offer(who, place, "read").columns
        if not set(uses) <= readable:
            causes.append(NO_COLUMN | FORBIDDEN)
        return causes

    def seen(self, who: Who, place: Place) -> list[Row]:
        """The rows with the columns that somebody may read."""
        offer = self.offer(who, place, "read")
        return [
            {name: row[name] for name in COLUMNS if name in offer.columns}
            for row in self.tables.get(place, ())
            if offer.shows(row)
        ]

    def rows_where(
        self, who: Who, place: Place, holds: Callable[[Row], bool], *actions: str
    ) -> list[Row]:
        """The rows that somebody may do all of this with, and that are asked for."""
        offers = [self.offer(who, place, action) for action in actions]
        return [
            row
            for row in self.tables.get(place, ())
            if all(offer.shows(row) for offer in offers) and holds(row)
        ]

    def _of(self, who: Who) -> list[Held]:
        return [h for h in self.grants if h.workspace == who.workspace and h.role in who.roles]


def owner_of(namespace: str) -> str:
    """The workspace of a namespace: that of the nearest one around it that has an owner."""
    while namespace:
        if namespace in OWNERS:
            return OWNERS[namespace]
        namespace = namespace.rpartition("/")[0]
    return "default"


def _holds(space: str | None, namespace: str) -> bool:
    return space is None or _is_within(namespace, space)


def _covers(held: Held, place: Place) -> bool:
    return (
        held.catalog in (None, "lake")
        and held.table in (None, place.name)
        and (
            held.namespace is None
            or held.namespace == place.namespace
            or (held.table is None and _is_within(place.namespace, held.namespace))
        )
    )


def _scope_covers(scope: tuple[str, str | None, str | None], place: Place) -> bool:
    _, space, table = scope
    if space is None:
        return True
    if table is not None:
        return (space, table) == (place.namespace, place.name)
    return space == place.namespace or _is_within(place.namespace, space)


def _reaches(space: str | None, table: str | None, name: str) -> bool:
    """Whether what is granted in a namespace is in another one, or around it."""
    if space is None or space == name or _is_within(space, name):
        return True
    return table is None and _is_within(name, space)


def _is_within(inner: str, outer: str) -> bool:
    return inner.split("/")[: len(outer.split("/"))] == outer.split("/")
