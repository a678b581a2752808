"""Arrow types as data, and random arrays of any of them.

The arrays are meant to be awkward: slices of larger ones, nulls at every depth with rubbish
beneath them, dictionaries with values nobody uses.
"""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds
from hypothesis import strategies as st

PLAIN_TYPES: list[pa.DataType] = [
    pa.null(),
    pa.bool_(),
    pa.int8(),
    pa.int16(),
    pa.int32(),
    pa.int64(),
    pa.uint8(),
    pa.uint16(),
    pa.uint32(),
    pa.uint64(),
    pa.float16(),
    pa.float32(),
    pa.float64(),
    pa.decimal32(7, 2),
    pa.decimal64(16, 0),
    pa.decimal128(38, 10),
    pa.decimal128(3, 5),
    pa.decimal128(5, -2),
    pa.decimal256(38, 3),
    pa.utf8(),
    pa.large_utf8(),
    pa.string_view(),
    pa.binary(),
    pa.large_binary(),
    pa.binary_view(),
    pa.binary(5),
    pa.date32(),
    pa.date64(),
    pa.time32("s"),
    pa.time32("ms"),
    pa.time64("us"),
    pa.time64("ns"),
    pa.timestamp("s"),
    pa.timestamp("ms"),
    pa.timestamp("us"),
    pa.timestamp("ns"),
    pa.timestamp("s", "UTC"),
    pa.timestamp("ms", "+02:00"),
    pa.timestamp("us", "Europe/Berlin"),
    pa.timestamp("ns", "America/New_York"),
    pa.duration("s"),
    pa.duration("ms"),
    pa.duration("us"),
    pa.duration("ns"),
    pa.month_day_nano_interval(),
    pa.uuid(),
    pa.json_(),
    pa.json_(pa.large_utf8()),
    pa.bool8(),
    pa.opaque(pa.binary(), "shape", "somebody"),
    pa.fixed_shape_tensor(pa.float32(), (2, 3), dim_names=["row", "column"]),
]

_LABEL = {"unit": "µm", "note": "kept"}
_REQUIRED = pa.field("x", pa.float16(), nullable=False, metadata=_LABEL)

NESTED_TYPES: list[pa.DataType] = [
    pa.list_(pa.int32()),
    pa.list_(_REQUIRED),
    pa.list_(pa.field("entry", pa.int64(), metadata=_LABEL)),
    pa.large_list(pa.utf8()),
    pa.list_view(pa.field("v", pa.uuid(), nullable=False)),
    pa.large_list_view(pa.list_view(pa.int8())),
    pa.list_(pa.float32(), 3),
    pa.list_(pa.field("n", pa.string_view(), nullable=False, metadata=_LABEL), 2),
    pa.list_(pa.int8(), 0),
    pa.list_(pa.list_(pa.dictionary(pa.int8(), pa.utf8()), 2), 2),
    pa.list_(pa.null()),
    pa.struct([_REQUIRED, pa.field('Größe "1"', pa.utf8())]),
    pa.struct([pa.field("s", pa.struct([pa.field("id", pa.uuid()), _REQUIRED]), nullable=False)]),
    pa.map_(pa.utf8(), pa.int32()),
    pa.map_(pa.large_utf8(), pa.field("value", pa.duration("ms"), nullable=False), True),
    pa.map_(
        pa.field("k", pa.int16(), nullable=False, metadata=_LABEL),
        pa.field("v", pa.list_(pa.month_day_nano_interval(), 2), metadata=_LABEL),
    ),
    pa.dictionary(pa.int8(), pa.utf8()),
    pa.dictionary(pa.uint64(), pa.large_binary(), ordered=True),
    pa.dictionary(pa.int16(), pa.timestamp("ns", "Asia/Tokyo")),
    pa.dictionary(pa.int32(), pa.list_(pa.int64())),
    pa.dictionary(pa.int32(), pa.uuid()),
    pa.dictionary(pa.int32(), pa.string_view()),
    pa.list_(pa.dictionary(pa.int32(), pa.decimal64(12, 2), ordered=True)),
    pa.run_end_encoded(pa.int16(), pa.float16()),
    pa.run_end_encoded(pa.int32(), pa.string_view()),
    pa.run_end_encoded(pa.int64(), pa.struct([_REQUIRED])),
    pa.list_(pa.run_end_encoded(pa.int32(), pa.utf8())),
    pa.struct([pa.field("runs", pa.run_end_encoded(pa.int32(), pa.bool_()))]),
    pa.list_(pa.json_()),
    pa.struct([pa.field("j", pa.json_()), pa.field("t", pa.time64("ns"))]),
    pa.list_(pa.fixed_shape_tensor(pa.int8(), (2,))),
]

