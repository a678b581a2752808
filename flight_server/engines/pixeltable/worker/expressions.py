"""Expressions over a table's columns, compiled into Pixeltable's by its public means alone.

An expression is a tree of JSON, or text that stands for one (`expression_text`): what Python would
do with an operator or a call, Pixeltable's own objects do. Nothing of a client's is evaluated,
imported or unpickled, and no attribute is looked up by a name that a client gave.

    {"column": "price"}                                  {"value": 3}, or 3
    {"operator": "*", "operands": [tree, tree]}          {"path": ["a", 0], "of": tree}
    {"call": "image.resize", "arguments": [tree], "named": {"size": tree}}
    {"cast": tree, "to": "float"}                        {"list": [tree]}  {"object": {"a": tree}}
    {"lambda": "x", "body": tree}, which `map`, `filter` and `sort` take
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import pixeltable as pxt
import pixeltable.exceptions as theirs
from pixeltable import functions
from pixeltable import type_system as types
from pixeltable.exprs import Expr

from flight_server.engines.pixeltable.worker import expression_text
from flight_server.engines.pixeltable.worker.functions import Functions, Known
from flight_server.engines.pixeltable.worker.harmful import LENGTH_MAX, harm
from flight_server.errors import ErrorCode, InvalidRequest, did_you_mean

DEPTH_MAX, NODES_MAX = 60, 1_000

_MEMBERS: Mapping[str, frozenset[str]] = {
    "column": frozenset(),
    "value": frozenset(),
    "operator": frozenset({"operands"}),
    "path": frozenset({"of"}),
    "call": frozenset({"arguments", "named"}),
    "cast": frozenset({"to"}),
    "list": frozenset(),
    "object": frozenset(),
    "lambda": frozenset({"body"}),
}
_OVER_LISTS = frozenset({"map", "filter", "sort"})
_BINARY: Mapping[str, Callable[[Any, Any], Any]] = {
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC = frozenset({"+", "-", "*", "/", "//", "%", "**", "^"})
_SCALARS: Mapping[str, type[types.ColumnType]] = {
    "int": types.IntType,
    "float": types.FloatType,
    "string": types.StringType,
    "bool": types.BoolType,
    "timestamp": types.TimestampType,
    "date": types.DateType,
    "uuid": types.UUIDType,
}
# Where Pixeltable reads a text as a value of another type.
_READ_FROM_TEXT = (types.TimestampType, types.DateType, types.UUIDType)
_COLUMN_PROPERTIES = frozenset({"errortype", "errormsg", "fileurl"})


def compiled(
    given: str | Mapping[str, Any], table: pxt.Table, columns: Sequence[str], known: Functions
) -> Expr:
    """The expression over these columns of a table. InvalidRequest (column_not_found, invalid_sql).

    `columns` are those that may be read.
    """
    tree = expression_text.parsed(given) if isinstance(given, str) else given
    try:
        # What is made of constants alone is computed at once.
        return _expression(_Compiler(table, columns, known).expression(tree, 0)).maybe_literal()
    except ArithmeticError as error:
        _refuse(f"a constant of it cannot be computed: {error}")


class _Compiler:
    """One expression. What it makes of a tree is an expression, or the value of a constant."""

    def __init__(self, table: pxt.Table, columns: Sequence[str], known: Functions) -> None:
        self._table = table
        self._columns = {name.lower(): name for name in columns}
        # The element of a list, by its name, within the lambda that is over it.
        self._element: dict[str, Expr] = {}
        self._functions = known
        self._nodes = 0
        self._kinds: Mapping[str, Callable[[Mapping[str, Any], int], Any]] = {
            "column": lambda tree, depth: self._column(tree["column"]),
            "value": lambda tree, depth: _value(tree["value"]),
            "operator": self._operator,
            "path": self._path,
            "call": self._call,
            "cast": self._cast,
            "list": lambda tree, depth: [
                self.expression(one, depth) for one in _list(tree, "list")
            ],
            "object": lambda tree, depth: {
                key: self.expression(one, depth) for key, one in _object(tree, "object").items()
            },
            "lambda": lambda tree, depth: _refuse("a lambda stands in map, filter or sort", tree),
        }

    def expression(self, tree: Any, depth: int) -> Any:
        self._nodes += 1
        if depth > DEPTH_MAX or self._nodes > NODES_MAX:
            _refuse(f"it has more than {NODES_MAX} parts, or is nested deeper than {DEPTH_MAX}")
        if not isinstance(tree, Mapping):
            return _value(tree)
        kinds = [kind for kind in self._kinds if kind in tree]
        if len(kinds) != 1 or set(tree) - {kinds[0], "at"} - _MEMBERS[kinds[0]]:
            known = ", ".join(f"'{kind}'" for kind in self._kinds)
            _refuse(f"an object of it has one of {known}, and nothing that does not belong to it")
        try:
            return self._kinds[kinds[0]](tree, depth + 1)
        except (TypeError, AttributeError, ZeroDivisionError, OverflowError) as error:
            # Pixeltable says so of types that do not fit an operator.
            _refuse(str(error).splitlines()[0][:200] if str(error) else type(error).__name__, tree)

    def _column(self, name: Any) -> Expr:
        if isinstance(name, str) and name.lower() in self._element:
            return self._element[name.lower()]
        known = self._columns.get(name.lower()) if isinstance(name, str) else None
        if known is None:
            text = str(name)[:100]
            raise InvalidRequest(
                f"There is no column '{text}'.{did_you_mean(text.lower(), self._columns)}",
                code=ErrorCode.COLUMN_NOT_FOUND,
            )
        return self._table[known]

    def _operator(self, tree: Mapping[str, Any], depth: int) -> Any:
        name = str(tree["operator"]).lower()
        operands = [self.expression(one, depth) for one in _list(tree, "operands")]
        counts = {"and": range(2, 999), "or": range(2, 999), "not": (1,), "between": (3,)}
        counts |= {"is null": (1,), "is not null": (1,), "in": range(2, 999)}
        counts |= {"not in": range(2, 999), "-": (1, 2), "+": (1, 2)}
        if len(operands) not in counts.get(name, (2,)):
            _refuse(f"the operator '{name[:20]}' does not take {len(operands)} operands", tree)
        match name:
            case "and" | "or":
                joint = operator.and_ if name == "and" else operator.or_
                made = _boolean(operands[0], tree)
                for one in operands[1:]:
                    made = joint(made, _boolean(one, tree))
                return made
            case "not":
                return ~_boolean(operands[0], tree)
            case "is null" | "is not null":
                tested = _expression(operands[0])
                return tested == None if name == "is null" else tested != None  # noqa: E711
            case "between":
                tested = _expression(operands[0])
                return (tested >= operands[1]) & (tested <= operands[2])
            case "in" | "not in":
                if any(isinstance(one, Expr) for one in operands[1:]):
                    _refuse("what follows IN are constants", tree)
                found = _expression(operands[0]).isin(operands[1:])
                return found if name == "in" else ~found
            case "||":
                left, right = map(_expression, operands)
                if not (left.col_type.is_string_type() and right.col_type.is_string_type()):
                    _refuse("'||' joins texts", tree)
                return left + right
        if name in _ARITHMETIC:
            return self._arithmetic(name, operands, tree)
        if name not in _BINARY:
            _refuse(f"the operator '{name[:20]}' has no meaning here", tree)
        return _BINARY[name](_expression(operands[0]), operands[1])

    def _arithmetic(self, name: str, operands: Sequence[Any], tree: Mapping[str, Any]) -> Any:
        for one in operands:
            kind = _expression(one).col_type
            if not (kind.is_numeric_type() or kind.is_json_type()):
                _refuse(f"'{name}' computes with numbers, and one of these is {_named(kind)}", tree)
        if len(operands) == 1:
            return operands[0] if name == "+" else _expression(0) - _expression(operands[0])
        if name in ("**", "^"):
            # As in SQL it is a float, which does not grow without end.
            return self._functions.named("math.pow").function(*operands)
        compute = operator.add if name == "+" else _BINARY[name]
        return compute(_expression(operands[0]), operands[1])

    def _path(self, tree: Mapping[str, Any], depth: int) -> Any:
        found = _expression(self.expression(tree.get("of"), depth))
        for step in _list(tree, "path"):
            found = self._step(found, step, tree)
        return found

    def _step(self, of: Expr, step: Any, tree: Mapping[str, Any]) -> Expr:
        is_index = isinstance(step, int) and not isinstance(step, bool)
        if not is_index and not isinstance(step, str):
            _refuse("a step of a path is a name or a number", tree)
        if of.col_type.is_json_type() or (is_index and of.col_type.is_array_type()):
            return of[step]
        if is_index:
            _refuse(f"{_named(of.col_type)} has no elements", tree)
        if step.lower() in _COLUMN_PROPERTIES and of.is_column_ref:
            return getattr(of, step.lower())
        known = self._functions.of_type(of.col_type, step)
        if known is None or not known.function.is_property:
            _refuse(f"{_named(of.col_type)} has no property '{step[:50]}'", tree)
        return known.function(of)

    def _call(self, tree: Mapping[str, Any], depth: int) -> Expr:
        name = tree["call"]
        if not isinstance(name, str):
            _refuse("'call' names a function", tree)
        if name.rpartition(".")[2].lower() in _OVER_LISTS:
            return self._over_list(name, tree, depth)
        arguments = [self.expression(one, depth) for one in _list(tree, "arguments")]
        named = {k: self.expression(one, depth) for k, one in _object(tree, "named").items()}
        if name not in self._functions:
            if name.rpartition(".")[2].lower() == "embedding":
                return self._embedding(name, arguments, named, tree)
            # `picture.resize([4, 4])`, or `resize(picture, [4, 4])`.
            *path, method = name.split(".")
            if path and self._names(path[0]):
                arguments = [self._of_path(path, tree), *arguments]
            if arguments and (not path or self._names(path[0])):
                kind = _expression(arguments[0]).col_type
                known = self._functions.of_type(kind, method)
                if known is not None:
                    return _called(known, arguments, named, tree)
        return _called(self._functions.named(name), arguments, named, tree)

    def _names(self, name: str) -> bool:
        return name.lower() in self._columns or name.lower() in self._element

    def _of_path(self, path: Sequence[str], tree: Mapping[str, Any]) -> Expr:
        found = self._column(path[0])
        for step in path[1:]:
            found = self._step(found, step, tree)
        return found

    def _embedding(
        self, name: str, arguments: list[Any], named: Mapping[str, Any], tree: Mapping[str, Any]
    ) -> Expr:
        """The vectors that an index keeps of a column, which cannot be dropped from then on."""
        path = name.split(".")[:-1]
        of, *rest = ([self._of_path(path, tree)] if path else []) + arguments or [None]
        given = [*rest, *(one for key, one in named.items() if key == "index")]
        is_column = isinstance(of, Expr) and of.is_column_ref
        if not is_column or len(given) > 1 or len(rest) + len(named) > len(given):
            _refuse("'embedding' takes a column, and the name of its index if it has several", tree)
        if given and not isinstance(given[0], str):
            _refuse("'embedding' takes the name of an index as a constant", tree)
        return of.embedding(idx=given[0] if given else None)

    def _over_list(self, name: str, tree: Mapping[str, Any], depth: int) -> Expr:
        """`map`, `filter` and `sort`: a lambda is compiled with the element in its place."""
        *path, method = name.split(".")
        given = list(_list(tree, "arguments"))
        named = dict(_object(tree, "named"))
        if self._element:
            _refuse(f"'{method}' stands in no other lambda", tree)
        if path:
            of = self._of_path(path, tree)
        elif given:
            of = _expression(self.expression(given.pop(0), depth))
        else:
            _refuse(f"'{method}' takes a list", tree)
        if not of.col_type.is_json_type():
            _refuse(f"'{method}' goes through lists in JSON, and not {_named(of.col_type)}", tree)
        over = given.pop(0) if given else None
        descending = named.pop("descending", False) if method.lower() == "sort" else False
        descending = descending.get("value") if isinstance(descending, Mapping) else descending
        is_lambda = isinstance(over, Mapping) and isinstance(over.get("lambda"), str)
        is_whole = is_lambda or (over is None and method.lower() == "sort")
        if given or named or not is_whole or not isinstance(descending, bool):
            _refuse(f"'{method}' takes a list and a lambda, as in {method}(a, x -> x.b)", tree)

        def body(element: Expr) -> Any:
            assert over is not None, "it is called with a lambda alone"
            self._element[over["lambda"].lower()] = element
            try:
                return self.expression(over.get("body"), depth)
            finally:
                self._element.clear()

        return _traversed(method.lower(), of, body if is_lambda else None, descending, tree)

    def _cast(self, tree: Mapping[str, Any], depth: int) -> Expr:
        of, to = _expression(self.expression(tree["cast"], depth)), str(tree.get("to")).lower()
        kind = _SCALARS.get(to)
        if kind is None:
            _refuse(f"casts are to {', '.join(_SCALARS)}, and not to '{to[:20]}'", tree)
        if type(of.col_type) is kind:
            return of
        if of.col_type.is_float_type() and kind is types.IntType:
            # As in SQL it is rounded, also where Python and not PostgreSQL computes it.
            rounded = self._functions.named("math.round").function(of)
            return self._functions.named("math.to_int").function(rounded)
        fits = of.col_type.is_json_type() or (of.col_type.is_int_type() and to == "float")
        fits |= of.col_type.is_string_type() and kind in _READ_FROM_TEXT
        if not fits:
            _refuse(f"{_named(of.col_type)} cannot be cast to {to}", tree)
        return of.astype(kind(nullable=True))


def _traversed(
    method: str,
    of: Expr,
    body: Callable[[Expr], Any] | None,
    descending: bool,
    tree: Mapping[str, Any],
) -> Expr:
    try:
        if method == "sort":
            return functions.sort(of, body, asc=not descending)
        return (functions.map if method == "map" else functions.filter)(of, body)
    except theirs.RequestError as error:
        # What is wrong with the lambda is what this was raised from.
        if isinstance(error.__cause__, InvalidRequest):
            raise error.__cause__ from None
        _refuse(f"'{method}' cannot go through it with this lambda", tree)


def _called(
    known: Known, arguments: Sequence[Any], named: Mapping[str, Any], tree: Mapping[str, Any]
) -> Expr:
    """The call, once what is given to it is harmless."""
    if known.kind == "aggregate":
        _refuse(f"'{known.name}' is of many rows, and a computed column of one", tree)
    parameters = list(known.function.signatures[0].parameters.values())
    given = [*zip([one.name for one in parameters], arguments, strict=False), *named.items()]
    by_name = {one.name: one for one in parameters}
    for name, value in given:
        kind = by_name[name].col_type if name in by_name else None
        if (why := harm(known, name, value, kind)) is not None:
            _refuse(f"in '{known.name}' the argument '{name[:50]}' {why}", tree)
    return known.function(*arguments, **named)


def _boolean(value: Any, tree: Mapping[str, Any]) -> Expr:
    made = _expression(value)
    if not made.col_type.is_bool_type():
        _refuse(
            f"AND, OR and NOT join conditions, and one of these is {_named(made.col_type)}", tree
        )
    return made


def _expression(value: Any) -> Expr:
    return value if isinstance(value, Expr) else _literal(value)


def _literal(value: Any) -> Expr:
    made = Expr.from_object(value)
    if made is None:
        _refuse("a constant of it is of no type that Pixeltable has")
    return made


def _value(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, str) and len(value) <= LENGTH_MAX and "\0" not in value:
        return value
    return _refuse("a constant is true, false, null, a number, or a text that is not too long")


def _list(tree: Mapping[str, Any], member: str) -> Sequence[Any]:
    found = tree.get(member, [])
    if not isinstance(found, list):
        _refuse(f"'{member}' is a list", tree)
    return found


def _object(tree: Mapping[str, Any], member: str) -> Mapping[str, Any]:
    found = tree.get(member, {})
    if not isinstance(found, Mapping):
        _refuse(f"'{member}' is an object", tree)
    return found


def _named(kind: types.ColumnType) -> str:
    return repr(kind).removesuffix(" | None")


def _refuse(why: str, tree: Mapping[str, Any] | None = None) -> NoReturn:
    at = tree.get("at") if tree else None
    where = f" at character {at}" if isinstance(at, int) else ""
    raise InvalidRequest(f"The expression is wrong{where}: {why}.", code=ErrorCode.INVALID_SQL)
