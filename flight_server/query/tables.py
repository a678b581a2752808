"""The tables that a statement reads, and what may be seen of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flight_server.errors import ErrorCode, InvalidRequest, NotFound, Unsupported
from flight_server.model import HIDDEN_PREFIX, TableRef, quoted
from flight_server.query import dialect
from flight_server.query.checker import Checker, Scope
from flight_server.query.dialect import Tree
from flight_server.query.search_calls import NAME, SearchCall, search_call

# Columns that every table of the lake has beside its own; they tell of files and snapshots.
VIRTUAL_COLUMNS = frozenset({"filename", "file_row_number", "file_index", "snapshot_id"})

# Keys of a scope that are no names: SQL cannot hold a NUL.
_RECURSIVE = "\0recursive"
_RECURRING = "\0recurring "


@dataclass(frozen=True)
class Compared:
    """A column that is compared with constants, and with parameters of these names.

    `kinds` are what the column may be, `number` or `text`, and so must the parameters.
    """

    column: str
    kinds: frozenset[str]
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conjunct:
    """A condition on columns of one table that no row of the answer is without: see `conjuncts`.

    `sql` names the columns by their bare names.
    """

    sql: str
    columns: tuple[Compared, ...]


@dataclass(frozen=True)
class TableUse:
    """One reference to a table. `table` is written as the client did, with defaults filled in.

    `version` and `as_of` are what `AT (VERSION => …)` and `AT (TIMESTAMP => …)` say. `bare` says
    that the client gave the table's own name alone. `conjuncts`, and how many rows that meet them
    are enough as `limit`, are known of other catalogs only. Where there is a `search`, only what it
    finds in the table is read.
    """

    table: TableRef
    version: int | None = None
    as_of: dt.datetime | None = None
    bare: bool = False
    conjuncts: tuple[Conjunct, ...] = ()
    limit: int | None = None
    search: SearchCall | None = None


@dataclass(frozen=True)
class Source:
    """What may be seen of a table: its true name, and the columns and rows permitted.

    `columns` None means all of them, where no rows are hidden; they must exist at the version.
    `row_filter` is a predicate that `check_predicate` has passed. `version` pins the table, None
    leaves it to the transaction that runs the statement. `shown` pairs columns that SQL sees
    otherwise than they are kept with the expressions for them. `query` is what a view says, over
    what may be seen below it: it is read in place of a table.
    """

    table: TableRef
    columns: tuple[str, ...] | None = None
    row_filter: str | None = None
    version: int | None = None
    shown: tuple[tuple[str, str], ...] = ()
    query: str | None = None

    @property
    def sql(self) -> str:
        """The table as it stands in FROM."""
        if self.query is not None:
            return f"({self.query}) AS {quoted(self.table.name)}"
        at = "" if self.version is None else f" AT (VERSION => {self.version:d})"
        return self.table.sql + at

    @property
    def narrowed(self) -> bool:
        """Whether anything of the table is hidden, or shown otherwise than it is kept."""
        return self.columns is not None or self.row_filter is not None or bool(self.shown)


def table_named(catalog: str, namespace: str, name: str, defaults: tuple[str, str]) -> TableRef:
    """The table with the parts that are left empty filled in. NotFound for the server's own."""
    table = TableRef(catalog or defaults[0], namespace or defaults[1], name)
    if folded(table.namespace).startswith(HIDDEN_PREFIX):
        raise NotFound(f"There is no table '{table}'.", code=ErrorCode.TABLE_NOT_FOUND)
    return table


def folded(name: str) -> str:
    """The name without regard to case, as DuckDB compares names: by ASCII letters only."""
    return name.encode().lower().decode()


