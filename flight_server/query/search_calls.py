"""`search(…)` in FROM: rows of a table that are near to something, as a statement asks for them.

`search('films.reviews', 'text', 'a sad ending', 10)` names the table, the column, what is sought
and how many rows are wanted; `text :=`, `vector :=`, `image :=` and the other kinds say what it is,
`filter :=` and `index :=` the rest. All but the table may be parameters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa

from flight_server.errors import ErrorCode, InvalidRequest, did_you_mean
from flight_server.model import Sought, split_name
from flight_server.query.dialect import Tree

NAME = "search"

_PLACES = ("table", "column", "sought", "limit")
_NAMES = frozenset({*_PLACES, "filter", "index", *Sought})
_TEXTS = frozenset({"table", "column", "filter", "index", Sought.TEXT})
_LISTS = frozenset({"list_value", "array_value"})
_WRITE = (
    f"Write {NAME}('films.reviews', 'text', 'a sad ending', 10), with 'text :=', 'vector :=', "
    "'image :=' and so on for what is sought, 'filter :=' and 'index :=' where they are wanted."
)

Constant: TypeAlias = str | int | float | tuple[float, ...] | None


@dataclass(frozen=True)
class Parameter:
    """A parameter of the statement, by its name."""

    name: str


@dataclass(frozen=True)
class SearchCall:
    """A call: its arguments by their names, constants or parameters. The table is none of them."""

    arguments: tuple[tuple[str, Constant | Parameter], ...]

    @property
    def parameters(self) -> dict[str, str]:
        """The statement's parameters in the call, with the names of what they are given for."""
        named = self.arguments
        return {given.name: name for name, given in named if isinstance(given, Parameter)}

    def values(self, value_of: Callable[[str], Any]) -> dict[str, Any]:
        """The arguments, with the values of the parameters. Those that are null are left out."""
        found = {
            name: value_of(given.name) if isinstance(given, Parameter) else given
            for name, given in self.arguments
        }
        return {name: value for name, value in found.items() if value is not None}

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """What the parameters may be bound as; those that may be of several types are left out."""
        known = {name: pa.string() for name in _TEXTS} | {
            "limit": pa.int64(),
            Sought.VECTOR: pa.list_(pa.float32()),
            **dict.fromkeys(set(Sought) - {Sought.TEXT, Sought.VECTOR}, pa.binary()),
        }
        return {at: known[name] for at, name in self.parameters.items() if name in known}


def search_call(node: Tree) -> tuple[tuple[str, str, str], SearchCall]:
    """The table's catalog, namespace and name, as far as they are given, and the call.

    InvalidRequest (invalid_sql, invalid_name).
    """
    given: dict[str, Constant | Parameter] = {}
    for place, argument in enumerate(node["children"]):
        name = str(argument["alias"]).lower() or "".join(_PLACES[place : place + 1])
        if name not in _NAMES:
            more = (
                f"an argument '{argument['alias']}'" if argument["alias"] else "so many arguments"
            )
            raise _wrong(f"has no place for {more}.{did_you_mean(name, _NAMES)}")
        if name in given:
            raise _wrong(f"is given '{name}' twice.")
        given[name] = _given(argument, name)
    table = given.pop("table", None)
    if not isinstance(table, str):
        raise _wrong("takes the table's name as a constant, for the answer's columns are its own.")
    return _parts(table), SearchCall(tuple(given.items()))


def _parts(table: str) -> tuple[str, str, str]:
    """As SQL writes them, a.b.c, or as HTTP and Flight do, a:b.c."""
    parts, separators = split_name(table)
    if re.fullmatch(r"\.{0,2}", separators):
        catalog, namespace, name = ["", "", *parts][-3:]
        return catalog, namespace, name
    if separators not in (":", ":."):
        raise InvalidRequest(
            f"'{table}' is not a table's name: write catalog.namespace.name, with parts that hold "
            "'.', ':' or '\"' in double quotes.",
            code=ErrorCode.INVALID_NAME,
        )
    return parts[0], "" if separators == ":" else parts[1], parts[-1]


def _given(node: Tree, name: str) -> Constant | Parameter:
    if node["class"] == "PARAMETER":
        return Parameter(node["identifier"])
    return _constant(node, name)


def _constant(node: Tree, name: str) -> Constant:
    kind = node["class"]
    if kind == "CONSTANT":
        return _literal(node["value"], name)
    if kind == "CAST" and node["child"]["class"] != "PARAMETER":
        return _constant(node["child"], name)
    is_list = kind == "FUNCTION" and node["function_name"] in _LISTS
    if is_list or node["type"] == "ARRAY_CONSTRUCTOR":
        numbers = [_constant(child, name) for child in node["children"]]
        if all(isinstance(one, int | float) for one in numbers):
            return tuple(float(one) for one in numbers)  # type: ignore[arg-type]
    raise _wrong(
        f"takes constants, lists of numbers and parameters, and its '{name}' is none of these. To "
        "search by what another query gives, send its value as a parameter."
    )


def _literal(value: Tree, name: str) -> Constant:
    literal, kind = value.get("value"), value["type"]["id"]
    if isinstance(literal, dict):
        literal = literal["upper"] * 2**64 + literal["lower"]
    if kind == "DECIMAL" and literal is not None:
        return float(literal) / float(10 ** value["type"]["type_info"]["scale"])
    if literal is None or (isinstance(literal, str | int | float) and kind != "BOOLEAN"):
        return literal
    raise _wrong(f"takes no {kind} as '{name}'.")


def _wrong(what: str) -> InvalidRequest:
    return InvalidRequest(f"{NAME}() {what} {_WRITE}", code=ErrorCode.INVALID_SQL)
