"""MERGE INTO: taken apart, and put together again from what was checked."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from flight_server.errors import ErrorCode, InvalidRequest, Unsupported
from flight_server.model import TableRef, quoted
from flight_server.query import dialect
from flight_server.query.dialect import Tree
from flight_server.query.expressions import written_expression
from flight_server.query.row_writes import (
    Context,
    assignments,
    check_columns,
    check_end,
    check_values,
    takes_by_name,
    target,
)
from flight_server.query.statement import first_table, rewritten_tree
from flight_server.query.tables import Source, TableUse, folded
from flight_server.query.value_lists import (
    is_default,
    refused_default,
    value_texts,
    without_defaults,
)
from flight_server.query.words import Words
from flight_server.query.writes import Merge, MergeClause


@dataclass
class _Expressions:
    """The expressions of a MERGE as they are read, in the order of the SELECT list."""

    texts: list[str] = field(default_factory=list)

    def place(self, text: str) -> int:
        """Where the expression will stand. The first column is a constant."""
        self.texts.append(text)
        return len(self.texts)


def merge(words: Words, context: Context) -> Merge:
    """`MERGE INTO t [AS a] USING s [AS b] {ON … | USING (…)} WHEN …`."""
    words.expect("MERGE", "INTO")
    named = target(words, context, "USING")
    words.expect("USING")
    source = words.until_last("ON", "USING")
    join = _join(words)
    found, clauses = _Expressions(), []
    while words.take("WHEN"):
        clauses.append(_clause(words, found))
    check_end(words)
    values = "".join(f", ({text}\n)" for text in found.texts)
    statement = context.statement(f"SELECT 1{values} FROM {named.sql} JOIN {source}\n {join}")
    node = json.loads(statement.tree)["node"]
    _check_shape(node, len(found.texts))
    alias = node["from_table"]["right"]["alias"]
    return Merge(named.use, statement, tuple(clauses), named.alias, alias)


def rewrite_merge(
    merge: Merge,
    sources: Callable[[TableUse], Source],
    target: TableRef,
    defaults: Mapping[str, str] | None = None,
    source_columns: Collection[str] = (),
    assigned: Mapping[str, str] | None = None,
) -> str:
    """The MERGE INTO to run, into the target's true name and over what `sources` says.

    All of the target must be visible: what `sources` says of it is not used. `defaults` maps
    columns of the target to the SQL of what they get where an INSERT leaves them out.
    `source_columns` are the names that `merge_source` has; they are needed by `INSERT BY NAME`
    where there are defaults. `assigned` maps columns to expressions that assign to them, with NUL
    for the value. An error that `sources` raises passes through.
    """
    found = tuple(sources(use) for use in merge.statement.tables)
    return _rewritten(
        merge,
        found,
        target,
        tuple((defaults or {}).items()),
        tuple(source_columns),
        tuple((assigned or {}).items()),
    )


def merge_source(merge: Merge, sources: Callable[[TableUse], Source]) -> str:
    """A query of the source of a MERGE, by which its columns can be found out."""
    found = tuple(sources(use) for use in merge.statement.tables)
    tree = rewritten_tree(merge.statement, found)
    return _with_clause(tree) + f"SELECT * FROM {_source(tree)}"


@functools.lru_cache(maxsize=128)
def _rewritten(
    merge: Merge,
    sources: tuple[Source, ...],
    target: TableRef,
    defaults: tuple[tuple[str, str], ...],
    source_columns: tuple[str, ...],
    assigned: tuple[tuple[str, str], ...],
) -> str:
    tree = rewritten_tree(merge.statement, sources)
    values = [written_expression(node) for node in tree["node"]["select_list"]]
    alias = merge.target_alias
    if not alias and folded(target.name) != folded(merge.target.table.name):
        # The statement knows a temporary table by another name than the lake does.
        alias = merge.target.table.name
    called = f" AS {quoted(alias)}" if alias else ""
    assign = _Assignments(dict(assigned))
    clauses = [
        _written(clause, values, dict(defaults), source_columns, assign) for clause in merge.clauses
    ]
    sql = (
        f"{_with_clause(tree)}MERGE INTO {target.sql}{called} USING {_source(tree)} "
        f"{_condition(tree)} {' '.join(clauses)}"
    )
    kind, _ = dialect.confirmed_kind(sql)
    assert kind == "MERGE_INTO", kind
    return sql


def _join(words: Words) -> str:
    """How the source is joined: by a condition in parentheses, or by columns."""
    if words.take("USING"):
        columns = words.names("column name")
        return f"USING ({', '.join(quoted(column) for column in columns)})"
    words.expect("ON")
    text = words.until("WHEN", "RETURNING")
    return f"ON ({text}\n)"


def _clause(words: Words, found: _Expressions) -> MergeClause:
    """What stands behind WHEN."""
    when = "not_matched" if words.take("NOT") else "matched"
    words.expect("MATCHED")
    if when == "not_matched" and words.take("BY", "SOURCE"):
        when = "not_matched_by_source"
    words.take("BY", "TARGET")
    condition = found.place(words.until("THEN")) if words.take("AND") else None
    words.expect("THEN")
    if words.take("DELETE"):
        return MergeClause(when, "delete", condition)
    if words.take("DO", "NOTHING"):
        return MergeClause(when, "nothing", condition)
    if words.take("ERROR"):
        text = words.until("WHEN", "RETURNING")
        return MergeClause(when, "error", condition, (), (found.place(text),) if text else ())
    if words.take("UPDATE"):
        return _update(words, found, when, condition)
    words.expect("INSERT")
    return _insert(words, found, when, condition)


def _update(words: Words, found: _Expressions, when: str, condition: int | None) -> MergeClause:
    by_name = takes_by_name(words)
    if words.take("SET", "*") or words.peek() != "SET":
        return MergeClause(when, "update", condition, by_name=by_name)
    words.expect("SET")
    columns, texts = assignments(words, "WHEN", "RETURNING")
    if any(is_default(text) for text in texts):
        raise refused_default()
    places = tuple(found.place(text) for text in texts)
    return MergeClause(when, "update", condition, columns, places)


def _insert(words: Words, found: _Expressions, when: str, condition: int | None) -> MergeClause:
    by_name = takes_by_name(words)
    if words.peek() == "DEFAULT":
        raise Unsupported("INSERT DEFAULT VALUES is not supported in MERGE: write the values.")
    columns = words.names("column name") if words.peek() == "(" else None
    check_columns(columns or ())
    if not words.take("VALUES"):
        words.take("*")
        if columns is not None:
            raise Unsupported("INSERT (columns) in MERGE needs its VALUES.")
        return MergeClause(when, "insert", condition, by_name=by_name)
    texts = value_texts(words)
    if columns is not None:
        columns, [texts] = without_defaults(columns, [texts])
    if any(is_default(text) for text in texts):
        raise refused_default()
    places = tuple(found.place(text) for text in texts)
    return MergeClause(when, "insert", condition, columns, places)


def _check_shape(node: Tree, expressions: int) -> None:
    """That the pieces are where they were put: a target, joined with a source."""
    join = node["from_table"]
    if join["type"] != "JOIN" or join["left"]["type"] == "JOIN":
        raise Unsupported("This source of MERGE is not supported: put it into a subquery.")
    first_table(join)
    if len(node["select_list"]) != expressions + 1:
        raise InvalidRequest("One value is set for each column.", code=ErrorCode.INVALID_SQL)
    check_values(node["select_list"])


def _with_clause(tree: Tree) -> str:
    """The WITH of the statement, or nothing."""
    if not tree["node"]["cte_map"]["map"]:
        return ""
    alone = dialect.parsed("SELECT 1")
    alone["node"]["cte_map"] = tree["node"]["cte_map"]
    return dialect.written(alone).removesuffix("SELECT 1") + " "


def _source(tree: Tree) -> str:
    alone = dialect.parsed("SELECT * FROM x")
    alone["node"]["from_table"] = tree["node"]["from_table"]["right"]
    return dialect.written(alone).removeprefix("SELECT * FROM ")


def _condition(tree: Tree) -> str:
    join = tree["node"]["from_table"]
    if join["condition"] is None:
        return f"USING ({', '.join(quoted(column) for column in join['using_columns'])})"
    return f"ON ({written_expression(join['condition'])})"


_WHEN = {
    "matched": "MATCHED",
    "not_matched": "NOT MATCHED",
    "not_matched_by_source": "NOT MATCHED BY SOURCE",
}


class _Assignments:
    """How values are assigned to the columns for which DuckDB's own cast is not enough."""

    def __init__(self, assigned: dict[str, str]) -> None:
        self._names = list(assigned)
        self._texts = {folded(name): text for name, text in assigned.items()}

    def values(self, columns: Collection[str], values: list[str]) -> list[str]:
        """The values as they are assigned to the columns, in their order."""
        pairs = zip(columns, values, strict=True)
        return [self._texts.get(folded(name), _NUL).replace(_NUL, value) for name, value in pairs]

    def check_none(self) -> None:
        """Unsupported where there are such columns, and a clause names neither them nor values."""
        if self._names:
            raise Unsupported(
                f"MERGE can set the column '{self._names[0]}' of this table only where columns and "
                "values are named: write SET column = value, and INSERT (columns) VALUES (values)."
            )