ROUND_TRIP_TYPES = PLAIN_TYPES + NESTED_TYPES

# A path that the message must name, and the type.
REFUSED_TYPES: list[tuple[str, pa.DataType]] = [
    ("c", pa.decimal256(39, 0)),
    ("c", pa.decimal256(76, 10)),
    ("c", pa.decimal128(38, -1)),
    ("c", pa.struct([])),
    ("c", pa.dense_union([pa.field("a", pa.int8())])),
    ("c", pa.sparse_union([pa.field("a", pa.int8()), pa.field("b", pa.utf8())])),
    ("c[]", pa.list_(pa.struct([]))),
    ("c", pa.struct([("a", pa.int8()), ("A", pa.int8())])),
    ("c", pa.struct([("", pa.int8())])),
    ("c.deep[].value", pa.struct([("deep", pa.list_(pa.map_(pa.int8(), pa.decimal256(76, 0))))])),
    ("c.key", pa.map_(pa.decimal256(50, 0), pa.int8())),
    ("c", pa.dictionary(pa.int8(), pa.decimal256(50, 0))),
]


def nested_types() -> st.SearchStrategy[pa.DataType]:
    """Any type that tables can hold, some levels deep."""
    return st.recursive(st.sampled_from(PLAIN_TYPES), _containers, max_leaves=5)


