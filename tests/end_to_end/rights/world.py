"""The world of the property of rights: tables, principals, grants, and a server that has them.

All of it is small enough to be written out, so that the oracle can decide cell by cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pyarrow as pa

from flight_server import operations
from flight_server.auth import Action, Grant
from flight_server.model import NamespaceRef
from tests.fix_client import Client
from tests.fix_flight_sql import SqlClient
from tests.fix_http import TwoDoors

Row = dict[str, Any]
COLUMNS = ("id", "owner", "region", "pay")
SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64()),
        pa.field("owner", pa.string()),
        pa.field("region", pa.string()),
        pa.field("pay", pa.int64()),
    ]
)
# Which workspace each namespace belongs to; what is nested in one is its owner's too.
OWNERS = {
    "north": "alpha",
    "north/deep": "alpha",
    "north/empty": "alpha",
    "south": "beta",
    "main": "default",
}
ROLES = ("red", "blue")


@dataclass(frozen=True, order=True)
class Place:
    """A table by its parts, and how it is named on each way in."""

    namespace: str
    name: str

    @property
    def text(self) -> str:
        return self.name if self.namespace == "main" else f"{self.namespace}.{self.name}"

    @property
    def sql(self) -> str:
        return f'"{self.namespace}".{self.name}'

    @property
    def url(self) -> str:
        return f"/api/v1/tables/{self.text.replace('/', '%2F')}/rows"


GOLD, COAL = Place("north", "gold"), Place("north", "coal")
IRON, SALT, WOOD = Place("north/deep", "iron"), Place("south", "salt"), Place("main", "wood")
PLACES = (GOLD, COAL, IRON, SALT, WOOD)
# Nobody has made this one.
LEAD = Place("north", "lead")


def rows_of(place: Place) -> list[Row]:
    """The rows that a table has at first: no two tables have the same pay anywhere."""
    base = PLACES.index(place) * 7
    people = ("ann", "bob", "ann", "dot", "eve", "cyd")
    return [
        {"id": n, "owner": people[(n + base) % 6], "region": "ns"[n % 2], "pay": 10 * n + base}
        for n in range(1, 7)
    ]


@dataclass(frozen=True)
class Who:
    """Somebody who asks. A scope is an action with a namespace and a table, None being any."""

    name: str
    workspace: str
    roles: frozenset[str]
    scopes: tuple[tuple[str, str | None, str | None], ...] | None = None

    def scope_texts(self) -> list[str] | None:
        if self.scopes is None:
            return None
        return [
            action if space is None else f"{action}:{space}.{table or '*'}"
            for action, space, table in self.scopes
        ]


PEOPLE = (
    Who("ann", "alpha", frozenset({"red"})),
    Who("bob", "alpha", frozenset({"red", "blue"})),
    Who("eve", "alpha", frozenset({"red", "blue"}),
        (("read", "north", None), ("update", "north", "gold"), ("insert", "north", "coal"))),
    Who("cyd", "beta", frozenset({"red"})),
    Who("dot", "default", frozenset({"red", "blue"})),
)  # fmt: skip


@dataclass(frozen=True)
class Held:
    """A grant as the oracle knows it. `rows` is one of `LIMITS`."""

    workspace: str
    role: str
    actions: frozenset[str]
    catalog: str | None = None
    namespace: str | None = None
    table: str | None = None
    columns: frozenset[str] | None = None
    rows: str | None = None

    def grant(self) -> Grant:
        """The same for the server."""
        actions = frozenset(Action(name) for name in self.actions)
        place = (self.catalog, self.namespace, self.table)
        return Grant(self.role, actions, *place, self.columns, self.rows)


@dataclass(frozen=True)
class Limit:
    """What a row filter means: the columns that it judges by, and whether a row meets it."""

    uses: frozenset[str]
    holds: Callable[[Row, Who], bool]


def _limit(*uses: str, holds: Callable[[Row, Who], bool]) -> Limit:
    return Limit(frozenset(uses), holds)


LIMITS: dict[str, Limit] = {
    "region = 'n'": _limit("region", holds=lambda row, who: bool(row["region"] == "n")),
    "pay > 35": _limit("pay", holds=lambda row, who: row["pay"] is not None and row["pay"] > 35),
    "ID < 4": _limit("id", holds=lambda row, who: bool(row["id"] < 4)),
    "owner = current_user": _limit("owner", holds=lambda row, who: bool(row["owner"] == who.name)),
    "has_role('blue') OR pay < 25": _limit(
        "pay",
        holds=lambda row, who: "blue" in who.roles or (row["pay"] is not None and row["pay"] < 25),
    ),
    "owner <> current_user AND current_workspace = 'alpha'": _limit(
        "owner",
        holds=lambda row, who: (
            row["owner"] is not None and row["owner"] != who.name and who.workspace == "alpha"
        ),
    ),
}


@dataclass
class Ends:
    """The ways into the server of one principal."""

    http: httpx.Client
    flight: Client
    sql: SqlClient


@dataclass
class World:
    """A server with the tables, and a way in for everybody. `installed` are its grants by id."""

    doors: TwoDoors
    ends: dict[str, Ends]
    admins: dict[str, Client]
    installed: dict[str, Held] = field(default_factory=dict)
    changed: set[Place] = field(default_factory=set)
    made_at: int = 0
    # What undoes what was defined: where it was, the action, and its fields.
    back: list[tuple[Place, str, dict[str, str]]] = field(default_factory=list)

    def install(self, grants: Sequence[Held]) -> None:
        """Makes these the only grants."""
        store = self.doors.services.permissions
        missing = list(grants)
        for number, held in list(self.installed.items()):
            if held in missing:
                missing.remove(held)
            else:
                store.drop_grant(number)
                del self.installed[number]
        for held in missing:
            made = store.create_grant(held.workspace, held.grant(), "test")
            self.installed[made.id] = held

    def restore(self) -> None:
        """Every table is there again, with its first rows."""
        self.undo()
        for place in sorted(self.changed.intersection(PLACES)):
            self._fill(place, "overwrite")
        self.changed.clear()

    def undo(self) -> None:
        """Nothing that was defined is there any more, and all that was removed."""
        while self.back:
            place, action, fields = self.back.pop()
            self._admin(place).action(action, **fields)

    def rows(self, place: Place) -> list[Row]:
        """What is in a table, whoever may see it."""
        found = self._admin(place).read(scan={"table": place.text})
        rows: list[Row] = found.to_pylist()
        return rows

    def row_id(self, place: Place, id: int) -> int | None:
        """Under which number a row is kept."""
        if place not in PLACES:
            return None
        scan = {"table": place.text, "filter": f"id = {id}", "with_row_id": True}
        found = self._admin(place).read(scan=scan)["_row_id"].to_pylist()
        return int(found[0]) if found else None

    def make(self) -> None:
        """The workspaces, roles and tables."""
        store = self.doors.services.permissions
        for workspace in ("alpha", "beta"):
            spaces = [NamespaceRef("lake", name) for name, of in OWNERS.items() if of == workspace]
            store.create_workspace(workspace, "", spaces[0], "test")
            for role in ROLES:
                store.create_role(workspace, role, "", "test")
            for space in spaces:
                self.admins[workspace].action("create_namespace", namespace=space.name)
        for role in ROLES:
            store.create_role("default", role, "", "test")
        for place in PLACES:
            self._fill(place, "create", key=["id"])
        self.made_at = operations.newest_snapshot(self.doors.services, "lake")

    def _fill(self, place: Place, mode: str, **more: Any) -> None:
        rows = pa.Table.from_pylist(rows_of(place), SCHEMA)
        self._admin(place).put(rows, ingest={"table": place.text, "mode": mode, **more})

    def _admin(self, place: Place) -> Client:
        outer = place.namespace.partition("/")[0]
        return self.admins[OWNERS.get(outer, "default")]


@contextmanager
def opened_world(doors: TwoDoors) -> Iterator[World]:
    """The world on a server that has nothing yet."""
    with ExitStack() as opened:
        client: Callable[[str], Client] = lambda key: opened.enter_context(  # noqa: E731
            closing(Client(doors.flight.url, key))
        )
        admins = {
            name: client(doors.key_of("admin", name=f"root of {name}", workspace=name))
            for name in ("alpha", "beta", "default")
        }
        world = World(doors, {}, admins)
        world.make()
        for who in PEOPLE:
            key = doors.key_of(
                *who.roles, name=who.name, workspace=who.workspace, scopes=who.scope_texts()
            )
            found = client(key)
            http = opened.enter_context(doors.client(key))
            world.ends[who.name] = Ends(http, found, SqlClient(found))
        yield world
