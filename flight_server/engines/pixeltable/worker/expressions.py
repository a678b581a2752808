"""Expressions over a table's columns, compiled into Pixeltable's by its public means alone.

An expression is a tree of JSON, or text that stands for one (`expression_text`): what Python would
do with an operator or a call, Pixeltable's own objects do. Nothing of a client's is evaluated,
imported or unpickled, and no attribute is looked up by a name that a client gave.

    {"column": "price"}                                  {"value": 3}, or 3
    {"operator": "*", "operands": [tree, tree]}          {"path": ["a", 0], "of": tree}
    {"call": "image.resize", "arguments": [tree], "named": {"size": tree}}
    {"cast": tree, "to": "float"}                        {"list": [tree]}  {"object": {"a": tree}}
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import pixeltable as pxt
from pixeltable import type_system as types
from pixeltable.exprs import Expr

from flight_server.engines.pixeltable.worker import expression_text
from flight_server.engines.pixeltable.worker.functions import Functions, Known
from flight_server.errors import ErrorCode, InvalidRequest, did_you_mean

DEPTH_MAX, NODES_MAX = 60, 1_000
# What texts and images may be made to be.
LENGTH_MAX = 10_000

_MEMBERS: Mapping[str, frozenset[str]] = {
    "column": frozenset(),
    "value": frozenset(),
    "operator": frozenset({"operands"}),
    "path": frozenset({"of"}),
    "call": frozenset({"arguments", "named"}),
    "cast": frozenset({"to"}),
    "list": frozenset(),
    "object": frozenset(),
}
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
# Arguments that are options of programs, or name files of this machine.
_UNSAFE_ARGUMENTS = frozenset({"video_encoder_args", "font"})
# What is handed to FFmpeg within a larger text.
_PLAIN_TEXT = re.compile(r"[\w #@.-]*")


def compiled(
    given: str | Mapping[str, Any], table: pxt.Table, columns: Sequence[str], functions: Functions
) -> Expr:
    """The expression over these columns of a table. InvalidRequest (column_not_found, invalid_sql).

    `columns` are those that may be read.
    """
    tree = expression_text.parsed(given) if isinstance(given, str) else given
    try:
        # What is made of constants alone is computed at once.
        return _expression(_Compiler(table, columns, functions).expression(tree, 0)).maybe_literal()
    except ArithmeticError as error:
        _refuse(f"a constant of it cannot be computed: {error}")


class _Compiler:
    """One expression. What it makes of a tree is an expression, or the value of a constant."""

    def __init__(self, table: pxt.Table, columns: Sequence[str], functions: Functions) -> None:
        self._table = table
        self._columns = {name.lower(): name for name in columns}
        self._functions = functions
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
        arguments = [self.expression(one, depth) for one in _list(tree, "arguments")]
        named = {k: self.expression(one, depth) for k, one in _object(tree, "named").items()}
        if name not in self._functions:
            # `picture.resize([4, 4])`, or `resize(picture, [4, 4])`.
            *path, method = name.split(".")
            if path and path[0].lower() in self._columns:
                base: Expr = self._column(path[0])
                for step in path[1:]:
                    base = self._step(base, step, tree)
                arguments = [base, *arguments]
            if arguments and (not path or path[0].lower() in self._columns):
                kind = _expression(arguments[0]).col_type
                known = self._functions.of_type(kind, method)
                if known is not None:
                    return _called(known, arguments, named, tree)
        return _called(self._functions.named(name), arguments, named, tree)

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
        if (why := _harm(known, name, value, kind)) is not None:
            _refuse(f"in '{known.name}' the argument '{name[:50]}' {why}", tree)
    return known.function(*arguments, **named)


def _harm(known: Known, name: str, value: Any, kind: types.ColumnType | None) -> str | None:
    """Why an argument may not be what it is, None where it may."""
    if known.admitted or known.provider is not None:
        return None
    if name in _UNSAFE_ARGUMENTS:
        return "is left out: it reaches out of what is computed"
    is_length = name in ("width", "n", "size", "factor") or name.endswith("_size")
    if is_length and known.name.partition(".")[0] in ("string", "image"):
        sizes = value if isinstance(value, list) else [value]
        if any(not isinstance(one, int | float) or one > LENGTH_MAX for one in sizes):
            return f"is a number of at most {LENGTH_MAX}, and computed of nothing"
    if known.name.partition(".")[0] in ("video", "audio") or name == "video_encoder":
        if kind is not None and kind.is_string_type() and not _is_plain(value):
            return "is a text of letters, digits, and any of ' #@.-'"
        if kind is not None and kind.is_json_type() and not _is_of_media_or_numbers(value):
            return "is a list of numbers or of columns of media"
    return None


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) and _PLAIN_TEXT.fullmatch(value) is not None


def _is_of_media_or_numbers(value: Any) -> bool:
    """No text is taken for the name of a file."""
    return isinstance(value, list) and all(
        one.col_type.is_media_type() or one.col_type.is_numeric_type()
        if isinstance(one, Expr)
        else isinstance(one, int | float)
        for one in value
    )


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
