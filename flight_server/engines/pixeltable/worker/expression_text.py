"""Expressions as text, in SQL as DuckDB parses it, into the trees that `expressions` compiles.

DuckDB parses and runs nothing. Each kind of node that there is a meaning for is taken, and any
other is refused with the place where it stands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from flight_server.engines.pixeltable.worker import trees
from flight_server.engines.pixeltable.worker.trees import Node
from flight_server.errors import ErrorCode, InvalidRequest

TEXT_LENGTH_MAX = 10_000
Tree = Mapping[str, Any]

_HEAD = "SELECT (\n"
_COMPARISONS: Mapping[str, str] = {
    "COMPARE_EQUAL": "=",
    "COMPARE_NOTEQUAL": "<>",
    "COMPARE_LESSTHAN": "<",
    "COMPARE_LESSTHANOREQUALTO": "<=",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_GREATERTHANOREQUALTO": ">=",
    "CONJUNCTION_AND": "and",
    "CONJUNCTION_OR": "or",
    "OPERATOR_NOT": "not",
    "OPERATOR_IS_NULL": "is null",
    "OPERATOR_IS_NOT_NULL": "is not null",
    "COMPARE_IN": "in",
    "COMPARE_NOT_IN": "not in",
    "COMPARE_BETWEEN": "between",
}
# What DuckDB calls types, and what they are called here.
_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT"), "int"),
    **dict.fromkeys(("FLOAT", "DOUBLE"), "float"),
    "VARCHAR": "string",
    "BOOLEAN": "bool",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
    "DATE": "date",
    "UUID": "uuid",
}


def parsed(text: str) -> Tree:
    """The tree of an expression. InvalidRequest (invalid_sql) says where what is wrong stands."""
    if len(text) > TEXT_LENGTH_MAX:
        raise InvalidRequest(
            f"The expression has {len(text)} characters, and may have {TEXT_LENGTH_MAX} at most."
        )
    if "\0" in text:
        raise InvalidRequest("The expression holds a NUL.", code=ErrorCode.INVALID_SQL)
    try:
        return _Parser(text).tree()
    except RecursionError as error:
        raise InvalidRequest(
            "The expression is nested too deeply.", code=ErrorCode.INVALID_SQL
        ) from error


class _Parser:
    """One text, and what DuckDB makes of it."""

    def __init__(self, text: str) -> None:
        # Comments end with their line.
        self._whole = f"{_HEAD}{text}\n)"
        self._kinds: Mapping[str, Callable[[Node], Tree]] = {
            "COLUMN_REF": self._column,
            "CONSTANT": self._constant,
            "FUNCTION": self._function,
            "OPERATOR": self._operator,
            "COMPARISON": self._comparison,
            "CONJUNCTION": self._comparison,
            "BETWEEN": self._comparison,
            "CAST": self._cast,
            "LAMBDA": self._arrow,
        }

    def tree(self) -> Tree:
        with trees.connection() as connected:
            asked = connected.execute("SELECT json_serialize_sql(?)", [self._whole]).fetchone()
        assert asked is not None, "one row was asked for"
        found = json.loads(asked[0])
        if found["error"]:
            self._refuse(found["error_message"], int(found.get("position", -1)))
        node = found["statements"][0]["node"]
        is_one = len(found["statements"]) == 1 and len(node.get("select_list", ())) == 1
        rest = ("where_clause", "group_expressions", "having", "sample", "qualify")
        if (
            not is_one
            or node["from_table"]["type"] != "EMPTY"
            or node["modifiers"]
            or node["cte_map"]["map"]
            or any(node.get(one) for one in rest)
        ):
            self._refuse("one expression is wanted, and nothing before or after it")
        return self._tree(node["select_list"][0])

    def _tree(self, node: Node) -> Tree:
        make = self._kinds.get(node["class"])
        if make is None:
            what = node["class"].lower().replace("_", " ")
            self._refuse(f"a {what} has no place in an expression", node)
        return {**make(node), "at": self._place(node)}

    def _column(self, node: Node) -> Tree:
        name, *path = node["column_names"]
        column = {"column": name}
        return {"path": path, "of": column} if path else column

    def _constant(self, node: Node) -> Tree:
        value = node["value"]
        if value["is_null"]:
            return {"value": None}
        constant = trees.constant(node)
        if constant is None:
            self._refuse("a number is too large", node)
        if constant.kind == "DECIMAL":
            return {"value": float(constant.value)}
        if not isinstance(constant.value, int | float | str):
            self._refuse(f"a constant of the type {constant.kind} has no place here", node)
        return {"value": constant.value}

    def _function(self, node: Node) -> Tree:
        if node["distinct"] or node["filter"] or node["order_bys"]["orders"]:
            self._refuse("a call has its arguments and nothing else", node)
        name, children = node["function_name"], node["children"]
        if node["is_operator"]:
            if name == "->" and len(children) == 2:
                return self._arrow({**node, "lhs": children[0], "expr": children[1]})
            return {"operator": name, "operands": [self._tree(one) for one in children]}
        if node["schema"] == "main" and name == "list_value":
            return {"list": [self._tree(one) for one in children]}
        if node["schema"] == "main" and name == "struct_pack":
            return {"object": {one["alias"]: self._tree(one) for one in children}}
        positional = [self._tree(one) for one in children if not one["alias"]]
        named = {one["alias"]: self._tree(one) for one in children if one["alias"]}
        if len(positional) + len(named) < len(children):
            self._refuse("an argument is given twice", node)
        parts = [node["catalog"], node["schema"], name]
        return {
            "call": ".".join(part for part in parts if part),
            "arguments": positional,
            "named": named,
        }

    def _operator(self, node: Node) -> Tree:
        kind, children = node["type"], node["children"]
        if kind in ("ARRAY_EXTRACT", "STRUCT_EXTRACT"):
            step = self._tree(children[1])
            if not isinstance(step.get("value"), int | str):
                self._refuse("a step of a path is a name or a number", children[1])
            return {"path": [step["value"]], "of": self._tree(children[0])}
        return self._comparison(node)

    def _comparison(self, node: Node) -> Tree:
        operator = _COMPARISONS.get(node["type"])
        if operator is None:
            what = node["type"].rpartition("_")[2].lower()
            self._refuse(f"the operator '{what}' has no meaning here", node)
        if "input" in node:
            operands = [node["input"], node["lower"], node["upper"]]
        else:
            operands = node["children"] if "children" in node else [node["left"], node["right"]]
        return {"operator": operator, "operands": [self._tree(one) for one in operands]}

    def _cast(self, node: Node) -> Tree:
        kind, child = node["cast_type"], node["child"]
        constant = trees.constant(node)
        if kind["id"] == "BOOLEAN" and constant is not None and constant.value in ("t", "f"):
            return {"value": constant.value == "t"}
        name = kind["id"] if kind["id"] != "UNBOUND" else kind["type_info"]["name"].upper()
        if node["try_cast"]:
            self._refuse("casts are tried or not as computed columns are: write CAST", node)
        if name not in _TYPES:
            known = ", ".join(sorted(set(_TYPES.values())))
            self._refuse(f"casts are to {known}, and not to {name.lower()}", node)
        return {"cast": self._tree(child), "to": _TYPES[name]}

    def _arrow(self, node: Node) -> Tree:
        """`meta -> 'a'`, which DuckDB parses as it does the lambda `x -> x + 1`."""
        step, of = node["expr"], node["lhs"]
        if step["class"] != "CONSTANT":
            if of["class"] != "COLUMN_REF" or len(of["column_names"]) != 1:
                self._refuse("a lambda has one parameter, as in x -> x + 1", node)
            return {"lambda": of["column_names"][0], "body": self._tree(step)}
        return {"path": [self._constant(step)["value"]], "of": self._tree(node["lhs"])}

    def _place(self, node: Node) -> int | None:
        """At which of the characters of the text a node stands, from 1."""
        at = node.get("query_location", -1)
        return self._character(at) if isinstance(at, int) else None

    def _character(self, at: int) -> int | None:
        before = self._whole.encode()[:at] if 0 <= at <= len(self._whole.encode()) else b""
        place = len(before.decode(errors="ignore")) - len(_HEAD) + 1
        return place if place > 0 else None

    def _refuse(self, why: str, at: Node | int = -1) -> NoReturn:
        place = self._character(at) if isinstance(at, int) else self._place(at)
        where = "" if place is None else f" at character {place}"
        raise InvalidRequest(
            f"The expression is wrong{where}: {why[:300]}.", code=ErrorCode.INVALID_SQL
        )
