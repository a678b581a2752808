"""Which values a column may hold, as a JSON Schema: what can be said of each Arrow type.

Only keywords that every engine enforces are taken; one that is not known is refused by name, since
a rule that is silently ignored lets through what it was to keep out. Nulls are none of a
constraint's business: whether a column may hold them is said by its field. Engines turn what has
been checked here into tests of whole columns.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.types as kinds

from flight_server.errors import ErrorCode, InvalidRequest, did_you_mean

TEXT_MAX = 10_000


class Kind(StrEnum):
    """What a column's values are in JSON, as far as constraints tell them apart."""

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    LIST = "list"
    MOMENT = "moment"
    STRUCT = "struct"
    OTHER = "other"


NUMBERS = frozenset({Kind.INTEGER, Kind.NUMBER})
SCALARS = NUMBERS | {Kind.TEXT, Kind.BOOLEAN}
# The formats of text, and those that only say again what a type is.
TEXT_FORMATS = ("date", "date-time", "email", "ipv4", "ipv6", "uri", "uuid")
_JSON_TYPES: dict[Kind, frozenset[str]] = {
    Kind.INTEGER: frozenset({"integer", "number"}),
    Kind.NUMBER: frozenset({"number"}),
    Kind.TEXT: frozenset({"string"}),
    Kind.BOOLEAN: frozenset({"boolean"}),
    Kind.LIST: frozenset({"array"}),
    Kind.MOMENT: frozenset({"string"}),
    Kind.STRUCT: frozenset({"object"}),
    Kind.OTHER: frozenset({"string", "number", "integer", "boolean", "array", "object"}),
}


@dataclass(frozen=True)
class Keyword:
    """One keyword: of which kinds of columns it can be said, and what it means."""

    kinds: frozenset[Kind]
    meaning: str
    check: Callable[[Any], bool]
    needs: str
    is_enforced: bool = True


