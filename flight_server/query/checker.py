"""Walks a whole parse tree and lets through only what is known to be harmless.

Every node and every field is looked up in `grammar`, every function in `functions`. The walk
rebuilds the tree as it goes, so that what comes out holds nothing that was not looked at. What is
done with tables, columns and WITH is left to the subclasses.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any

from flight_server.errors import ErrorCode, Forbidden, InvalidRequest, Unsupported
from flight_server.query import functions
from flight_server.query.dialect import Tree, parsed
from flight_server.query.grammar import DISCRIMINATORS, OPERATORS, PLAIN, SHAPES

DEPTH_MAX = 200

# Maps a name that a part of the tree may use to what it stands for there.
Scope = Mapping[str, str]


class Checker:
    """The walk. A handler takes a node, its shape and its scope, and returns the new node."""

    expression_functions: Collection[str] = functions.IN_SELECT

    def __init__(self) -> None:
        self._depth = 0
        self._handlers: dict[str, Callable[[Tree, str, Scope], Tree]] = {
            "expression CONSTANT": self.constant,
            "expression FUNCTION": self.function,
            "expression OPERATOR": self.operator,
            "expression WINDOW": self.window,
            "pivot": self.pivot,
            "table SHOW_REF": self.show,
            "table TABLE_FUNCTION": self.table_function,
        }

    def handle(self, shape: str, handler: Callable[[Tree, str, Scope], Tree]) -> None:
        """Lets a subclass say what happens to nodes of a shape."""
        assert shape in SHAPES, shape
        self._handlers[shape] = handler

    def checked(self, tree: Tree) -> Tree:
        """The tree of a statement, looked at whole. Forbidden, Unsupported, InvalidRequest."""
        try:
            return self.visit(tree, "select", {})
        except RecursionError:
            raise _too_deep() from None

    def visit(self, node: Tree, what: str, scope: Scope) -> Tree:
        """The node, which was found where the grammar expects `what`."""
        key = DISCRIMINATORS.get(what)
        shape = f"{what} {node[key]}" if key else what
        if shape not in SHAPES:
            raise Unsupported(f"This server does not support {shape.lower()} in SQL.")
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise _too_deep()
        try:
            return self._handlers.get(shape, self.fields)(node, shape, scope)
        finally:
            self._depth -= 1

    def fields(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """The node with every field looked at."""
        expected = SHAPES[shape]
        result: Tree = {}
        for name, value in node.items():
            what = expected.get(name)
            if what is None:
                raise Unsupported(f"This server does not know the part '{name}' of {shape}.")
            if what == PLAIN:
                self.plain(value)
                result[name] = value
            elif what == "row*":
                result[name] = [self._list(row, "expression", scope) for row in value]
            elif value is None:
                result[name] = None
            elif what[-1] == "*":
                result[name] = self._list(value, what[:-1], scope)
            else:
                result[name] = self.visit(value, what, scope)
        return result

    def plain(self, value: Any) -> None:
        """A field that may hold anything but a node."""
        if isinstance(value, dict):
            if "class" in value or "node" in value or "from_table" in value:
                raise Unsupported("This server does not support an expression in this place.")
            for part in value.values():
                self.plain(part)
        elif isinstance(value, list):
            for part in value:
                self.plain(part)

    def constant(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """A literal, as a cast where DuckDB would write it as a literal of another type."""
        text = _cast_text(node["value"])
        if text is not None:
            return _cast(text) | {"alias": node["alias"]}
        return self.fields(node, shape, scope)

    def function(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """A call, or an operator that is a function."""
        self._check_function(node, self.expression_functions)
        if node["export_state"]:
            raise Forbidden("EXPORT_STATE is refused: it shows the inside of an aggregate.")
        return self.fields(node, shape, scope)

    def operator(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """An operator that is no function."""
        if node["type"] not in OPERATORS:
            raise Unsupported(f"This server does not support the operator {node['type']}.")
        return self.fields(node, shape, scope)

    def window(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """A call with OVER."""
        self._check_function(node, functions.OVER_WINDOW)
        return self.fields(node, shape, scope)

    def table_function(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """A call in FROM."""
        call = node["function"]
        if call["class"] != "FUNCTION":
            raise Unsupported("This server does not support this kind of call in FROM.")
        self._check_function(call, functions.IN_FROM)
        inside = self.fields(call, "expression FUNCTION", scope)
        rest = {name: value for name, value in node.items() if name != "function"}
        return node | self.fields(rest, shape, scope) | {"function": inside}

    def show(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """DESCRIBE and SUMMARIZE of a query or table; every other SHOW reads the catalog."""
        if node["query"] is None or node["show_type"] not in ("DESCRIBE", "SUMMARY"):
            name = str(node["table_name"] or node["schema_name"]).strip('"')
            raise Forbidden(
                f"SHOW {name} is refused: it shows the server's own catalog. Tables are listed by "
                "\\d in the shell, adbc_get_objects in ADBC and ListFlights in Flight; DESCRIBE "
                "describes a table or a query."
            )
        return self.fields(node, shape, scope)

    def pivot(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """One column of a PIVOT."""
        if node["pivot_enum"]:
            raise Unsupported(
                f"PIVOT by the type '{node['pivot_enum']}' is not supported: "
                "list the values, as in ON column IN ('a', 'b')."
            )
        return self.fields(node, shape, scope)

    def _list(self, nodes: list[Tree], what: str, scope: Scope) -> list[Tree]:
        return [self.visit(node, what, scope) for node in nodes]

    def _check_function(self, node: Tree, kinds: Collection[str]) -> None:
        name, schema, catalog = node["function_name"], node["schema"], node["catalog"]
        functions.check_function(name, schema, catalog, kinds)


def _cast_text(value: Tree) -> str | None:
    """The literal as SQL that says its type: 1e0 would be written as 1.0, and 5. as 5."""
    kind, literal = value["type"]["id"], value.get("value")
    if literal is None:
        return None
    if kind == "BOOLEAN":
        return "true" if literal else "false"
    if kind == "DOUBLE" and "e" not in repr(literal):
        return f"CAST('{literal!r}' AS DOUBLE)"
    if kind == "DECIMAL" and not value["type"]["type_info"]["scale"]:
        if isinstance(literal, dict):
            literal = literal["upper"] * 2**64 + literal["lower"]
        return f"CAST('{literal}' AS DECIMAL({value['type']['type_info']['width']}, 0))"
    return None


@functools.lru_cache(maxsize=256)
def _cast(text: str) -> Tree:
    node: Tree = parsed(f"SELECT {text}")["node"]["select_list"][0]
    return node


def _too_deep() -> InvalidRequest:
    return InvalidRequest(
        f"The SQL is nested more than {DEPTH_MAX} deep.", code=ErrorCode.TOO_LARGE
    )
