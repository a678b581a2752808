"""Values of JSON on their way into columns: what each Arrow type takes, and what is wrong if not.

The reverse of `json_texts`: what that writes, this reads. Beyond it numbers are taken as text,
a map as an object, a moment in any zone. Nothing is rounded, cut or guessed.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from flight_server.errors import did_you_mean
from flight_server.formats.text_values import (
    MisfitError,
    bytes_of,
    dates,
    misfit,
    moments,
    times,
)


def array_of(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Values of JSON, null as None, as an array of a type without encodings. MisfitError.

    Numbers with a point are Decimals, as `json.loads(…, parse_float=Decimal)` gives them.
    """
    if isinstance(kind, pa.BaseExtensionType):
        return _extension(values, kind)
    if kinds.is_struct(kind):
        return _structs(values, kind)
    if kinds.is_map(kind):
        return _maps(values, kind)
    if kinds.is_list(kind) or kinds.is_large_list(kind):
        return _lists(values, kind)
    for is_one, read in _LEAVES:
        if is_one(kind):
            return read(values, kind)
    raise MisfitError(f"values of the type {kind} cannot be sent as JSON: send Arrow")


def taken(kind: pa.DataType) -> pa.DataType:
    """The type in which values of this one come in: itself without its encodings."""
    if isinstance(kind, pa.BaseExtensionType):
        known = isinstance(kind, pa.UuidType | pa.JsonType | pa.Bool8Type)
        return kind if known else taken(kind.storage_type)
    if kinds.is_dictionary(kind) or kinds.is_run_end_encoded(kind):
        return taken(kind.value_type)
    if kinds.is_struct(kind):
        fields = [kind.field(at) for at in range(kind.num_fields)]
        return pa.struct([field.with_type(taken(field.type)) for field in fields])
    if kinds.is_map(kind):
        return pa.map_(taken(kind.key_type), kind.item_field.with_type(taken(kind.item_type)))
    if kinds.is_nested(kind) and not kinds.is_union(kind):
        item = kind.value_field.with_type(taken(kind.value_type))
        large = kinds.is_large_list(kind) or kinds.is_large_list_view(kind)
        return pa.large_list(item) if large else pa.list_(item)
    return _SAME.get(kind, kind)


_SAME = {
    pa.string_view(): pa.string(),
    pa.binary_view(): pa.binary(),
}


def _extension(values: Sequence[Any], kind: pa.BaseExtensionType) -> pa.Array:
    if isinstance(kind, pa.UuidType):
        found = [None if one is None else _uuid(one) for one in values]
        storage = pa.array(found, kind.storage_type)
    elif isinstance(kind, pa.Bool8Type):
        storage = _booleans(values, pa.bool_()).cast(pa.int8())
    else:
        assert isinstance(kind, pa.JsonType), "what `taken` leaves as it is"
        written = [None if one is None else _json(one) for one in values]
        storage = pa.array(written, kind.storage_type)
    return pa.ExtensionArray.from_storage(kind, storage)


def _uuid(value: Any) -> bytes:
    try:
        return uuid.UUID(_text(value)).bytes
    except ValueError:
        raise misfit(value, "a UUID") from None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_number_or_error)


def _number_or_error(value: Any) -> float:
    # Decimals come from the request's own text; no other value is none of JSON's.
    assert isinstance(value, Decimal), "values come from JSON"
    return float(value)