_NUL = "\0"


def _written(
    clause: MergeClause,
    values: list[str],
    defaults: dict[str, str],
    source_columns: tuple[str, ...],
    assign: _Assignments,
) -> str:
    condition = f" AND ({values[clause.condition]})" if clause.condition is not None else ""
    given = [f"({values[place]})" for place in clause.values]
    match clause.action:
        case "update":
            action = _written_update(clause, given, assign)
        case "insert":
            action = _written_insert(clause, given, defaults, source_columns, assign)
        case "delete":
            action = "DELETE"
        case "nothing":
            action = "DO NOTHING"
        case _:
            action = " ".join(["ERROR", *given])
    return f"WHEN {_WHEN[clause.when]}{condition} THEN {action}"


def _written_update(clause: MergeClause, given: list[str], assign: _Assignments) -> str:
    if clause.columns is None:
        assign.check_none()
        return "UPDATE BY NAME" if clause.by_name else "UPDATE"
    names = (quoted(column) for column in clause.columns)
    given = assign.values(clause.columns, given)
    return "UPDATE SET " + ", ".join(f"{n} = {v}" for n, v in zip(names, given, strict=True))


def _written_insert(
    clause: MergeClause,
    given: list[str],
    defaults: dict[str, str],
    source_columns: tuple[str, ...],
    assign: _Assignments,
) -> str:
    names = clause.columns
    if names is None and clause.by_name and defaults:
        # Only the source's columns are known where nothing has matched.
        if clause.when != "not_matched" or not source_columns:
            raise Unsupported("This INSERT BY NAME is not supported: name columns and values.")
        names, given = source_columns, [quoted(column) for column in source_columns]
    if names is None:
        assign.check_none()
        text = "INSERT BY NAME" if clause.by_name else "INSERT"
        return f"{text} VALUES ({', '.join(given)})" if given else text
    named, given = {folded(name) for name in names}, assign.values(names, given)
    left_out = {name: sql for name, sql in defaults.items() if folded(name) not in named}
    columns = ", ".join(quoted(column) for column in (*names, *left_out))
    return f"INSERT ({columns}) VALUES ({', '.join([*given, *left_out.values()])})"
