"""VALUES of an INSERT and SET of an UPDATE: each value is for its column, and may be DEFAULT.

Without an INSERT around it, VALUES is a query whose columns have one type each, so that a number
beside a text is one too many. Here it is made to give what the INSERT would have been given.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from flight_server.errors import ErrorCode, InvalidRequest, Unsupported
from flight_server.query import dialect
from flight_server.query.dialect import Tree
from flight_server.query.statement import Statement
from flight_server.query.words import Words


def value_texts(words: Words) -> list[str]:
    """`(a, b)`: the texts of one row."""
    texts: list[str] = []
    words.expect("(")
    while not texts or words.more():
        texts.append(words.until(","))
    words.expect(")")
    return texts


def is_default(text: str) -> bool:
    """Whether the value is the word DEFAULT."""
    return text.strip().upper() == "DEFAULT"


def without_defaults(
    columns: tuple[str, ...], rows: list[list[str]]
) -> tuple[tuple[str, ...], list[list[str]]]:
    """The columns that get a value: one that is DEFAULT in every row is as one left out."""
    for row in rows:
        if len(row) != len(columns):
            raise InvalidRequest(
                f"INSERT names {len(columns)} columns and gives {len(row)} values.",
                code=ErrorCode.INVALID_SQL,
            )
    kept = [
        place for place in range(len(columns)) if not all(is_default(row[place]) for row in rows)
    ]
    if not kept or any(is_default(row[place]) for row in rows for place in kept):
        raise refused_default()
    return tuple(columns[place] for place in kept), [[row[place] for place in kept] for row in rows]


def refused_default() -> Unsupported:
    """What is said of a DEFAULT where no column is known that it could be of."""
    return Unsupported(
        "DEFAULT is not supported here: it may be a value of INSERT … VALUES and of UPDATE … SET. "
        "Elsewhere name the other columns: those left out get their defaults."
    )


def values_without_defaults(text: str) -> tuple[str, tuple[tuple[int, int], ...]] | None:
    """The VALUES with nulls for DEFAULT, and the row and place of each; None where it is more."""
    words = Words(text)
    words.expect("VALUES")
    rows = [value_texts(words)]
    while words.more():
        rows.append(value_texts(words))
    if not words.ended:
        return None
    defaults = tuple(
        (number, place)
        for number, row in enumerate(rows)
        for place, value in enumerate(row)
        if is_default(value)
    )
    written = (", ".join(f"{nulls_for_default(value)}\n" for value in row) for row in rows)
    return "VALUES " + ", ".join(f"({row})" for row in written), defaults


def nulls_for_default(text: str) -> str:
    """The value, and a null where it is DEFAULT, until the table's columns are known."""
    return "NULL" if is_default(text) else text


def with_defaults(
    statement: Statement, defaults: Iterable[tuple[int, int]], texts: Mapping[int, str]
) -> Statement:
    """The query of VALUES with what `texts` says of a place at each row and place of `defaults`."""
    tree = json.loads(statement.tree)
    rows = tree["node"]["from_table"]["values"]
    for number, place in defaults:
        if place in texts:
            rows[number][place] = _expression(texts[place])
    return one_by_one(replace(statement, tree=json.dumps(tree)))


def with_set_defaults(statement: Statement, texts: Mapping[int, str]) -> Statement:
    """The SELECT of row ids and new values with other values at these places."""
    tree = json.loads(statement.tree)
    for place, text in texts.items():
        # The row's id comes first.
        tree["node"]["select_list"][place + 1] = _expression(text)
    return replace(statement, tree=json.dumps(tree))


def _expression(text: str) -> Tree:
    node: Tree = dialect.parsed(f"SELECT {text}")["node"]["select_list"][0]
    return node


def one_by_one(statement: Statement) -> Statement:
    """The query; in VALUES, what stands in a column beside a text is made text as well.

    A column of the table takes the text of a value as it takes the value.
    """
    tree = json.loads(statement.tree)
    source = tree["node"].get("from_table") or {}
    if source.get("type") != "EXPRESSION_LIST" or len(source["values"]) < 2:
        return statement
    rows: list[list[Tree]] = source["values"]
    mixed = {place for place in range(len(rows[0])) if _is_mixed([row[place] for row in rows])}
    if not mixed:
        return statement
    source["values"] = [
        [_as_text(value) if place in mixed else value for place, value in enumerate(row)]
        for row in rows
    ]
    return replace(statement, tree=json.dumps(tree))


def _is_mixed(values: list[Tree]) -> bool:
    kinds = {_kind(value) for value in values} - {"NULL"}
    return "VARCHAR" in kinds and len(kinds) > 1


def _kind(value: Tree) -> Any:
    """The type of a literal; nothing for other expressions."""
    if value["class"] != "CONSTANT":
        return None
    return "NULL" if value["value"]["is_null"] else value["value"]["type"]["id"]


def _as_text(value: Tree) -> Tree:
    if _kind(value) in ("VARCHAR", "NULL"):
        return value
    return _cast() | {"child": value}


@functools.cache
def _cast() -> Tree:
    node: Tree = dialect.parsed("SELECT CAST(NULL AS VARCHAR)")["node"]["select_list"][0]
    return node