def _structs(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    names = [kind.field(at).name for at in range(kind.num_fields)]
    for value in values:
        if value is None:
            continue
        if not isinstance(value, Mapping):
            raise misfit(value, "an object")
        for name in value:
            if name not in names:
                raise MisfitError(f"it has no field '{name[:80]}'.{did_you_mean(name, names)}")
    rows: list[Mapping[str, Any]] = [{} if value is None else value for value in values]
    children = []
    for at, name in enumerate(names):
        field = kind.field(at)
        items = [row.get(name) for row in rows]
        if not field.nullable:
            _refuse_nulls(items, values, name)
        children.append(_below(items, field.type, name))
    mask = pa.array([value is None for value in values], pa.bool_())
    if not children:
        return pa.array(values, kind)
    fields = [kind.field(at) for at in range(kind.num_fields)]
    return pa.StructArray.from_arrays(children, fields=fields, mask=mask)


def _refuse_nulls(items: Sequence[Any], values: Sequence[Any], name: str) -> None:
    for item, value in zip(items, values, strict=True):
        if item is None and value is not None:
            raise MisfitError(f"'{name}' must not be null")


def _below(items: Sequence[Any], kind: pa.DataType, name: str) -> pa.Array:
    try:
        return array_of(items, kind)
    except MisfitError as error:
        raise MisfitError(f"in '{name}', {error}") from None


def _lists(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    offsets, items = [0], []
    for value in values:
        if value is not None:
            if not isinstance(value, list):
                raise misfit(value, "a list")
            items += value
        offsets.append(len(items))
    if not kind.value_field.nullable and None in items:
        raise MisfitError("an item of the list must not be null")
    found = array_of(items, kind.value_type)
    make = pa.LargeListArray if kinds.is_large_list(kind) else pa.ListArray
    width = pa.int64() if kinds.is_large_list(kind) else pa.int32()
    mask = pa.array([value is None for value in values], pa.bool_())
    return make.from_arrays(pa.array(offsets, width), found, type=kind, mask=mask)


def _maps(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    entry = pa.struct(
        [pa.field("key", kind.key_type, nullable=False), kind.item_field.with_name("value")]
    )
    lists = [_entries(value) for value in values]
    found = _lists(lists, pa.list_(entry))
    return map_of(found, kind)


def map_of(entries: pa.ListArray, kind: pa.DataType) -> pa.Array:
    """Lists of keys and values as maps."""
    items = entries.values
    mask = entries.is_null()
    return pa.MapArray.from_arrays(
        entries.offsets, items.field("key"), items.field("value"), type=kind, mask=mask
    )


def _entries(value: Any) -> Any:
    if isinstance(value, Mapping):
        return [{"key": key, "value": item} for key, item in value.items()]
    return value


def _integers(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array([None if one is None else _integer(one, kind) for one in values], kind)
    except (pa.ArrowInvalid, OverflowError):
        width, signed = kind.bit_width, kinds.is_signed_integer(kind)
        low, high = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
        for one in values:
            if one is not None and not low <= _integer(one, kind) <= high:
                raise misfit(one, f"between {low} and {high}") from None
        raise


def _integer(value: Any, kind: pa.DataType) -> int:
    if type(value) is int:
        return value
    if isinstance(value, str | Decimal):
        number = _number(value, f"a whole number, as {kind} needs")
        if number.is_finite() and number == number.to_integral_value() and number.adjusted() < 25:
            return int(number)
    raise misfit(value, f"a whole number, as {kind} needs")


def _number(value: str | Decimal, what: str) -> Decimal:
    if isinstance(value, Decimal):
        return value
    try:
        return Decimal(value)
    except InvalidOperation:
        raise misfit(value, what) from None


def _durations(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    return _integers(values, pa.int64()).view(kind)


def _floats(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    doubles = pa.array([None if one is None else _float(one) for one in values], pa.float64())
    return narrowed(doubles, kind)


def narrowed(doubles: pa.Array, kind: pa.DataType) -> pa.Array:
    """Floats as those of the type, rounded to its digits. MisfitError where one is too large."""
    if kinds.is_float64(kind):
        return doubles
    found = doubles.cast(kind, safe=False)
    wide = found.cast(pa.float64())
    lost = pc.and_(pc.is_finite(doubles), pc.invert(pc.is_finite(wide)))
    if pc.any(lost).as_py():
        raise misfit(doubles.filter(lost)[0].as_py(), f"within the range of {kind}")
    return found


_NON_FINITE = {
    "NaN": math.nan,
    "nan": math.nan,
    "Infinity": math.inf,
    "inf": math.inf,
    "-Infinity": -math.inf,
    "-inf": -math.inf,
}


def _float(value: Any) -> float:
    if isinstance(value, bool):
        raise misfit(value, "a number")
    if isinstance(value, str) and value in _NON_FINITE:
        return _NON_FINITE[value]
    if isinstance(value, int | float | Decimal):
        found = _as_double(value)
    elif isinstance(value, str):
        found = float(_number(value, "a number"))
    else:
        raise misfit(value, "a number")
    if math.isinf(found):
        raise misfit(value, "within the range of a float")
    return found


def _as_double(value: int | float | Decimal) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _decimals(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    found = [None if one is None else _decimal(one) for one in values]
    try:
        return pa.array(found, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        for one in found:
            try:
                pa.array([one], kind)
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                raise MisfitError(f"{one} has digits that {kind} has not") from None
        raise


def _decimal(value: Any) -> Decimal:
    if type(value) is int:
        return Decimal(value)
    if isinstance(value, str | Decimal):
        number = _number(value, "a decimal number")
        if number.is_finite():
            return number
    raise misfit(value, "a decimal number")


def _booleans(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    for one in values:
        if one is not None and not isinstance(one, bool):
            raise misfit(one, "true or false")
    return pa.array(values, kind)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise misfit(value, "text")
    return value


def _texts(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    for one in values:
        if one is not None and not isinstance(one, str):
            raise misfit(one, "text")
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        raise MisfitError("half of a surrogate pair is no character") from None


def _bytes(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    return bytes_of(_texts(values, pa.string()), kind)


def _parsed(read: Callable[[pa.Array, pa.DataType], pa.Array]) -> Reader:
    return lambda values, kind: read(_texts(values, pa.string()), kind)


def _nulls(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    for one in values:
        if one is not None:
            raise misfit(one, "null, which is all that the column holds")
    return pa.nulls(len(values))


def _intervals(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    parts = [("months", pa.int32()), ("days", pa.int32()), ("nanoseconds", pa.int64())]
    return intervals_of(_structs(values, pa.struct(parts)))


def intervals_of(structs: pa.StructArray) -> pa.Array:
    """Structs of months, days and nanoseconds as intervals; what is left out is 0."""
    names = ("months", "days", "nanoseconds")
    rows = structs.to_pylist()
    found = [None if one is None else tuple(one[name] or 0 for name in names) for one in rows]
    return pa.array(found, pa.month_day_nano_interval())


def _is_text(kind: pa.DataType) -> bool:
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    plain = kinds.is_binary(kind) or kinds.is_large_binary(kind)
    return bool(plain or kinds.is_fixed_size_binary(kind))


Reader = Callable[[Sequence[Any], pa.DataType], pa.Array]
_LEAVES: tuple[tuple[Callable[[pa.DataType], bool], Reader], ...] = (
    (kinds.is_integer, _integers),
    (_is_text, _texts),
    (kinds.is_floating, _floats),
    (kinds.is_boolean, _booleans),
    (kinds.is_decimal, _decimals),
    (kinds.is_timestamp, _parsed(moments)),
    (kinds.is_date, _parsed(dates)),
    (kinds.is_time, _parsed(times)),
    (_is_bytes, _bytes),
    (kinds.is_duration, _durations),
    (kinds.is_interval, _intervals),
    (kinds.is_null, _nulls),
)