class TableFinder(Checker):
    """Finds the tables of a statement and numbers them in its tree as `use`.

    Names that WITH defines are followed through their scopes and renamed to names with a number.
    """

    def __init__(
        self, default_catalog: str, default_namespace: str, hints: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._hints = {folded(name): hint for name, hint in hints.items()}
        self.found: list[TableUse] = []
        self.names_virtual_column = False
        self._defaults = (default_catalog, default_namespace)
        self._renamed = 0
        self.handle("table BASE_TABLE", self.base_table)
        self.handle("table TABLE_FUNCTION", self.table_function)
        self.handle("query SELECT_NODE", self.query)
        self.handle("query SET_OPERATION_NODE", self.query)
        self.handle("query RECURSIVE_CTE_NODE", self.recursive)

    def plain(self, value: Any) -> None:
        """Notes the names of virtual columns, wherever they stand."""
        if isinstance(value, str):
            if folded(value) in VIRTUAL_COLUMNS:
                self.names_virtual_column = True
        else:
            super().plain(value)

    def query(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """A SELECT or a set operation: what it defines by WITH is known in all of it."""
        ctes, inner = self._with(node["cte_map"], scope)
        rest = {name: value for name, value in node.items() if name != "cte_map"}
        return self.fields(rest, shape, inner) | {"cte_map": ctes}

    def recursive(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """A recursive body: its right side, and only that, knows itself."""
        itself, name = scope[_RECURSIVE], folded(node["cte_name"])
        ctes, inner = self._with(node["cte_map"], scope)
        known = {**inner, name: itself}
        if node["key_targets"]:
            known[_RECURRING + name] = itself
        rest = {name: value for name, value in node.items() if name not in ("cte_map", "right")}
        return self.fields(rest, shape, inner) | {
            "cte_map": ctes,
            "cte_name": itself,
            "right": self.visit(node["right"], "query", known),
        }

    def base_table(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """A name in FROM: one that WITH defines, or a table's."""
        result = self.fields(node | {"at_clause": None}, shape, scope)
        defined = _defined(node, scope)
        if defined is not None:
            return result | {"table_name": defined, "alias": node["alias"] or node["table_name"]}
        table = table_named(
            node["catalog_name"], node["schema_name"], node["table_name"], self._defaults
        )
        version, as_of = self._at(node["at_clause"])
        bare = not node["schema_name"] and not node["catalog_name"]
        self.found.append(TableUse(table, version, as_of, bare))
        return result | {"use": len(self.found) - 1}

    def table_function(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """A call in FROM: a search is a use of the table that it is of."""
        call = node["function"]
        name, qualifier = call.get("function_name", ""), call.get("schema") or call.get("catalog")
        if folded(name) != NAME or qualifier:
            return super().table_function(node, shape, scope)
        if node["with_ordinality"] != "WITHOUT_ORDINALITY":
            raise Unsupported(f"{NAME}() has no ordinality: order its rows by _score.")
        parts, search = search_call(call)
        self.found.append(TableUse(table_named(*parts, self._defaults), search=search))
        rest = {key: value for key, value in node.items() if key not in ("function", "use")}
        named = {"table_name": name, "alias": node["alias"] or name, "use": len(self.found) - 1}
        return self.fields(rest, shape, scope) | named

    def _with(self, cte_map: Tree, scope: Scope) -> tuple[Tree, Scope]:
        """The definitions of a WITH; each knows those before it, none but recursive ones itself."""
        inner, entries = dict(scope), []
        for entry in cte_map["map"]:
            self._renamed += 1
            renamed = f"{entry['key']} #{self._renamed}"
            body = self.visit(entry["value"], "cte", {**inner, _RECURSIVE: renamed})
            name = folded(entry["key"])
            body["materialized"] = self._hints.get(name, body["materialized"])
            entries.append({"key": renamed, "value": body})
            inner[name] = renamed
        return {"map": entries}, inner

    def _at(self, clause: Tree | None) -> tuple[int | None, dt.datetime | None]:
        """The version or the moment of an AT clause."""
        if clause is None:
            return None, None
        expression = clause["expr"]
        if expression["class"] == "CAST" and clause["unit"] == "TIMESTAMP":
            expression = expression["child"]
        value = expression["value"]["value"] if expression["class"] == "CONSTANT" else None
        if clause["unit"] == "VERSION" and type(value) is int and value >= 0:
            return value, None
        if clause["unit"] == "TIMESTAMP" and type(value) is str:
            return None, _moment(value)
        raise InvalidRequest(
            f"AT ({clause['unit']} => …) takes a constant: AT (VERSION => 42), "
            "AT (TIMESTAMP => '2024-01-31 12:00:00').",
            code=ErrorCode.INVALID_SQL,
        )


def _defined(node: Tree, scope: Scope) -> str | None:
    """What a name stands for, where WITH defines it."""
    name, schema = folded(node["table_name"]), folded(node["schema_name"])
    if node["catalog_name"] or schema not in ("", "recurring"):
        return None
    defined = scope.get(_RECURRING + name if schema else name)
    if defined is not None and schema and not node["alias"]:
        # Its own name would be that of the CTE beside it.
        raise Unsupported(
            f"Give recurring.{node['table_name']} an alias: recurring.{node['table_name']} AS r."
        )
    if defined is not None and node["at_clause"] is not None:
        raise InvalidRequest(
            f"AT cannot be used with '{node['table_name']}', which WITH defines.",
            code=ErrorCode.INVALID_SQL,
        )
    return defined


def _moment(text: str) -> dt.datetime:
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    try:
        return epoch + dt.timedelta(microseconds=dialect.asked_micros(text))
    except OverflowError:
        raise InvalidRequest(
            f"'{text}' is no moment of the calendar.", code=ErrorCode.INVALID_SQL
        ) from None
