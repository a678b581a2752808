"""Requests that make, change and remove tables and namespaces, and bring them back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from tests.end_to_end.rights.asking import Answer, Asked, Expected, changed_told, told
from tests.end_to_end.rights.oracle import FORBIDDEN, HIDDEN, Codes, Oracle
from tests.end_to_end.rights.reading import places
from tests.end_to_end.rights.world import OWNERS, PLACES, Ends, Place, Who, World, rows_of

API = "/api/v1"
OUTSIDE: Codes = frozenset({"forbidden", "namespace_not_found"})
NO_NAMESPACE: Codes = frozenset({"namespace_not_found"})
TAKEN: Codes = frozenset({"already_exists"})
COLUMN = {"name": "k", "type": "int64"}

# Tables that nobody has made: beside others, where another workspace is, and in no namespace.
new_places = st.sampled_from(
    (*PLACES, Place("north", "zinc"), Place("south", "zinc"), Place("absent", "gold"))
)
EMPTY = "north/empty"
spaces = st.sampled_from(
    (*OWNERS, EMPTY, *["north/fresh"] * 3, "south/fresh", "absent", "north/deep/fresh")
)


def _acted(ends: Ends, name: str, /, **body: Any) -> Answer:
    ends.flight.action(name, **body)
    return Answer()


def _ran(ends: Ends, sql: str) -> Answer:
    return _acted(ends, "execute", sql=sql)


def _url(place: Place, word: str = "") -> str:
    return place.url.removesuffix("/rows") + word


@dataclass(frozen=True)
class CreateTable(Asked):
    """A table that is new, or is there already."""

    door: str
    made: Place

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        answer = told(lambda: _CREATIONS[self.door](self.made, ends))
        if answer.code is None:
            world.back.append((self.made, "drop_table", {"table": self.made.text}))
            world.undo()
        return answer

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        if not oracle.may_in(who, self.made.namespace, "create"):
            return Expected([OUTSIDE])
        if self.made.namespace not in OWNERS:
            return Expected([NO_NAMESPACE])
        return Expected([TAKEN] if self.made in PLACES else [])


_CREATIONS: dict[str, Callable[[Place, Ends], Answer]] = {
    "action": lambda place, ends: _acted(ends, "create_table", table=place.text, columns=[COLUMN]),
    "sql": lambda place, ends: _ran(ends, f"CREATE TABLE {place.sql} (k BIGINT)"),
    "http": lambda place, ends: changed_told(
        ends.http.post(f"{API}/tables", json={"table": place.text, "columns": [COLUMN]})
    ),
    "http sql": lambda place, ends: changed_told(
        ends.http.post(f"{API}/query", json={"sql": f"CREATE TABLE {place.sql} (k BIGINT)"})
    ),
}


@dataclass(frozen=True)
class Undrop(Asked):
    """A table brought back that was not dropped."""

    is_http: bool
    place: Place

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        if self.is_http:
            return changed_told(ends.http.post(_url(self.place, "/undrop")))
        return told(lambda: _acted(ends, "undrop_table", table=self.place.text))

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        if not oracle.may_in(who, self.place.namespace, "create"):
            return Expected([OUTSIDE])
        return Expected([TAKEN | HIDDEN])


@dataclass(frozen=True)
class DropTable(Asked):
    """A table taken away."""

    door: str
    place: Place

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        answer = told(lambda: _DROPS[self.door](self.place, ends))
        if answer.code is None:
            world.back.append((self.place, "undrop_table", {"table": self.place.text}))
            world.undo()
        return answer

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        return Expected(oracle.refusals(who, self.place, "drop"))


_DROPS: dict[str, Callable[[Place, Ends], Answer]] = {
    "action": lambda place, ends: _acted(ends, "drop_table", table=place.text),
    "sql": lambda place, ends: _ran(ends, f"DROP TABLE {place.sql}"),
    "http": lambda place, ends: changed_told(ends.http.delete(_url(place))),
}


@dataclass(frozen=True)
class Rename(Asked):
    """A table that gets another name; none moves to another namespace."""

    is_http: bool
    place: Place
    to: Place

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        answer = told(lambda: self._asked(ends))
        if answer.code is None and self.to != self.place:
            back = {"table": self.to.text, "to": self.place.text}
            world.back.append((self.to, "rename_table", back))
            world.undo()
        return answer

    def _asked(self, ends: Ends) -> Answer:
        if self.is_http:
            body = {"rename_to": self.to.text}
            return changed_told(ends.http.patch(_url(self.place), json=body))
        return _acted(ends, "rename_table", table=self.place.text, to=self.to.text)

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        causes = oracle.refusals(who, self.place, "alter")
        if not causes and not oracle.may_in(who, self.to.namespace, "create"):
            causes.append(OUTSIDE)
        elif not causes and self.to.namespace != self.place.namespace:
            causes.append(NO_NAMESPACE | TAKEN | {"unsupported"})
        elif not causes and self.to in PLACES and self.to != self.place:
            causes.append(TAKEN)
        return Expected(causes, or_refused=self.to == self.place)


@dataclass(frozen=True)
class Alter(Asked):
    """A table that gets a comment or a tag."""

    is_http: bool
    is_tag: bool
    place: Place

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        answer = told(lambda: self._asked(ends))
        if answer.code is None and self.is_tag:
            world.back.append((self.place, "drop_tag", {"table": self.place.text, "name": "m"}))
        return answer

    def _asked(self, ends: Ends) -> Answer:
        changes = [{"set_comment": {"comment": "changed"}}]
        if self.is_http and self.is_tag:
            return changed_told(ends.http.post(_url(self.place, "/tags"), json={"name": "m"}))
        if self.is_http:
            return changed_told(ends.http.patch(_url(self.place), json={"changes": changes}))
        if self.is_tag:
            return _acted(ends, "create_tag", table=self.place.text, name="m")
        return _acted(ends, "alter_table", table=self.place.text, changes=changes)

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        return Expected(oracle.refusals(who, self.place, "alter"), or_refused=self.is_tag)


@dataclass(frozen=True)
class Restore(Asked):
    """A table brought back to its first rows, which takes all of it."""

    is_http: bool
    place: Place

    writes = True

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        if self.is_http:
            body = {"version": world.made_at}
            return changed_told(ends.http.post(_url(self.place, "/restore"), json=body))
        command = {"table": self.place.text, "version": world.made_at}
        return told(lambda: _acted(ends, "restore", **command))

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        actions = ("read", "insert", "update", "delete")
        causes = oracle.refusals(who, self.place, *actions)
        if not causes and not all(oracle.offer(who, self.place, one).whole for one in actions):
            causes.append(FORBIDDEN)
        return Expected(causes, after={} if causes else {self.place: rows_of(self.place)})


@dataclass(frozen=True)
class OfNamespace(Asked):
    """A namespace made, or removed, which only an empty one can be."""

    door: str
    verb: str
    name: str

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        answer = told(lambda: _NAMESPACES[self.verb, self.door](self.name, ends))
        if answer.code is None:
            place = Place(self.name, "")
            undone = "drop_namespace" if self.verb == "create" else "create_namespace"
            world.back.append((place, undone, {"namespace": self.name}))
            world.undo()
        return answer

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        if not oracle.may_in(who, self.name, self.verb):
            return Expected([OUTSIDE])
        if self.verb == "create":
            return Expected([TAKEN] if self.name in OWNERS else [])
        if self.name in OWNERS:
            return Expected([] if self.name == EMPTY else [frozenset({"conflict"})])
        return Expected([NO_NAMESPACE])


_NAMESPACES: dict[tuple[str, str], Callable[[str, Ends], Answer]] = {
    ("create", "action"): lambda name, ends: _acted(ends, "create_namespace", namespace=name),
    ("create", "sql"): lambda name, ends: _ran(ends, f'CREATE SCHEMA "{name}"'),
    ("create", "http"): lambda name, ends: changed_told(
        ends.http.post(f"{API}/namespaces", json={"namespace": name})
    ),
    ("drop", "action"): lambda name, ends: _acted(ends, "drop_namespace", namespace=name),
    ("drop", "sql"): lambda name, ends: _ran(ends, f'DROP SCHEMA "{name}"'),
    ("drop", "http"): lambda name, ends: changed_told(
        ends.http.delete(f"{API}/namespaces/{quote(name, safe='')}")
    ),
}
creations = st.builds(CreateTable, st.sampled_from(list(_CREATIONS)), new_places)
undrops = st.builds(Undrop, st.booleans(), places)
drops = st.builds(DropTable, st.sampled_from(list(_DROPS)), places)
renames = st.builds(Rename, st.booleans(), places, new_places)
alterations = st.builds(Alter, st.booleans(), st.booleans(), places)
restores = st.builds(Restore, st.booleans(), places)
of_namespaces = st.builds(
    OfNamespace,
    st.sampled_from(["action", "sql", "http"]),
    st.sampled_from(["create", "drop"]),
    spaces,
)
definitions = st.one_of(
    creations, undrops, drops, renames, alterations, restores, of_namespaces, of_namespaces
)
