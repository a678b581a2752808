"""Requests that read rows: scans, SQL, one row, aggregates, changes, tickets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.end_to_end.rights.asking import (
    Answer,
    Asked,
    Condition,
    Expected,
    rows_told,
    told,
)
from tests.end_to_end.rights.oracle import FORBIDDEN, NO_COLUMN, Codes, Oracle
from tests.end_to_end.rights.world import (
    COLUMNS,
    LEAD,
    PLACES,
    Ends,
    Place,
    Row,
    Who,
    World,
)

QUERY = "/api/v1/query"
CONDITIONS = (
    Condition("pay > 20", frozenset({"pay"}),
              lambda row: row["pay"] is not None and row["pay"] > 20, {"pay": {"gt": 20}}),
    Condition("region = 'n'", frozenset({"region"}), lambda row: bool(row["region"] == "n"),
              {"region": "n"}),
    Condition("id < 3 OR owner = 'ann'", frozenset({"id", "owner"}),
              lambda row: bool(row["id"] < 3 or row["owner"] == "ann"),
              {"or": [{"id": {"lt": 3}}, {"owner": "ann"}]}),
    Condition("upper(owner) = 'BOB' AND pay * 2 > id", frozenset({"owner", "pay", "id"}),
              lambda row: bool(row["owner"] == "bob" and row["pay"] is not None
                               and row["pay"] * 2 > row["id"])),
    Condition("id IN (1, 2, 5)", frozenset({"id"}), lambda row: row["id"] in (1, 2, 5),
              {"id": {"in": [1, 2, 5]}}),
)  # fmt: skip
places = st.sampled_from((*PLACES, *PLACES, LEAD))
conditions = st.sampled_from(CONDITIONS)
some_columns = st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=3, unique=True).map(tuple)


@dataclass(frozen=True)
class Scan(Asked):
    """Columns of the rows where something holds, in an order, by any of the ways in."""

    door: str
    place: Place
    columns: tuple[str, ...] | None
    where: Condition | None
    order: str | None

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        return told(lambda: _SCANS[self.door](self, ends))

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        uses = self.uses
        causes = oracle.refusals(who, self.place, "read", uses=uses)
        offer = oracle.offer(who, self.place, "read")
        if causes or not offer.columns:
            return Expected(causes or [FORBIDDEN | NO_COLUMN])
        found = oracle.rows_where(who, self.place, self.holds, "read")
        names = self.columns or [name for name in COLUMNS if name in offer.columns]
        assert all(offer.cell(row, name) for row in found for name in (*names, *uses))
        if (order := self.order) is not None:
            found = sorted(found, key=lambda row: (row[order] is None, row[order]))
        rows = [{name: row[name] for name in names} for row in found]
        return Expected(rows=rows, in_order=self.order == "id")

    def holds(self, row: Row) -> bool:
        return self.where is None or self.where.holds(row)

    @property
    def uses(self) -> frozenset[str]:
        named = (*(self.columns or ()), *((self.order,) if self.order else ()))
        return frozenset(named) | (self.where.uses if self.where else frozenset())

    @property
    def command(self) -> dict[str, Any]:
        found: dict[str, Any] = {"table": self.place.text}
        if self.columns:
            found["columns"] = list(self.columns)
        if self.where:
            found["filter"] = self.where.sql
        if self.order:
            found["order_by"] = self.order
        return found

    @property
    def sql(self) -> str:
        names = ", ".join(self.columns or ("*",))
        where = f" WHERE {self.where.sql}" if self.where else ""
        order = f" ORDER BY {self.order}" if self.order else ""
        return f"SELECT {names} FROM {self.place.sql}{where}{order}"

    @property
    def query(self) -> dict[str, str]:
        found = {}
        if self.columns:
            found["select"] = ",".join(self.columns)
        if self.where:
            wanted = self.where.json if self.door == "http json" else None
            found["where"] = json.dumps(wanted) if wanted else self.where.sql
        if self.order:
            found["order_by"] = self.order
        return found


def table_told(found: Any) -> Answer:
    """The answer that is a table of Arrow."""
    return Answer(found.to_pylist())


_SCANS: dict[str, Callable[[Scan, Ends], Answer]] = {
    "ticket": lambda a, ends: table_told(ends.flight.read(scan=a.command)),
    "info": lambda a, ends: table_told(ends.flight.get(scan=a.command)),
    "sql": lambda a, ends: table_told(ends.flight.read(sql=a.sql)),
    "flight sql": lambda a, ends: table_told(ends.sql.query(a.sql)),
    "prepared": lambda a, ends: table_told(ends.sql.prepare(a.sql).query()),
    "http": lambda a, ends: rows_told(ends.http.get(a.place.url, params=a.query)),
    "http json": lambda a, ends: rows_told(ends.http.get(a.place.url, params=a.query)),
    "http sql": lambda a, ends: rows_told(ends.http.post(QUERY, json={"sql": a.sql})),
    "http kept": lambda a, ends: rows_told(
        ends.http.post(QUERY, json={"sql": a.sql, "cache": True})
    ),
}
scans = st.builds(
    Scan,
    st.sampled_from(list(_SCANS)),
    places,
    st.none() | some_columns,
    st.none() | conditions,
    st.none() | st.sampled_from(COLUMNS),
)


@dataclass(frozen=True)
class Shape:
    """A statement over two tables `a` and `b`: the columns that it uses of each, its meaning."""

    sql: str
    of_first: frozenset[str]
    of_second: frozenset[str]
    means: Callable[[list[Row], list[Row]], list[Row]]

    def __repr__(self) -> str:
        return self.sql


def _ids(rows: list[Row]) -> list[Row]:
    return [{"id": row["id"]} for row in rows]


def _total(rows: list[Row]) -> Row:
    pays = [row["pay"] for row in rows if row["pay"] is not None]
    return {"n": len(rows), "s": sum(pays) if pays else None}


def _above_least(a: list[Row], b: list[Row]) -> list[Row]:
    pays = [row["pay"] for row in b if row["pay"] is not None]
    kept = {row["id"] for row in b if row["pay"] is not None and row["pay"] > min(pays)}
    return _ids([row for row in a if row["id"] in kept])


def _without_owner_in(a: list[Row], b: list[Row]) -> list[Row]:
    owners = {row["owner"] for row in b} - {None}
    return _ids([row for row in a if row["owner"] not in owners])


def _shape(
    sql: str, first: str, second: str, means: Callable[[list[Row], list[Row]], list[Row]]
) -> Shape:
    return Shape(sql, frozenset(first.split()), frozenset(second.split()), means)


SHAPES = (
    _shape("SELECT count(*) AS n, CAST(sum(pay) AS BIGINT) AS s FROM {a}", "pay", "",
           lambda a, b: [_total(a)]),
    _shape("SELECT l.id AS id, r.pay AS pay FROM {a} l JOIN {b} r ON l.id = r.id", "id", "id pay",
           lambda a, b: [{"id": x["id"], "pay": y["pay"]} for x in a for y in b
                         if x["id"] == y["id"]]),
    _shape("SELECT id FROM {a} WHERE id IN (SELECT r.id FROM {b} r WHERE r.pay > "
           "(SELECT min(m.pay) FROM {b} m))", "id", "id pay", _above_least),
    _shape("WITH x AS (SELECT * FROM {a}), y AS (SELECT id FROM x) SELECT id FROM y", "id", "",
           lambda a, b: _ids(a)),
    _shape("SELECT id FROM {a} l WHERE NOT EXISTS (SELECT 1 FROM {b} r WHERE r.owner = l.owner)",
           "id owner", "owner", _without_owner_in),
    _shape("SELECT id FROM {a} UNION ALL (SELECT id FROM {b})", "id", "id",
           lambda a, b: _ids(a) + _ids(b)),
    _shape("SELECT * FROM (SELECT * FROM {a}) s", "", "", lambda a, b: a),
    _shape("SELECT (SELECT max(r.id) FROM {b} r) AS id FROM {a} WHERE id = 1", "id", "id",
           lambda a, b: [{"id": max((y["id"] for y in b), default=None)} for x in a
                         if x["id"] == 1]),
    _shape("FROM {a} SELECT id ORDER BY pay", "id pay", "", lambda a, b: _ids(a)),
)  # fmt: skip


@dataclass(frozen=True)
class Sql(Asked):
    """A statement over two tables, by any of the ways in."""

    door: str
    shape: Shape
    first: Place
    second: Place

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        return told(lambda: _STATEMENTS[self.door](self.sql, ends))

    @property
    def sql(self) -> str:
        return self.shape.sql.format(a=self.first.sql, b=self.second.sql)

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        causes: list[Codes] = []
        used = [(self.first, self.shape.of_first)]
        if "{b}" in self.shape.sql:
            used.append((self.second, self.shape.of_second))
        for place, uses in used:
            found = oracle.refusals(who, place, "read", uses=uses)
            if not found and not oracle.offer(who, place, "read").columns:
                found = [FORBIDDEN | NO_COLUMN]
            causes += found
        if causes:
            return Expected(causes)
        first, second = oracle.seen(who, self.first), oracle.seen(who, self.second)
        return Expected(rows=self.shape.means(first, second))


_STATEMENTS: dict[str, Callable[[str, Ends], Answer]] = {
    "ticket": lambda sql, ends: table_told(ends.flight.read(sql=sql)),
    "info": lambda sql, ends: table_told(ends.flight.get(sql=sql)),
    "flight sql": lambda sql, ends: table_told(ends.sql.query(sql)),
    "http": lambda sql, ends: rows_told(ends.http.post(QUERY, json={"sql": sql})),
}
statements = st.builds(
    Sql, st.sampled_from(list(_STATEMENTS)), st.sampled_from(SHAPES), places, places
)


@dataclass(frozen=True)
class Aggregate(Asked):
    """Rows counted and added up, by a column."""

    place: Place
    by: str | None
    where: Condition | None

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        query = {"aggregate": "count(*) AS n, CAST(sum(pay) AS BIGINT) AS s"}
        query |= {"group_by": self.by} if self.by else {}
        query |= {"where": self.where.sql} if self.where else {}
        return rows_told(ends.http.get(self.place.url, params=query))

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        uses = {"pay", *(self.where.uses if self.where else ()), *([self.by] if self.by else [])}
        causes = oracle.refusals(who, self.place, "read", uses=uses)
        if causes:
            return Expected(causes)
        holds = self.where.holds if self.where else lambda row: True
        rows = oracle.rows_where(who, self.place, holds, "read")
        if self.by is None:
            return Expected(rows=[_total(rows)])
        groups: dict[Any, list[Row]] = {}
        for row in rows:
            groups.setdefault(row[self.by], []).append(row)
        return Expected(rows=[{self.by: k, **_total(of)} for k, of in groups.items()])


aggregates = st.builds(
    Aggregate, places, st.none() | st.sampled_from(["region", "owner"]), st.none() | conditions
)


@dataclass(frozen=True)
class OneRow(Asked):
    """One row, by its key or its id."""

    place: Place
    id: int
    by_key: bool

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        if self.by_key or self.place == LEAD:
            return rows_told(ends.http.get(f"{self.place.url}/key/{self.id}"))
        number = world.row_id(self.place, self.id)
        return rows_told(ends.http.get(f"{self.place.url}/{10**9 if number is None else number}"))

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        causes = oracle.refusals(who, self.place, "read", uses={"id"} if self.by_key else ())
        offer = oracle.offer(who, self.place, "read")
        if causes or not offer.columns:
            more = frozenset({"invalid_request", "row_not_found"}) if self.by_key else frozenset()
            codes = [one if one == {"table_not_found"} else one | more for one in causes]
            return Expected(codes or [FORBIDDEN | NO_COLUMN])
        kept = oracle.rows_where(who, self.place, lambda row: bool(row["id"] == self.id), "read")
        if not kept:
            return Expected([frozenset({"row_not_found"})])
        return Expected(rows=[{name: kept[0][name] for name in COLUMNS if name in offer.columns}])


one_rows = st.builds(OneRow, places, st.integers(1, 7), st.booleans())


readings = st.one_of(scans, scans, statements, statements, aggregates, one_rows)
