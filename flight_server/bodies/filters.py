"""Filters and orders as JSON, made into the SQL that reads, updates and deletes take.

Nothing of a client's text becomes SQL but names of columns, in quotes, and values, each written
anew as a literal of its column's type. What comes out is checked once more as any other predicate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from flight_server.bodies.literals import literal, pattern
from flight_server.errors import ErrorCode, InvalidRequest, did_you_mean
from flight_server.formats.text_values import shown
from flight_server.model import ROW_ID, quoted

NESTING_MAX = 50

Where = Mapping[str, Any] | str | None


def filter_sql(where: Where, schema: pa.Schema) -> str | None:
    """The predicate that a filter means over columns of the schema; text is taken as SQL.

    InvalidRequest says what in it is wrong.
    """
    if where is None or isinstance(where, str):
        return where
    return _Filter(schema).all_of(where, 0)


def order_sql(order: Sequence[Any] | str | None, schema: pa.Schema) -> str | None:
    """The order that `[{"column", "direction", "nulls"}]` means; text is taken as SQL."""
    if order is None or isinstance(order, str):
        return order or None
    columns = _Columns(schema)
    return ", ".join(_ordered(one, columns) for one in order) or None


class _Columns:
    """Names of columns, found without regard to their case."""

    def __init__(self, schema: pa.Schema) -> None:
        self._fields = {field.name.lower(): field for field in schema}
        self._fields.setdefault(ROW_ID, pa.field(ROW_ID, pa.int64()))
        self.names = schema.names

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._fields

    def find(self, name: Any) -> pa.Field:
        """The column. InvalidRequest (column_not_found)."""
        field = self._fields.get(name.lower()) if isinstance(name, str) else None
        if field is None:
            raise InvalidRequest(
                f"There is no column {shown(name)}.{did_you_mean(str(name), self.names)}",
                code=ErrorCode.COLUMN_NOT_FOUND,
                details={"column": name},
            )
        return field


class _Filter:
    """One filter being written."""

    def __init__(self, schema: pa.Schema) -> None:
        self._columns = _Columns(schema)

    def all_of(self, conditions: Any, depth: int) -> str:
        """What holds where every member of the object holds; an empty one holds everywhere."""
        if not isinstance(conditions, Mapping):
            raise InvalidRequest(
                f'A filter is an object such as {{"price": {{"gt": 10}}}}, not {shown(conditions)}.'
            )
        if depth > NESTING_MAX:
            raise InvalidRequest(f"Filters nest {NESTING_MAX} deep at most.")
        parts = [self._member(name, value, depth) for name, value in conditions.items()]
        return _joined(parts, "AND", "true")

    def _member(self, name: str, value: Any, depth: int) -> str:
        if name in ("and", "or") and isinstance(value, list):
            parts = [self.all_of(one, depth + 1) for one in value]
            return _joined(parts, name.upper(), "true" if name == "and" else "false")
        if name == "not" and isinstance(value, Mapping):
            return f"NOT ({self.all_of(value, depth + 1)})"
        if name in ("and", "or", "not") and name not in self._columns:
            needed = "an object" if name == "not" else "a list of objects"
            raise InvalidRequest(f"'{name}' in a filter takes {needed}, not {shown(value)}.")
        field = self._columns.find(name)
        if isinstance(value, Mapping):
            parts = [_compared(field, verb, operand) for verb, operand in value.items()]
            return _joined(parts, "AND", "true")
        return _compared(field, "in" if isinstance(value, list) else "eq", value)


def _joined(parts: Sequence[str], word: str, nothing: str) -> str:
    if not parts:
        return nothing
    return parts[0] if len(parts) == 1 else f" {word} ".join(f"({part})" for part in parts)


def _compared(field: pa.Field, verb: str, operand: Any) -> str:
    write = _VERBS.get(verb)
    if write is None:
        raise InvalidRequest(
            f"There is no comparison '{str(verb)[:40]}' (of the column '{field.name}'). Known are "
            f"{', '.join(_VERBS)}.{did_you_mean(str(verb), _VERBS)}"
        )
    return write(_Compared(field, operand), operand)


class _Compared:
    """A column as it is compared with something."""

    def __init__(self, field: pa.Field, operand: Any) -> None:
        self.field = field
        self.name = quoted(field.name)
        self.called = field.name
        if any("\0" in one for one in _texts(operand)):
            # DuckLake 1.5.5 puts what a column alone is compared with into a statement of its
            # own, which ends at a NUL.
            self.name = f"({self.name} || '')"

    def __str__(self) -> str:
        return self.name

    def literal(self, value: Any) -> str:
        """A value as a literal of the column's type."""
        return literal(value, self.field)


