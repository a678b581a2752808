"""Values of JSON as literals of SQL, to be compared with a column of a known type.

What is written is a number, a word, or a text in quotes within a CAST, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.types as kinds

from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.formats.json_values import array_of, taken
from flight_server.formats.text_values import MisfitError, shown

DIGITS_MAX = 36


def literal(value: Any, field: pa.Field) -> str:
    """The value, which is not null, as SQL. InvalidRequest (invalid_data)."""
    kind = taken(field.type)
    write = next((write for is_one, write in _WRITERS if is_one(kind)), None)
    if write is None:
        _refuse(field, f"values of the type {field.type} are compared in SQL only")
    try:
        return write(value, kind)
    except MisfitError as error:
        _refuse(field, str(error))


def pattern(value: Any, field: pa.Field) -> str:
    """A text that a column of text is compared with in part."""
    if not _is_text(taken(field.type)):
        _refuse(field, f"{field.type} has no parts of text")
    if not isinstance(value, str):
        _refuse(field, f"{shown(value)} is not text")
    return text(value)


def text(value: str) -> str:
    """Text in quotes. NUL, which no SQL holds, is put together."""
    parts = [f"'{part.replace(chr(39), chr(39) * 2)}'" for part in value.split("\0")]
    return parts[0] if len(parts) == 1 else f"({' || chr(0) || '.join(parts)})"


def _refuse(field: pa.Field, reason: str) -> NoReturn:
    raise InvalidRequest(
        f"The column '{field.name}' cannot be compared so: {reason}.",
        code=ErrorCode.INVALID_DATA,
        details={"column": field.name},
    )


def _number(value: Any, kind: pa.DataType) -> str:
    """Any number: it need not be one that the column can hold to be larger than those it holds."""
    if isinstance(value, str):
        try:
            value = Decimal(value)
        except InvalidOperation:
            raise MisfitError(f"{shown(value)} is not a number") from None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise MisfitError(f"{shown(value)} is not a number")
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        return f"CAST('{_float_name(number)}' AS DOUBLE)"
    if abs(number.adjusted()) + len(number.as_tuple().digits) > DIGITS_MAX:
        # It is no decimal in SQL, nor a whole number.
        return f"CAST('{number:E}' AS DOUBLE)"
    return format(number, "f")


def _float(value: Any, kind: pa.DataType) -> str:
    [found] = array_of([value], pa.float64()).to_pylist()
    sql = "DOUBLE" if kinds.is_float64(kind) else "FLOAT"
    # Beyond a float's range it is larger than every one of them, as a double.
    if sql == "FLOAT" and abs(found) > 3.4e38:
        sql = "DOUBLE"
    return f"CAST('{_float_name(found)}' AS {sql})"


def _float_name(value: float | Decimal) -> str:
    return repr(float(value))


def _boolean(value: Any, kind: pa.DataType) -> str:
    if not isinstance(value, bool):
        raise MisfitError(f"{shown(value)} is not true or false")
    return "true" if value else "false"


def _text(value: Any, kind: pa.DataType) -> str:
    if not isinstance(value, str):
        raise MisfitError(f"{shown(value)} is not text")
    return text(value)


def _bytes(value: Any, kind: pa.DataType) -> str:
    array_of([value], pa.binary())
    return f"from_base64({text(value)})"


def _moment(value: Any, kind: pa.DataType) -> str:
    found = array_of([value], kind)
    written = found.cast(pa.timestamp(kind.unit)).cast(pa.string())[0].as_py()
    if kind.unit == "ns":
        return f"CAST('{written}' AS TIMESTAMP_NS)"
    zone = "+00" if kind.tz is not None else ""
    return f"CAST('{written}{zone}' AS TIMESTAMP{'TZ' if zone else ''})"


def _date(value: Any, kind: pa.DataType) -> str:
    found = array_of([value], pa.date32()).cast(pa.string())[0].as_py()
    return f"CAST('{found}' AS DATE)"


def _time(value: Any, kind: pa.DataType) -> str:
    found = array_of([value], kind)
    if kind.unit == "ns":
        # It is kept as a count.
        return str(found.cast(pa.int64())[0].as_py())
    return f"CAST('{found.cast(pa.string())[0].as_py()}' AS TIME)"


def _count(value: Any, kind: pa.DataType) -> str:
    return str(array_of([value], pa.int64())[0].as_py())


def _uuid(value: Any, kind: pa.DataType) -> str:
    return f"CAST('{array_of([value], kind)[0].as_py()}' AS UUID)"


def _is_text(kind: pa.DataType) -> bool:
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    plain = kinds.is_binary(kind) or kinds.is_large_binary(kind)
    return bool(plain or kinds.is_fixed_size_binary(kind))


_WRITERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any, pa.DataType], str]], ...] = (
    (lambda kind: isinstance(kind, pa.UuidType), _uuid),
    (lambda kind: isinstance(kind, pa.Bool8Type), lambda value, kind: str(int(value))),
    (kinds.is_integer, _number),
    (kinds.is_decimal, _number),
    (kinds.is_floating, _float),
    (kinds.is_boolean, _boolean),
    (_is_text, _text),
    (_is_bytes, _bytes),
    (kinds.is_timestamp, _moment),
    (kinds.is_date, _date),
    (kinds.is_time, _time),
    (kinds.is_duration, _count),
)
