"""What every row of a table must meet: its constraints and checks, on each way in.

Rows that come by a SELECT are judged in the statement that writes them: it ends with an error for
the first that is wrong, so that nothing is read twice and nothing leaves DuckDB. What a MERGE made
of rows that were there is judged afterwards, in the same transaction. As in SQL, what is null for a
row passes.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from flight_server.engines.lake.constraints import conditions
from flight_server.engines.lake.instance import literal
from flight_server.engines.lake.sql_types import natural_of
from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.model import HIDDEN_PREFIX, TableRef, TableSpec, TableVersion, quoted

# What a wrong row ends its statement with: which rule, and which row where that is known.
_SAID = "check {number} of row "
_HEARD = re.compile(r"check (\d+) of row (\d*)")
# The number of a row among those that were sent.
ROW = f"{HIDDEN_PREFIX}_row"
# What a row's id is called where it goes along with its values.
ID = f"{HIDDEN_PREFIX}_id"


class Runs(Protocol):
    """Whatever runs a statement and answers with its rows."""

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of one statement's answer."""


@dataclass(frozen=True)
class Rule:
    """One condition over the columns as SQL sees them; false for a row that must not be.

    `column` is the one whose constraint it is a part of, None for a check. `columns` are all that
    it names.
    """

    name: str
    column: str | None
    columns: frozenset[str]
    condition: str

    @property
    def wrong(self) -> str:
        """Whether a row violates it."""
        return f"({self.condition}) IS FALSE"


def rules_of(spec: TableSpec) -> tuple[Rule, ...]:
    """All rules of a table, in the order in which they are looked at."""
    if not spec.constraints and not spec.checks:
        return ()
    return _rules(spec.schema, json.dumps(dict(spec.constraints)), tuple(spec.checks.items()))


@lru_cache(maxsize=1024)
def _rules(
    schema: pa.Schema, constraints: str, checks: tuple[tuple[str, str], ...]
) -> tuple[Rule, ...]:
    found = [
        Rule(keyword, name, frozenset({name}), condition)
        for name, constraint in json.loads(constraints).items()
        for keyword, condition in conditions(schema.field(name).type, constraint, quoted(name))
    ]
    names = {name.lower(): name for name in schema.names}
    for check, predicate in checks:
        named = frozenset(names[one] for one in _named(predicate) if one in names)
        found.append(Rule(check, None, named, predicate))
    return tuple(found)


def rules_on(spec: TableSpec, columns: Collection[str]) -> tuple[Rule, ...]:
    """The rules that writing these columns may break."""
    return tuple(rule for rule in rules_of(spec) if not rule.columns.isdisjoint(columns))


def checks_naming(spec: TableSpec, column: str) -> list[str]:
    """The names of the checks that need a column."""
    return [rule.name for rule in rules_of(spec) if rule.column is None and column in rule.columns]


def guarded(
    found: TableVersion,
    rules: Sequence[Rule],
    rows: str,
    names: Sequence[str],
    row: str = "",
    others: Sequence[str] = (),
) -> str:
    """A SELECT of the same rows that ends with an error for one that violates a rule.

    `rows` is a SELECT whose columns are named as the table's, with values as they are kept; those
    that the rules name and `names` does not are null. `others` are passed on unjudged. `row` is
    the expression that tells which row is wrong.
    """
    kept = [(f"{HIDDEN_PREFIX}_kept_{at}", name) for at, name in enumerate((*names, *others))]
    shown = ", ".join(_shown(found.schema, _needed(rules), names))
    inner = ", ".join(f"{quoted(name)} AS {place}" for place, name in kept)
    outer = ", ".join(f"{place} AS {quoted(name)}" for place, name in kept)
    marked = f"CAST({row} AS VARCHAR)" if row else "''"
    # One after the other, so that a row is told by the first rule that it violates.
    branches = " ".join(
        f"WHEN {rule.wrong} THEN error({literal(_SAID.format(number=number))} || {ROW})"
        for number, rule in enumerate(rules)
    )
    return (
        f"SELECT {outer} FROM (SELECT {inner}, {marked} AS {ROW}{', ' if shown else ''}{shown} "
        f"FROM ({rows})) WHERE CASE {branches} ELSE true END"
    )


def violating(
    found: TableVersion, rules: Sequence[Rule], rows: str, names: Sequence[str], row: str
) -> str:
    """A SELECT of `row` for each row that violates a rule, and the first one's number."""
    shown = ", ".join(_shown(found.schema, _needed(rules), names))
    branches = " ".join(f"WHEN {rule.wrong} THEN {at}" for at, rule in enumerate(rules))
    return (
        f"SELECT {ROW}, rule FROM (SELECT {ROW}, CASE {branches} END AS rule FROM "
        f"(SELECT {row} AS {ROW}{', ' if shown else ''}{shown} FROM ({rows}))) WHERE rule >= 0"
    )


@contextmanager
def told(found: TableVersion, rules: Sequence[Rule]) -> Iterator[None]:
    """Says which rule a row of the block's statement violates. InvalidRequest (check_violation)."""
    try:
        yield
    except InvalidRequest as error:
        match = _HEARD.search(str(error.__cause__)) if error.__cause__ is not None else None
        if match is None or int(match[1]) >= len(rules):
            raise
        row = int(match[2]) if match[2] else None
        raise violation(found.table, rules[int(match[1])], row) from error


