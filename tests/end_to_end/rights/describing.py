"""Requests about tables: lists, descriptions, histories, the metadata of Flight SQL."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from tests.end_to_end.rights.asking import Answer, Asked, Expected, Refusal, changed_told, told
from tests.end_to_end.rights.oracle import FORBIDDEN, NO_COLUMN, Oracle
from tests.end_to_end.rights.reading import places
from tests.end_to_end.rights.world import COLUMNS, OWNERS, Ends, Place, Row, Who, World

spaces = st.sampled_from([*OWNERS, "absent", "north/deeper"])


@dataclass(frozen=True)
class Describe(Asked):
    """Which columns a table has, and how many rows where nothing is withheld."""

    door: str
    place: Place

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        return told(lambda: Answer(_DESCRIPTIONS[self.door](self.place, ends)))

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        causes = oracle.refusals(who, self.place, "read")
        offer = oracle.offer(who, self.place, "read")
        if not causes and not offer.columns and self.door not in ("describe", "http"):
            causes = [FORBIDDEN | NO_COLUMN]
        if causes:
            if self.door == "schema":
                # Errors of GetSchema have no code of ours.
                causes = [one | {"unknown", "table_not_found"} for one in causes]
            return Expected(causes)
        found = [{"column": name} for name in COLUMNS if name in offer.columns]
        count = len(oracle.tables[self.place]) if offer.whole else -1
        return Expected(rows=found + ([] if self.door == "schema" else [{"rows": count}]))


def _described(place: Place, ends: Ends) -> list[Row]:
    found = ends.flight.action("describe_table", table=place.text)
    names = [{"column": column["name"]} for column in found["columns"]]
    return [*names, {"rows": found["rows"] if found.get("rows") is not None else -1}]


def _http_described(place: Place, ends: Ends) -> list[Row]:
    answer = ends.http.get(place.url.removesuffix("/rows"))
    if not answer.is_success:
        raise Refusal(answer)
    found = answer.json()
    names = [{"column": column["name"]} for column in found["columns"]]
    return [*names, {"rows": -1 if found["rows"] is None else found["rows"]}]


def _info(place: Place, ends: Ends) -> list[Row]:
    found = ends.flight.info(scan={"table": place.text})
    return [*({"column": name} for name in found.schema.names), {"rows": found.total_records}]


def _schema(place: Place, ends: Ends) -> list[Row]:
    found = ends.flight.schema(scan={"table": place.text})
    return [{"column": name} for name in found.names]


_DESCRIPTIONS: dict[str, Callable[[Place, Ends], list[Row]]] = {
    "describe": _described,
    "http": _http_described,
    "info": _info,
    "schema": _schema,
}
descriptions = st.builds(Describe, st.sampled_from(list(_DESCRIPTIONS)), places)


@dataclass(frozen=True)
class ListTables(Asked):
    """The tables of a namespace, or all."""

    door: str
    namespace: str | None

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        return told(lambda: Answer(_LISTS[self.door](self.namespace, ends)))

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        seen = oracle.visible_places(who)
        if self.namespace is not None:
            is_told = self.namespace in oracle.visible_namespaces(who)
            if self.door != "flight sql" and not is_told:
                return Expected([frozenset({"namespace_not_found"})])
            seen = [place for place in seen if place.namespace == self.namespace]
        if self.door == "flights":
            # Each is told with its schema, so there has to be something to read.
            seen = [place for place in seen if oracle.offer(who, place, "read").columns]
        if self.door != "flight sql":
            return Expected(rows=[{"namespace": p.namespace, "table": p.name} for p in seen])
        columns = {
            place: [n for n in COLUMNS if n in oracle.offer(who, place, "read").columns]
            for place in seen
        }
        return Expected(
            rows=[
                {"namespace": p.namespace, "table": p.name, "columns": " ".join(columns[p])}
                for p in seen
            ]
        )


def _flights(namespace: str | None, ends: Ends) -> list[Row]:
    criteria = b"" if namespace is None else json.dumps({"namespace": namespace}).encode()
    found = []
    for info in ends.flight.flight.list_flights(criteria, ends.flight.options()):
        parts = [part.decode() for part in info.descriptor.path]
        space = parts[-2] if len(parts) > 1 and parts[-2] != "lake" else "main"
        found.append({"namespace": space, "table": parts[-1]})
    return found


def _http_tables(namespace: str | None, ends: Ends) -> list[Row]:
    criteria = {} if namespace is None else {"namespace": namespace}
    answer = ends.http.get("/api/v1/tables", params=criteria)
    if not answer.is_success:
        raise Refusal(answer)
    found = answer.json()["tables"]
    return [{"namespace": one["namespace"], "table": one["name"]} for one in found]


def _sql_tables(namespace: str | None, ends: Ends) -> list[Row]:
    fields: dict[str, Any] = {"include_schema": True}
    if namespace is not None:
        fields["db_schema_filter_pattern"] = namespace
    return [
        {
            "namespace": row["db_schema_name"],
            "table": row["table_name"],
            "columns": " ".join(pa.ipc.read_schema(pa.py_buffer(row["table_schema"])).names),
        }
        for row in ends.sql.get("CommandGetTables", **fields).to_pylist()
    ]


_LISTS: dict[str, Callable[[str | None, Ends], list[Row]]] = {
    "flights": _flights,
    "http": _http_tables,
    "flight sql": _sql_tables,
}
table_lists = st.builds(ListTables, st.sampled_from(list(_LISTS)), st.none() | spaces)


@dataclass(frozen=True)
class ListNamespaces(Asked):
    """The namespaces."""

    door: str

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        return told(lambda: Answer([{"name": name} for name in _SPACES[self.door](ends)]))

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        return Expected(rows=[{"name": name} for name in oracle.visible_namespaces(who)])


def _of_http(ends: Ends) -> list[str]:
    found: list[str] = ends.http.get("/api/v1/namespaces").json()["namespaces"]
    return found


def _of_action(ends: Ends) -> list[str]:
    found: list[str] = ends.flight.action("list_namespaces")["namespaces"]
    return found


def _of_sql(ends: Ends) -> list[str]:
    found: list[str] = ends.sql.get("CommandGetDbSchemas")["db_schema_name"].to_pylist()
    return found


_SPACES: dict[str, Callable[[Ends], list[str]]] = {
    "http": _of_http,
    "action": _of_action,
    "flight sql": _of_sql,
}
namespace_lists = st.builds(ListNamespaces, st.sampled_from(list(_SPACES)))


@dataclass(frozen=True)
class History(Asked):
    """A table's versions, or its key, for whoever may read something of it."""

    door: str
    place: Place

    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        return told(lambda: _HISTORIES[self.door](self.place, ends))

    def expected(self, oracle: Oracle, who: Who) -> Expected:
        causes = oracle.refusals(who, self.place, "read")
        if self.door != "key":
            return Expected(causes)
        if causes:
            # A table that may be known of and not read is told without a key.
            return Expected(or_refused=True) if causes == [FORBIDDEN] else Expected(causes)
        shown = "id" in oracle.offer(who, self.place, "read").columns
        return Expected(rows=[{"column": "id"}] if shown else [])


def _key(place: Place, ends: Ends) -> Answer:
    found = ends.sql.get("CommandGetPrimaryKeys", table=place.name, db_schema=place.namespace)
    return Answer([{"column": row["column_name"]} for row in found.to_pylist()])


def _versions(place: Place, ends: Ends) -> Answer:
    ends.flight.action("list_versions", table=place.text)
    return Answer()


def _http_versions(place: Place, ends: Ends) -> Answer:
    return changed_told(ends.http.get(place.url.replace("/rows", "/versions")))


_HISTORIES: dict[str, Callable[[Place, Ends], Answer]] = {
    "versions": _versions,
    "http versions": _http_versions,
    "key": _key,
}
histories = st.builds(History, st.sampled_from(list(_HISTORIES)), places)
descriptive = st.one_of(descriptions, table_lists, namespace_lists, histories)