def _texts(operand: Any) -> list[str]:
    values = operand if isinstance(operand, list) else [operand]
    return [one for one in values if isinstance(one, str)]


def _equal(column: _Compared, operand: Any) -> str:
    if operand is None:
        return f"{column} IS NULL"
    return f"{column} = {column.literal(operand)}"


def _unequal(column: _Compared, operand: Any) -> str:
    if operand is None:
        return f"{column} IS NOT NULL"
    return f"{column} <> {column.literal(operand)}"


def _ordering(sign: str) -> Callable[[_Compared, Any], str]:
    def write(column: _Compared, operand: Any) -> str:
        if operand is None:
            raise InvalidRequest(
                f"The column '{column.called}' is compared with null, which is never true: ask for "
                '{"is_null": true}.'
            )
        return f"{column} {sign} {column.literal(operand)}"

    return write


def _one_of(column: _Compared, operand: Any) -> str:
    values = _listed(column, "in", operand)
    found = [column.literal(value) for value in values if value is not None]
    parts = [f"{column} IN ({', '.join(found)})"] if found else []
    parts += [f"{column} IS NULL"] if None in values else []
    return _joined(parts, "OR", "false")


def _none_of(column: _Compared, operand: Any) -> str:
    values = _listed(column, "not_in", operand)
    found = [column.literal(value) for value in values if value is not None]
    parts = [f"{column} NOT IN ({', '.join(found)})"] if found else []
    parts += [f"{column} IS NOT NULL"] if None in values else []
    return _joined(parts, "AND", "true")


def _between(column: _Compared, operand: Any) -> str:
    values = _listed(column, "between", operand)
    if len(values) != 2 or None in values:
        raise InvalidRequest(
            f"'between' of the column '{column.called}' takes the least and the largest value, not "
            f"{shown(operand)}."
        )
    low, high = (column.literal(value) for value in values)
    return f"{column} BETWEEN {low} AND {high}"


def _listed(column: _Compared, verb: str, operand: Any) -> list[Any]:
    if not isinstance(operand, list):
        raise InvalidRequest(
            f"'{verb}' of the column '{column.called}' takes a list, not {shown(operand)}."
        )
    return operand


def _is_null(column: _Compared, operand: Any) -> str:
    if not isinstance(operand, bool):
        raise InvalidRequest(
            f"'is_null' of the column '{column.called}' takes true or false, not {shown(operand)}."
        )
    return f"{column} IS {'' if operand else 'NOT '}NULL"


def _alike(word: str) -> Callable[[_Compared, Any], str]:
    return lambda column, operand: f"{column} {word} {pattern(operand, column.field)}"


def _called(function: str) -> Callable[[_Compared, Any], str]:
    return lambda column, operand: f"{function}({column}, {pattern(operand, column.field)})"


_VERBS: dict[str, Callable[[_Compared, Any], str]] = {
    "eq": _equal,
    "ne": _unequal,
    "gt": _ordering(">"),
    "gte": _ordering(">="),
    "lt": _ordering("<"),
    "lte": _ordering("<="),
    "in": _one_of,
    "not_in": _none_of,
    "between": _between,
    "is_null": _is_null,
    "like": _alike("LIKE"),
    "ilike": _alike("ILIKE"),
    "not_like": _alike("NOT LIKE"),
    "starts_with": _called("starts_with"),
    "ends_with": _called("ends_with"),
    "contains": _called("contains"),
}

_ORDER_FIELDS = ("column", "direction", "nulls")
_DIRECTIONS = {"asc": "ASC", "desc": "DESC"}
_NULLS = {"first": "FIRST", "last": "LAST"}


def _ordered(one: Any, columns: _Columns) -> str:
    if isinstance(one, str):
        one = {"column": one}
    if not isinstance(one, Mapping) or "column" not in one:
        raise InvalidRequest(
            f'An order is {{"column": "price", "direction": "desc"}}, not {shown(one)}.'
        )
    for name in one:
        if name not in _ORDER_FIELDS:
            near = did_you_mean(str(name), _ORDER_FIELDS)
            raise InvalidRequest(f"An order has no field '{str(name)[:40]}'.{near}")
    direction = _chosen(one, "direction", _DIRECTIONS, "asc")
    nulls = _chosen(one, "nulls", _NULLS, "last")
    return f"{quoted(columns.find(one['column']).name)} {direction} NULLS {nulls}"


def _chosen(one: Mapping[str, Any], name: str, known: Mapping[str, str], default: str) -> str:
    given = one.get(name, default)
    found = known.get(given.lower()) if isinstance(given, str) else None
    if found is None:
        raise InvalidRequest(f"'{name}' is {shown(given)}: it is {' or '.join(known)}.")
    return found