def check_rows(runs: Runs, found: TableVersion, rules: Sequence[Rule], within: str = "") -> None:
    """InvalidRequest (check_violation) where a row that is in the table violates a rule.

    `within` narrows the rows to look at, as what follows the table's name in FROM.
    """
    for rule in rules:
        rows = f"SELECT rowid AS {ROW}, * FROM {found.table.sql} AS kept{within}"
        [(count, first)] = runs.run(
            f"SELECT count(*), min({ROW}) FROM ({_as_shown(found.schema, (rule,), rows)}) "
            f"WHERE {rule.wrong}"
        )
        if count:
            raise _violated(found.table, rule, count, first)


def check_rules(runs: Runs, table: TableRef, spec: TableSpec) -> None:
    """InvalidRequest where a rule cannot be asked of the table, or a default violates one."""
    for rule in rules_of(spec):
        nulls = ", ".join(_shown(spec.schema, rule.columns, ())) or "1"
        try:
            [(kind,)] = runs.run(f"SELECT typeof({rule.condition}) FROM (SELECT {nulls})")
        except InvalidRequest as error:
            raise InvalidRequest(
                f"{_titled(rule)} of '{table}' cannot be asked: {error.message}", code=error.code
            ) from error
        if kind not in ("BOOLEAN", '"NULL"'):
            raise InvalidRequest(
                f"{_titled(rule)} of '{table}' is {kind} and no condition: write a comparison.",
                code=ErrorCode.INVALID_SQL,
            )
        default = spec.defaults.get(rule.column) if rule.column is not None else None
        if default is not None and _is_wrong(runs, spec.schema, rule, default):
            raise InvalidRequest(
                f"The default {default} of the column '{rule.column}' violates its own "
                f"constraint '{rule.name}'.",
                code=ErrorCode.CHECK_VIOLATION,
                details={"table": str(table), "column": rule.column, "constraint": rule.name},
            )


def violation(table: TableRef, rule: Rule, row: int | None = None) -> InvalidRequest:
    """The error for a row that came, by its number among those sent where that is known."""
    which = "A row" if row is None else f"Row {row} of those sent"
    details = _details(table, rule) | ({} if row is None else {"row": row})
    return InvalidRequest(
        f"{which} violates {_named_rule(rule)} of '{table}'.",
        code=ErrorCode.CHECK_VIOLATION,
        details=details,
    )


def _violated(table: TableRef, rule: Rule, count: int, row_id: int) -> InvalidRequest:
    rows = "A row" if count == 1 else f"{count} rows"
    return InvalidRequest(
        f"{rows} of '{table}' would violate {_named_rule(rule)}: the one with the row id "
        f"{row_id}{' is one of them' if count > 1 else ''}.",
        code=ErrorCode.CHECK_VIOLATION,
        details=_details(table, rule) | {"rows": count, "row_id": row_id},
    )


def _details(table: TableRef, rule: Rule) -> dict[str, Any]:
    if rule.column is None:
        return {"table": str(table), "check": rule.name}
    return {"table": str(table), "column": rule.column, "constraint": rule.name}


def _named_rule(rule: Rule) -> str:
    if rule.column is None:
        return f"the check '{rule.name}'"
    return f"the constraint '{rule.name}' of the column '{rule.column}'"


def _titled(rule: Rule) -> str:
    text = _named_rule(rule)
    return text[0].upper() + text[1:]


def _is_wrong(runs: Runs, schema: pa.Schema, rule: Rule, default: str) -> bool:
    assert rule.column is not None, "only constraints are of one column"
    natural = natural_of(schema.field(rule.column).type, rule.column, top=True)
    value = f"SELECT CAST({default} AS {natural.sql}) AS {quoted(rule.column)}"
    [(wrong,)] = runs.run(f"SELECT {rule.wrong} FROM ({value})")
    return bool(wrong)


def _as_shown(schema: pa.Schema, rules: Iterable[Rule], rows: str) -> str:
    """The rows with the columns that rules name as SQL sees them, and their row ids."""
    needed = _needed(rules)
    shown = _shown(schema, needed, needed)
    return f"SELECT {', '.join((ROW, *shown))} FROM ({rows})"


def _needed(rules: Iterable[Rule]) -> frozenset[str]:
    return frozenset(name for rule in rules for name in rule.columns)


def _shown(schema: pa.Schema, needed: Collection[str], given: Collection[str]) -> Iterator[str]:
    """Columns as SQL sees them, from columns as they are kept; null for what is not given."""
    for field in schema:
        if field.name not in needed:
            continue
        natural, column = natural_of(field.type, field.name, top=True), quoted(field.name)
        if field.name not in given:
            yield f"CAST(NULL AS {natural.sql}) AS {column}"
        else:
            shown = column if natural.shown is None else natural.shown(column)
            yield f"{shown} AS {column}"


def _named(predicate: str) -> frozenset[str]:
    """The names in a predicate that may be columns', in lower case; lambdas' among them."""
    return frozenset(name.lower() for name in _names_in(predicate))


def _names_in(predicate: str) -> Iterator[str]:
    with _lock:
        sql = f"SELECT 1 WHERE ({predicate}\n)"
        row = _parser().execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    waiting: list[object] = [json.loads(row[0])] if row is not None else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield from node.get("column_names", ())
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    """A connection to nothing, which only parses."""
    return duckdb.connect(":memory:")


_lock = threading.Lock()
