"""What a statement says of the types of its parameters.

DuckDB learns a parameter's type when it is bound, whereas drivers such as JDBC's want to know it
when the statement is prepared. A parameter stands beside a column with which it is compared or to
which it is assigned, or within a cast; of any other nothing is known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

from flight_server.errors import PixelflightError
from flight_server.query.column_types import column_type
from flight_server.query.dialect import Tree
from flight_server.query.expressions import written_expression
from flight_server.query.row_writes import nodes
from flight_server.query.statement import Statement
from flight_server.query.writes import CreateTable, Delete, Insert, Merge, Update, Write

# A column's name, or a type itself.
Hint: TypeAlias = str | pa.DataType


def parameter_hints(statement: Statement | Write, columns: Sequence[str] = ()) -> dict[str, Hint]:
    """For each parameter of which something is known, the column it goes with or its type.

    `columns` are those of the table that an INSERT without names of columns writes to.
    """
    found: dict[str, Hint] = {}
    for part, targets in _parts(statement, columns):
        tree = json.loads(part.tree)["node"]
        for expressions in _rows(tree):
            for name, expression in zip(targets, expressions, strict=False):
                _note(found, [expression], name)
        for node in nodes(tree):
            _look(found, node)
        for modifier in tree.get("modifiers", ()):
            limits = [modifier.get(name) for name in ("limit", "offset")]
            _note(found, [limit for limit in limits if limit], pa.int64())
    return found


def _parts(
    statement: Statement | Write, columns: Sequence[str]
) -> Iterator[tuple[Statement, Sequence[str]]]:
    """The SELECTs of a statement, and the columns that what each gives is written to."""
    match statement:
        case Statement():
            yield statement, ()
        case Insert() if statement.query is not None:
            yield statement.query, statement.columns or columns
        case Update():
            # The first column is the row's id.
            yield statement.rows, ("", *statement.columns)
        case Delete():
            yield statement.rows, ()
        case Merge():
            yield statement.statement, ()
        case CreateTable() if statement.query is not None:
            yield statement.query, ()


def _rows(tree: Tree) -> Iterator[list[Tree]]:
    """The expressions of each row of VALUES, or of the SELECT list."""
    source = tree.get("from_table") or {}
    if source.get("type") == "EXPRESSION_LIST":
        yield from source["values"]
    elif tree.get("type") == "SELECT_NODE":
        yield tree["select_list"]


def _look(found: dict[str, Hint], node: Tree) -> None:
    """Notes what one node says of the parameters right below it."""
    match node.get("class"):
        case "COMPARISON":
            _beside(found, [node["left"], node["right"]])
        case "BETWEEN":
            _beside(found, [node["input"], node["lower"], node["upper"]])
        case "OPERATOR" if node["type"] in ("COMPARE_IN", "COMPARE_NOT_IN"):
            _beside(found, node["children"])
        case "FUNCTION" if node["is_operator"]:
            _beside(found, node["children"])
        case "CAST":
            _note(found, [node["child"]], _type_of(node))


def _beside(found: dict[str, Hint], operands: list[Tree]) -> None:
    """Operands of one kind: a parameter among them goes with a column or a cast among them."""
    for operand in operands:
        if operand["class"] == "COLUMN_REF":
            _note(found, operands, operand["column_names"][-1])
            return
        if operand["class"] == "CAST":
            _note(found, operands, _type_of(operand))


def _note(found: dict[str, Hint], expressions: list[Tree], hint: Hint | None) -> None:
    for expression in expressions:
        if expression["class"] == "PARAMETER" and hint:
            found.setdefault(expression["identifier"], hint)


def _type_of(cast: Tree) -> pa.DataType | None:
    null: Any = {"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": ""}
    null["value"] = {"type": {"id": "NULL", "type_info": None}, "is_null": True}
    try:
        text = written_expression(cast | {"child": null, "alias": ""})
        return column_type(text.removeprefix("CAST(NULL AS ").removesuffix(")"), "parameter")
    except PixelflightError:
        return None