def _is_number(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole or (isinstance(value, float) and math.isfinite(value))


def _is_count(value: Any) -> bool:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return whole and not isinstance(value, bool) and 0 <= value < 2**63


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= TEXT_MAX and "\0" not in value


def _anything(value: Any) -> bool:
    return True


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


_EVERY = frozenset(Kind)
KEYWORDS: dict[str, Keyword] = {
    "type": Keyword(
        _EVERY, "must fit the Arrow type; `null` beside it says nothing", _anything, ""
    ),
    "enum": Keyword(
        SCALARS, "one of these", lambda value: isinstance(value, list) and bool(value), "a list"
    ),
    "const": Keyword(SCALARS, "exactly this", _anything, ""),
    "minimum": Keyword(NUMBERS, "at least this", _is_number, "a number"),
    "maximum": Keyword(NUMBERS, "at most this", _is_number, "a number"),
    "exclusiveMinimum": Keyword(NUMBERS, "more than this", _is_number, "a number"),
    "exclusiveMaximum": Keyword(NUMBERS, "less than this", _is_number, "a number"),
    "multipleOf": Keyword(
        NUMBERS,
        "a whole multiple of this; floats are divided as floats",
        lambda value: _is_number(value) and value > 0,
        "a number above 0",
    ),
    "minLength": Keyword(
        frozenset({Kind.TEXT}), "so many characters at least", _is_count, "a count"
    ),
    "maxLength": Keyword(
        frozenset({Kind.TEXT}), "so many characters at most", _is_count, "a count"
    ),
    "pattern": Keyword(
        frozenset({Kind.TEXT}),
        "the regular expression matches somewhere; no lookaround, no backreferences",
        _is_text,
        "a regular expression",
    ),
    "format": Keyword(
        frozenset({Kind.TEXT, Kind.MOMENT}),
        f"one of {', '.join(f'`{name}`' for name in TEXT_FORMATS)}",
        _is_text,
        "a format's name",
    ),
    "minItems": Keyword(frozenset({Kind.LIST}), "so many items at least", _is_count, "a count"),
    "maxItems": Keyword(frozenset({Kind.LIST}), "so many items at most", _is_count, "a count"),
    "uniqueItems": Keyword(
        frozenset({Kind.LIST}),
        "no item twice",
        _is_flag,
        "true or false",
    ),
    "items": Keyword(
        frozenset({Kind.LIST}),
        "what each item that is not null meets",
        lambda value: isinstance(value, Mapping),
        "an object",
    ),
    "title": Keyword(_EVERY, "for readers", _is_text, "text", is_enforced=False),
    "description": Keyword(_EVERY, "for readers", _is_text, "text", is_enforced=False),
    "examples": Keyword(
        _EVERY, "for readers", lambda value: isinstance(value, list), "a list", is_enforced=False
    ),
    "$comment": Keyword(_EVERY, "for readers", _is_text, "text", is_enforced=False),
}


def kind_of(data_type: pa.DataType) -> Kind:
    """What the values of a type are, whatever encoding or extension they are wrapped in."""
    plain = plain_type(data_type)
    found = (kind for kind, tests in _TESTS.items() if any(test(plain) for test in tests))
    return next(found, Kind.OTHER)


def plain_type(data_type: pa.DataType) -> pa.DataType:
    """The type of the values themselves; that of an extension is the extension."""
    while kinds.is_dictionary(data_type) or kinds.is_run_end_encoded(data_type):
        data_type = data_type.value_type
    return data_type


def check_constraint(field: pa.Field, constraint: Mapping[str, Any]) -> dict[str, Any]:
    """The constraint itself. InvalidRequest where it cannot be one of the column."""
    try:
        text = json.dumps(dict(constraint), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequest(f"The constraint of the column '{field.name}' is not JSON.") from None
    if len(text) > TEXT_MAX * 10:
        raise InvalidRequest(
            f"The constraint of the column '{field.name}' has {len(text)} characters; "
            f"{TEXT_MAX * 10} are allowed.",
            code=ErrorCode.TOO_LARGE,
        )
    _check(field.type, field.nullable, constraint, f"the column '{field.name}'")
    checked: dict[str, Any] = json.loads(text)
    return checked


def _check(
    data_type: pa.DataType, nullable: bool, constraint: Mapping[str, Any], where: str
) -> None:
    kind = kind_of(data_type)
    for name, value in constraint.items():
        keyword = KEYWORDS.get(name)
        if keyword is None:
            _refuse(
                f"JSON Schema's '{name}' is not supported for {where}."
                f"{did_you_mean(str(name), KEYWORDS)} Write a check in SQL for what none of "
                f"{', '.join(KEYWORDS)} says."
            )
        if kind not in keyword.kinds:
            _refuse(f"'{name}' cannot be said of {where}, which is {data_type}.")
        if not keyword.check(value):
            _refuse(f"'{name}' of {where} needs {keyword.needs}, not {_shown(value)}.")
    _check_type(data_type, kind, nullable, constraint.get("type"), where)
    for value in (*constraint.get("enum", ()), *_const(constraint)):
        _check_value(kind, value, data_type, where)
    _check_format(data_type, kind, constraint.get("format"), where)
    if "items" in constraint:
        item = plain_type(data_type).value_field
        _check(item.type, item.nullable, constraint["items"], f"the items of {where}")


def _check_type(data_type: pa.DataType, kind: Kind, nullable: bool, given: Any, where: str) -> None:
    if given is None:
        return
    names = given if isinstance(given, list) else [given]
    fitting = _JSON_TYPES[kind] | ({"null"} if nullable else frozenset())
    for name in names:
        if not isinstance(name, str) or name not in fitting:
            _refuse(
                f"The type {_shown(name)} does not fit {where}, which is {data_type}: "
                f"write {' or '.join(sorted(fitting))}, or leave it out."
            )
    if not set(names) - {"null"}:
        _refuse(f"The type {_shown(given)} leaves {where} nothing but nulls.")


def _check_value(kind: Kind, value: Any, data_type: pa.DataType, where: str) -> None:
    fits: Callable[[Any], bool] = {
        Kind.INTEGER: _is_number,
        Kind.NUMBER: _is_number,
        Kind.TEXT: _is_text,
        Kind.BOOLEAN: _is_flag,
    }[kind]
    if value is not None and not fits(value):
        _refuse(f"{where[0].upper()}{where[1:]} is {data_type}: it never holds {_shown(value)}.")


def _check_format(data_type: pa.DataType, kind: Kind, given: Any, where: str) -> None:
    if given is None:
        return
    if kind is Kind.TEXT:
        if given not in TEXT_FORMATS:
            _refuse(
                f"The format '{given}' of {where} is not supported: there are "
                f"{', '.join(TEXT_FORMATS)}.{did_you_mean(given, TEXT_FORMATS)}"
            )
        return
    own = format_of(data_type)
    if given != own:
        says = f"it is '{own}'" if own else "JSON has no format for it"
        _refuse(f"The format '{given}' does not fit {where}, which is {data_type}: {says}.")


def format_of(data_type: pa.DataType) -> str | None:
    """The format that the text of a moment or a UUID has in JSON; None for other types."""
    plain = plain_type(data_type)
    return next((name for name, test in _FORMAT_OF.items() if test(plain)), None)


def exact(value: int | float) -> Decimal:
    """The number that JSON's text says, not the nearest float."""
    return Decimal(repr(value))


def _const(constraint: Mapping[str, Any]) -> list[Any]:
    return [constraint["const"]] if "const" in constraint else []


def _refuse(message: str) -> NoReturn:
    raise InvalidRequest(message)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:80]


def _is_zoned(data_type: pa.DataType) -> bool:
    return bool(kinds.is_timestamp(data_type)) and data_type.tz is not None


def is_uuid(data_type: pa.DataType) -> bool:
    """Whether the type is the canonical extension `arrow.uuid`."""
    return isinstance(data_type, pa.UuidType)


_FORMAT_OF = {
    "date": kinds.is_date,
    "date-time": _is_zoned,
    "uuid": is_uuid,
}

_TESTS: dict[Kind, tuple[Callable[[pa.DataType], bool], ...]] = {
    Kind.INTEGER: (kinds.is_integer,),
    Kind.NUMBER: (kinds.is_floating, kinds.is_decimal),
    Kind.TEXT: (kinds.is_string, kinds.is_large_string, kinds.is_string_view),
    Kind.BOOLEAN: (kinds.is_boolean,),
    Kind.LIST: (
        kinds.is_list,
        kinds.is_large_list,
        kinds.is_fixed_size_list,
        kinds.is_list_view,
        kinds.is_large_list_view,
    ),
    Kind.MOMENT: (kinds.is_date, kinds.is_time, kinds.is_timestamp, is_uuid),
    Kind.STRUCT: (kinds.is_struct, kinds.is_map),
}
