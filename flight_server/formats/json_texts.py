"""Arrow values as JSON, one by one: for small answers, and for types that DuckDB cannot write.

What stands here says what the JSON of each type is; `json_rows` writes the same for many rows.
"""

from __future__ import annotations

import base64
import json
import math
import uuid
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

NULL = "null"


def texts(array: pa.Array) -> list[str]:
    """The JSON text of each value."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _extension(array)
    if kinds.is_dictionary(kind):
        return texts(array.dictionary_decode())
    if kinds.is_run_end_encoded(kind):
        return texts(pa.compute.run_end_decode(array))
    if kinds.is_struct(kind):
        return _structs(array)
    if kinds.is_union(kind):
        return [_member(one) for one in array]
    if kinds.is_nested(kind):
        # The values of a map are structs of 'key' and 'value'.
        return _lists(array)
    return _leaves(array)


def lines(batch: pa.RecordBatch) -> list[str]:
    """Each row as a JSON object."""
    return _objects(batch.schema.names, batch.columns, batch.num_rows)


def _objects(names: list[str], columns: list[pa.Array], count: int) -> list[str]:
    keys = [json.dumps(name, ensure_ascii=False) for name in names]
    values = [texts(column) for column in columns]
    return [
        "{"
        + ",".join(f"{key}:{column[row]}" for key, column in zip(keys, values, strict=True))
        + "}"
        for row in range(count)
    ]


def _structs(array: pa.StructArray) -> list[str]:
    names = [array.type.field(i).name for i in range(array.type.num_fields)]
    found = _objects(names, [array.field(i) for i in range(len(names))], len(array))
    return _where_valid(array, found)


def _lists(array: pa.Array) -> list[str]:
    valid = array.is_valid().to_pylist()
    return [
        "[" + ",".join(texts(array[row].values)) + "]" if valid[row] else NULL
        for row in range(len(array))
    ]


def _member(value: pa.UnionScalar) -> str:
    return texts(pa.array([value.value]))[0] if value.is_valid else NULL


def _extension(array: pa.ExtensionArray) -> list[str]:
    kind = array.type
    if isinstance(kind, pa.UuidType):
        values = array.storage.to_pylist()
        return [NULL if one is None else f'"{uuid.UUID(bytes=one)}"' for one in values]
    if isinstance(kind, pa.JsonType):
        return [NULL if one is None else _embedded(one) for one in array.storage.to_pylist()]
    if isinstance(kind, pa.Bool8Type):
        return [NULL if one is None else str(one != 0).lower() for one in array.storage.to_pylist()]
    return texts(array.storage)


def _embedded(text: str) -> str:
    """A JSON value within JSON; what is none is a text."""
    try:
        json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return json.dumps(text, ensure_ascii=False)
    return text.replace("\n", " ").replace("\r", " ")


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _where_valid(array: pa.Array, found: list[str]) -> list[str]:
    if not array.null_count:
        return found
    valid = array.is_valid().to_pylist()
    return [text if there else NULL for text, there in zip(found, valid, strict=True)]


def _leaves(array: pa.Array) -> list[str]:
    for is_one, prepare, write in _LEAVES:
        if is_one(array.type):
            return [NULL if one is None else write(one) for one in prepare(array).to_pylist()]
    return [NULL if one is None else _text(str(one)) for one in array.to_pylist()]


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _float(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'


def _shortest(value: str) -> str:
    """A number of fewer than 64 bits, as Arrow writes it with no more digits than it needs."""
    if value[-1] in "nf":
        return _float(float(value))
    return value if "." in value or "e" in value else f"{value}.0"


def _decimal(value: Any) -> str:
    """All digits but zeros at the end, of which DuckDB leaves one behind the point."""
    text = format(value, "f")
    if "." not in text:
        return text
    text = text.rstrip("0")
    return f"{text}0" if text.endswith(".") else text


def _bytes(value: bytes) -> str:
    return f'"{base64.b64encode(value).decode()}"'


def _moment(value: str) -> str:
    return f'"{_trimmed(value)}"'


def _zoned_moment(value: str) -> str:
    return f'"{_trimmed(value)}Z"'


def _trimmed(value: str) -> str:
    """A time as Arrow writes it, without the zeros of its unit."""
    text = value.replace(" ", "T", 1)
    return text.rstrip("0").removesuffix(".") if "." in text else text


def _interval(value: Any) -> str:
    months, days, nanoseconds = value
    return f'{{"months":{months},"days":{days},"nanoseconds":{nanoseconds}}}'


def _is_narrow_float(kind: pa.DataType) -> bool:
    return bool(kinds.is_float16(kind) or kinds.is_float32(kind))


def _is_zoned(kind: pa.DataType) -> bool:
    return bool(kinds.is_timestamp(kind)) and kind.tz is not None


def _is_bytes(kind: pa.DataType) -> bool:
    tests = (kinds.is_binary, kinds.is_large_binary, kinds.is_binary_view)
    return bool(kinds.is_fixed_size_binary(kind)) or any(test(kind) for test in tests)


def _is_text(kind: pa.DataType) -> bool:
    tests = (kinds.is_string, kinds.is_large_string, kinds.is_string_view)
    return any(test(kind) for test in tests)


def _as_it_is(array: pa.Array) -> pa.Array:
    return array


def _written(array: pa.Array) -> pa.Array:
    return array.cast(pa.string())


Leaf = tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.Array], Callable[[Any], str]]
# Which types, what is done to all of their values at once, and how each is written then.
_LEAVES: tuple[Leaf, ...] = (
    (kinds.is_integer, _as_it_is, str),
    (_is_text, _as_it_is, _text),
    (_is_narrow_float, lambda array: _written(array.cast(pa.float32())), _shortest),
    (kinds.is_floating, _as_it_is, _float),
    (kinds.is_boolean, _as_it_is, lambda value: "true" if value else "false"),
    (kinds.is_decimal, _as_it_is, _decimal),
    (_is_zoned, lambda array: _written(array.cast(pa.timestamp(array.type.unit))), _zoned_moment),
    (kinds.is_timestamp, _written, _moment),
    (kinds.is_date, lambda array: _written(array.cast(pa.date32())), _moment),
    (kinds.is_time, _written, _moment),
    (_is_bytes, _as_it_is, _bytes),
    (kinds.is_duration, lambda array: array.cast(pa.int64()), str),
    (kinds.is_interval, _as_it_is, _interval),
)
