"""Requests that change rows: update, delete, insert, upsert; by each way in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from tests.end_to_end.rights.asking import (
    Answer,
    Asked,
    Condition,
    Expected,
    batch_told,
    count_told,
    told,
)
from tests.end_to_end.rights.oracle import FORBIDDEN, NO_COLUMN, Codes, Oracle
from tests.end_to_end.rights.reading import QUERY, conditions, places
from tests.end_to_end.rights.world import COLUMNS, LEAD, SCHEMA, Ends, Place, Row, Who, World

BATCH = "/api/v1/batch/operations"
VALUES: dict[str, Any] = {"id": 40, "owner": "zed", "region": "w", "pay": 5}
ROW_GONE: Codes = frozenset({"row_not_found"})


def literal(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


def batched(ends: Ends, operation: str, **more: Any) -> Answer:
    body = {"operations": [{"operation": operation, **more}]}
    return batch_told(ends.http.post(BATCH, json=body))


def acted(ends: Ends, name: str, **body: Any) -> Answer:
    return Answer(count=ends.flight.action(name, **body)["rows"])


def queried(ends: Ends, sql: str) -> Answer:
    return count_told(ends.http.post(QUERY, json={"sql": sql}))


@dataclass(frozen=True)
class Update(Asked):
    """Sets a column where something holds, or everywhere."""

    door: str
    place: Place
    column: str
    where: Condition | None

    writes = True

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        return told(lambda: _UPDATES[self.door](self, ends))

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        uses = self.where.uses if self.where else ()
        causes = oracle.refusals(who, self.place, "update", "read", uses=uses)
        update, read = (oracle.offer(who, self.place, name) for name in ("update", "read"))
        if update.allowed and self.column not in update.columns:
            causes.append(NO_COLUMN | FORBIDDEN)
        if self.column in update.judges | read.judges:
            causes.append(FORBIDDEN)
        holds = self.where.holds if self.where else lambda row: True
        met = [] if causes else oracle.rows_where(who, self.place, holds, "update", "read")
        after = [
            row | {self.column: VALUES[self.column]} if row in met else row
            for row in oracle.tables.get(self.place, ())
        ]
        # Where nothing may be read, SQL has nothing to update by.
        return Expected(causes, count=len(met), after={self.place: after},
                        or_refused=not read.columns)  # fmt: skip

    @property
    def sql(self) -> str:
        where = f" WHERE {self.where.sql}" if self.where else ""
        return f"UPDATE {self.place.sql} SET {self.column} = {literal(VALUES[self.column])}{where}"

    @property
    def body(self) -> dict[str, Any]:
        where: dict[str, Any] = {"all": True}
        if self.where is not None:
            where = {"where": self.where.json or self.where.sql}
        return {"set": {self.column: VALUES[self.column]}, **where}


def _filter(where: Condition | None) -> dict[str, Any]:
    return {"all": True} if where is None else {"filter": where.sql}


_UPDATES: dict[str, Callable[[Update, Ends], Answer]] = {
    "action": lambda a, ends: acted(
        ends, "update", table=a.place.text, set={a.column: literal(VALUES[a.column])},
        **_filter(a.where),
    ),
    "execute": lambda a, ends: acted(ends, "execute", sql=a.sql),
    "flight sql": lambda a, ends: Answer(count=ends.sql.update(a.sql)),
    "http": lambda a, ends: count_told(ends.http.patch(a.place.url, json=a.body)),
    "http sql": lambda a, ends: queried(ends, a.sql),
    "batch": lambda a, ends: batched(ends, "update", table=a.place.text, **a.body),
}  # fmt: skip
updates = st.builds(
    Update,
    st.sampled_from(list(_UPDATES)),
    places,
    st.sampled_from(COLUMNS),
    st.none() | conditions,
)


@dataclass(frozen=True)
class Delete(Asked):
    """Deletes the rows where something holds, or all."""

    door: str
    place: Place
    where: Condition | None

    writes = True

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        return told(lambda: _DELETES[self.door](self, ends))

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        uses = self.where.uses if self.where else ()
        causes = oracle.refusals(who, self.place, "delete", "read", uses=uses)
        holds = self.where.holds if self.where else lambda row: True
        met = [] if causes else oracle.rows_where(who, self.place, holds, "delete", "read")
        after = [row for row in oracle.tables.get(self.place, ()) if row not in met]
        nothing = not oracle.offer(who, self.place, "read").columns
        return Expected(causes, count=len(met), after={self.place: after}, or_refused=nothing)

    @property
    def sql(self) -> str:
        return f"DELETE FROM {self.place.sql}{f' WHERE {self.where.sql}' if self.where else ''}"

    @property
    def body(self) -> dict[str, Any]:
        if self.where is None:
            return {"all": True}
        return {"where": self.where.json or self.where.sql}


_DELETES: dict[str, Callable[[Delete, Ends], Answer]] = {
    "action": lambda a, ends: acted(ends, "delete", table=a.place.text, **_filter(a.where)),
    "execute": lambda a, ends: acted(ends, "execute", sql=a.sql),
    "flight sql": lambda a, ends: Answer(count=ends.sql.update(a.sql)),
    "http": lambda a, ends: count_told(ends.http.request("DELETE", a.place.url, json=a.body)),
    "http soft": lambda a, ends: count_told(
        ends.http.request("DELETE", a.place.url, json={**a.body, "soft": True})
    ),
    "http sql": lambda a, ends: queried(ends, a.sql),
    "batch": lambda a, ends: batched(ends, "delete", table=a.place.text, **a.body),
}
deletes = st.builds(Delete, st.sampled_from(list(_DELETES)), places, st.none() | conditions)


@dataclass(frozen=True)
class Insert(Asked):
    """One new row, of which some columns are given."""

    door: str
    place: Place
    columns: tuple[str, ...]

    writes = True

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        return told(lambda: _INSERTS[self.door](self, ends))

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        causes = oracle.refusals(who, self.place, "insert")
        offer = oracle.offer(who, self.place, "insert")
        if offer.allowed and not (offer.every_row and set(self.columns) <= offer.columns):
            causes.append(NO_COLUMN | FORBIDDEN)
        new = {name: self.row.get(name) for name in COLUMNS}
        return Expected(
            causes, count=1, after={self.place: [*oracle.tables.get(self.place, ()), new]}
        )

    @property
    def row(self) -> Row:
        return {name: VALUES[name] for name in self.columns}

    @property
    def sql(self) -> str:
        values = ", ".join(map(literal, self.row.values()))
        return f"INSERT INTO {self.place.sql} ({', '.join(self.columns)}) VALUES ({values})"

    @property
    def batch(self) -> pa.Table:
        return as_arrow([self.row])


def as_arrow(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, pa.schema([SCHEMA.field(name) for name in rows[0]]))


_INSERTS: dict[str, Callable[[Insert, Ends], Answer]] = {
    "put": lambda a, ends: Answer(
        count=ends.flight.put(a.batch, ingest={"table": a.place.text})[-1]["rows"]
    ),
    "execute": lambda a, ends: acted(ends, "execute", sql=a.sql),
    "flight sql": lambda a, ends: Answer(count=ends.sql.update(a.sql)),
    "ingest": lambda a, ends: Answer(
        count=ends.sql.ingest(a.batch, a.place.name, "append", schema=a.place.namespace)
    ),
    "http": lambda a, ends: count_told(ends.http.post(a.place.url, json=a.row)),
    "http sql": lambda a, ends: queried(ends, a.sql),
    "batch": lambda a, ends: batched(ends, "insert", table=a.place.text, data=a.row),
}
others = st.lists(st.sampled_from(COLUMNS[1:]), unique=True, max_size=3)
with_id = others.map(lambda names: ("id", *names))
inserts = st.builds(Insert, st.sampled_from(list(_INSERTS)), places, with_id)


@dataclass(frozen=True)
class Upsert(Asked):
    """A row of a key that may be there: replaced, or set where it is a merge; else inserted."""

    door: str
    mode: str
    place: Place
    id: int
    columns: tuple[str, ...]

    writes = True

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        return told(lambda: _UPSERTS[self.door](self, ends))

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        causes = oracle.refusals(who, self.place, "insert", "update")
        for action in ("insert", "update"):
            offer = oracle.offer(who, self.place, action)
            if offer.allowed and not (offer.every_row and set(self.columns) <= offer.columns):
                causes.append(NO_COLUMN | FORBIDDEN)
        rows = oracle.tables.get(self.place, [])
        there = [row for row in rows if row["id"] == self.id]
        new = {name: self.row.get(name) for name in COLUMNS}
        every, sets = set(COLUMNS), set(self.columns)
        if self.mode == "upsert":
            # A row that is replaced has something new in every column.
            sets = every
            update = oracle.offer(who, self.place, "update")
            if update.allowed and update.columns != every:
                causes.append(FORBIDDEN)
        if (sets - {"id"}) & oracle.offer(who, self.place, "read").judges:
            causes.append(FORBIDDEN)
        if there and self.mode == "merge":
            new = there[0] | self.row
        after = [*(row for row in rows if row["id"] != self.id), new]
        return Expected(causes, count=1, after={self.place: after})

    @property
    def row(self) -> Row:
        return {name: VALUES[name] for name in self.columns} | {"id": self.id}

    @property
    def query(self) -> dict[str, str]:
        return {"mode": self.mode, "key": "id"}


_UPSERTS: dict[str, Callable[[Upsert, Ends], Answer]] = {
    "put": lambda a, ends: Answer(
        count=ends.flight.put(
            as_arrow([a.row]), ingest={"table": a.place.text, "mode": a.mode, "key": ["id"]}
        )[-1]["rows"]
    ),
    "http": lambda a, ends: count_told(ends.http.post(a.place.url, json=a.row, params=a.query)),
    "batch": lambda a, ends: (
        batched(ends, "upsert", table=a.place.text, data=a.row, key=["id"])
        if a.mode == "upsert"
        else count_told(ends.http.post(a.place.url, json=[a.row], params=a.query))
    ),
}
upserts = st.builds(
    Upsert,
    st.sampled_from(list(_UPSERTS)),
    st.sampled_from(["upsert", "merge"]),
    places,
    st.integers(1, 9),
    with_id,
)


@dataclass(frozen=True)
class ChangeOne(Asked):
    """One row, by its id or key: a column of it set, or all of it deleted."""

    verb: str
    place: Place
    id: int
    column: str
    by_key: bool

    writes = True

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        number: object = f"key/{self.id}"
        if not self.by_key:
            found = None if self.place == LEAD else world.row_id(self.place, self.id)
            number = 10**9 if found is None else found
        url = f"{self.place.url}/{number}"
        if self.verb == "delete":
            return count_told(ends.http.delete(url))
        return count_told(ends.http.patch(url, json={self.column: VALUES[self.column]}))

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        causes = oracle.refusals(who, self.place, self.verb, "read")
        update, read = (oracle.offer(who, self.place, name) for name in (self.verb, "read"))
        if self.by_key and read.allowed and "id" not in read.columns:
            causes.append(frozenset({"invalid_request", "row_not_found", *NO_COLUMN, *FORBIDDEN}))
        if self.verb == "update":
            if update.allowed and self.column not in update.columns:
                causes.append(NO_COLUMN | FORBIDDEN)
            if self.column in update.judges | read.judges:
                causes.append(FORBIDDEN)
        is_it: Callable[[Row], bool] = lambda row: bool(row["id"] == self.id)  # noqa: E731
        met = oracle.rows_where(who, self.place, is_it, self.verb, "read") if not causes else []
        if not met and self.place in oracle.visible_places(who):
            causes.append(ROW_GONE)
        rows = oracle.tables.get(self.place, [])
        if self.verb == "delete":
            after = [row for row in rows if row not in met]
        else:
            after = [
                row | {self.column: VALUES[self.column]} if row in met else row for row in rows
            ]
        return Expected(causes, count=1, after={self.place: after}, or_refused=not read.columns)


changes_of_one = st.builds(
    ChangeOne,
    st.sampled_from(["update", "delete"]),
    places,
    st.integers(1, 7),
    st.sampled_from(COLUMNS),
    st.booleans(),
)
writings = st.one_of(updates, updates, deletes, inserts, upserts, changes_of_one)