def _containers(inner: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    field = st.builds(
        lambda name, data_type, nullable, metadata: pa.field(
            name, data_type, nullable=nullable or kinds.is_null(data_type), metadata=metadata
        ),
        st.sampled_from(["item", "l", "x y", "ä"]),
        inner,
        st.booleans(),
        st.sampled_from([None, _LABEL]),
    )
    fields = st.lists(field, min_size=1, max_size=3, unique_by=lambda one: one.name)
    keys = st.sampled_from([pa.int32(), pa.utf8(), pa.string_view(), pa.uuid(), pa.date64()])
    index = st.sampled_from([pa.int8(), pa.uint16(), pa.int64()])
    # pyarrow itself ends the process when it shows a value out of stranger encodings than these.
    encoded = inner.filter(lambda data_type: not _is_strange(data_type))
    return st.one_of(
        field.map(pa.list_),
        field.map(pa.large_list),
        field.map(pa.list_view),
        field.map(pa.large_list_view),
        st.builds(pa.list_, field, st.integers(0, 3)),
        fields.map(pa.struct),
        st.builds(pa.map_, keys, field.map(lambda one: one.with_name("value")), st.booleans()),
        st.builds(pa.dictionary, index, encoded, st.booleans()),
        encoded.map(lambda one: pa.run_end_encoded(pa.int32(), one)),
    )


def _is_strange(data_type: pa.DataType) -> bool:
    """Whether an extension, an encoding or a null type is anywhere in the type."""
    if isinstance(data_type, pa.BaseExtensionType) or kinds.is_null(data_type):
        return True
    if kinds.is_dictionary(data_type) or kinds.is_run_end_encoded(data_type):
        return True
    inner = [data_type.field(index).type for index in range(data_type.num_fields)]
    return any(_is_strange(one) for one in inner)


def random_array(
    data_type: pa.DataType, length: int, rng: random.Random, *, nullable: bool = True
) -> pa.Array:
    """An array with nulls where they are allowed, and never starting at its buffers' start."""
    front = rng.randint(1, 3)
    whole = _array(data_type, length + front + 2, rng, nullable)
    return whole.slice(front, length)


def _array(data_type: pa.DataType, length: int, rng: random.Random, nullable: bool) -> pa.Array:
    if isinstance(data_type, pa.BaseExtensionType):
        storage = (
            pa.array(
                [rng.choice(['{"a":  [1, null]}', "null", '"é"', "-1e3"]) for _ in range(length)],
                data_type.storage_type,
            )
            if isinstance(data_type, pa.JsonType)
            else _array(data_type.storage_type, length, rng, nullable)
        )
        return pa.ExtensionArray.from_storage(data_type, storage)
    for belongs, make in _MAKERS:
        if belongs(data_type):
            return make(data_type, length, rng, nullable)
    value = _VALUES[data_type.id]
    nulls = _nulls(length, rng, nullable)
    values = [None if null else value(data_type, rng) for null in nulls]
    if kinds.is_temporal(data_type) and not kinds.is_interval(data_type):
        wide = pa.int32() if data_type.bit_width == 32 else pa.int64()
        return pa.array(values, wide).view(data_type)
    if kinds.is_decimal(data_type):
        plain = pa.decimal256(data_type.precision, data_type.scale)
        return pa.array(values, pa.decimal256(76, 10)).cast(plain).cast(data_type)
    return pa.array(values, data_type)


def _nulls(length: int, rng: random.Random, nullable: bool) -> list[bool]:
    share = rng.choice([0.0, 0.2, 1.0]) if nullable else 0.0
    return [rng.random() < share for _ in range(length)]


def _mask(length: int, rng: random.Random, nullable: bool) -> pa.Array | None:
    nulls = _nulls(length, rng, nullable)
    return pa.array(nulls) if any(nulls) else None


def _list(data_type: pa.DataType, length: int, rng: random.Random, nullable: bool) -> pa.Array:
    large = kinds.is_large_list(data_type) or kinds.is_large_list_view(data_type)
    width = pa.int64() if large else pa.int32()
    lengths = [rng.randint(0, 3) for _ in range(length)]
    offsets = [sum(lengths[:index]) for index in range(length + 1)]
    child = random_array(
        data_type.value_type, offsets[-1], rng, nullable=data_type.value_field.nullable
    )
    mask = _mask(length, rng, nullable)
    if kinds.is_list(data_type) or kinds.is_large_list(data_type):
        lists = pa.LargeListArray if large else pa.ListArray
        return lists.from_arrays(pa.array(offsets, width), child, type=data_type, mask=mask)
    views = pa.LargeListViewArray if large else pa.ListViewArray
    # Views may share items and stand in any order.
    starts = [rng.randint(0, offsets[-1] - size) for size in lengths]
    return views.from_arrays(
        pa.array(starts, width), pa.array(lengths, width), child, type=data_type, mask=mask
    )


def _fixed(data_type: pa.DataType, length: int, rng: random.Random, nullable: bool) -> pa.Array:
    size = data_type.list_size
    child = random_array(
        data_type.value_type, length * size, rng, nullable=data_type.value_field.nullable
    )
    mask = _mask(length, rng, nullable)
    validity = None if mask is None else pc.invert(mask).buffers()[1]
    return pa.Array.from_buffers(data_type, length, [validity], children=[child])


def _struct(data_type: pa.DataType, length: int, rng: random.Random, nullable: bool) -> pa.Array:
    children = [
        random_array(field.type, length, rng, nullable=field.nullable) for field in data_type
    ]
    mask = _mask(length, rng, nullable)
    return pa.StructArray.from_arrays(children, type=data_type, mask=mask)


def _map(data_type: pa.DataType, length: int, rng: random.Random, nullable: bool) -> pa.Array:
    lengths = [rng.randint(0, 2) for _ in range(length)]
    offsets = pa.array([sum(lengths[:index]) for index in range(length + 1)], pa.int32())
    # Keys are unique within a map; DuckDB refuses others.
    count = sum(lengths)
    keys = _unique(data_type.key_type, count, rng)
    items = random_array(data_type.item_type, count, rng, nullable=data_type.item_field.nullable)
    mask = _mask(length, rng, nullable)
    return pa.MapArray.from_arrays(offsets, keys, items, type=data_type, mask=mask)


def _unique(data_type: pa.DataType, count: int, rng: random.Random) -> pa.Array:
    if isinstance(data_type, pa.UuidType):
        values = [uuid.UUID(int=rng.getrandbits(128)).bytes for _ in range(count)]
        return pa.ExtensionArray.from_storage(data_type, pa.array(values, pa.binary(16)))
    numbers = pa.array(range(count), pa.int32())
    if kinds.is_date64(data_type):
        return numbers.cast(pa.date32()).cast(data_type)
    return numbers.cast(data_type)


def _dictionary(
    data_type: pa.DataType, length: int, rng: random.Random, nullable: bool
) -> pa.Array:
    values = random_array(data_type.value_type, rng.randint(1, 9), rng, nullable=False)
    indices = [
        None if null else rng.randrange(len(values)) for null in _nulls(length, rng, nullable)
    ]
    return pa.DictionaryArray.from_arrays(
        pa.array(indices, data_type.index_type), values, ordered=data_type.ordered
    )


def _runs(data_type: pa.DataType, length: int, rng: random.Random, nullable: bool) -> pa.Array:
    ends = sorted({*(rng.randint(1, max(length, 1)) for _ in range(5)), length} - {0})
    values = random_array(data_type.value_type, len(ends), rng, nullable=nullable)
    return pa.RunEndEncodedArray.from_arrays(
        pa.array(ends, data_type.run_end_type), values, type=data_type
    )


Maker = Callable[[pa.DataType, int, random.Random, bool], pa.Array]
_MAKERS: list[tuple[Callable[[pa.DataType], bool], Maker]] = [
    (kinds.is_null, lambda data_type, length, rng, nullable: pa.nulls(length)),
    (kinds.is_fixed_size_list, _fixed),
    (kinds.is_struct, _struct),
    (kinds.is_map, _map),
    (kinds.is_dictionary, _dictionary),
    (kinds.is_run_end_encoded, _runs),
    (kinds.is_nested, _list),
]


def _integer(data_type: pa.DataType, rng: random.Random) -> int:
    width: int = data_type.bit_width
    low, high = (-(1 << width - 1), 1 << width - 1)
    if kinds.is_unsigned_integer(data_type):
        low, high = 0, 1 << width
    return rng.choice([low, high - 1, 0, rng.randrange(low, high)])


def _float(data_type: pa.DataType, rng: random.Random) -> float:
    # No -0.0: DuckDB's Parquet dictionaries hold one zero, and its sign is the first one's.
    return rng.choice([0.0, float("nan"), float("inf"), -2.5, 0.125, 1000.0])


def _text(data_type: pa.DataType, rng: random.Random) -> str:
    return rng.choice(["", "é\0", "🛩", "".join(rng.choices(string.printable, k=30))])


def _bytes(data_type: pa.DataType, rng: random.Random) -> bytes:
    fixed = kinds.is_fixed_size_binary(data_type)
    return rng.randbytes(data_type.byte_width if fixed else rng.choice([0, 3, 40]))


def _decimal(data_type: pa.DataType, rng: random.Random) -> Decimal:
    digits = min(data_type.precision, 20)
    unscaled = rng.randrange(-(10**digits) + 1, 10**digits)
    return Decimal(unscaled).scaleb(-data_type.scale)


def _duration(data_type: pa.DataType, rng: random.Random) -> int:
    # What Python's timedelta can show.
    return rng.randint(-(10**12), 10**12) * _PER_SECOND[data_type.unit] // 1000


_DAY = 86_400
_PER_SECOND: dict[str, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def _time(data_type: pa.DataType, rng: random.Random) -> int:
    return rng.randrange(_DAY * _PER_SECOND[data_type.unit])


def _timestamp(data_type: pa.DataType, rng: random.Random) -> int:
    per_second = _PER_SECOND[data_type.unit]
    return rng.randint(-9_000_000_000, 9_000_000_000) * per_second + rng.randrange(per_second)


def _interval(data_type: pa.DataType, rng: random.Random) -> Any:
    return pa.MonthDayNano(
        [rng.randint(-99, 99), rng.randint(-99, 99), rng.randint(-(2**63), 2**63 - 1)]
    )


_VALUES: dict[int, Callable[[pa.DataType, random.Random], Any]] = {
    pa.bool_().id: lambda data_type, rng: rng.random() < 0.5,
    **{
        make.id: _integer
        for make in (
            *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
            *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        )
    },
    **{make.id: _float for make in (pa.float16(), pa.float32(), pa.float64())},
    **{make.id: _text for make in (pa.utf8(), pa.large_utf8(), pa.string_view())},
    **{
        make.id: _bytes for make in (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(1))
    },
    **{
        make.id: _decimal
        for make in (pa.decimal32(1), pa.decimal64(1), pa.decimal128(1), pa.decimal256(1))
    },
    **{make.id: _time for make in (pa.time32("s"), pa.time64("us"))},
    pa.timestamp("s").id: _timestamp,
    pa.duration("s").id: _duration,
    pa.date32().id: lambda data_type, rng: rng.randint(-700_000, 2_900_000),
    pa.date64().id: lambda data_type, rng: rng.randint(-700_000, 2_900_000) * _DAY * 1000,
    pa.month_day_nano_interval().id: _interval,
}
