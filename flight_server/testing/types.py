"""Every Arrow type as data: a field, values with nulls and extremes, and what engines owe it.

Also writes the documentation's table of types from what an engine says about each case.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

import pyarrow as pa


class Verdict(Enum):
    """What every engine owes a type."""

    KEPT = "kept"
    KEPT_OR_REFUSED = "kept or refused"


@dataclass(frozen=True)
class TypeCase:
    """One Arrow type in a field, and an array of its values."""

    name: str
    field: pa.Field
    values: pa.Array
    verdict: Verdict = Verdict.KEPT

    @property
    def schema(self) -> pa.Schema:
        """A table's schema with the field in it, beside a column to count by."""
        return pa.schema([pa.field("n", pa.int32()), self.field])

    def table(self, values: pa.Array) -> pa.Table:
        """A table of these values, numbered."""
        numbers = pa.array(range(len(values)), pa.int32())
        return pa.Table.from_arrays([numbers, values], schema=self.schema)


def same_values(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    """Whether both hold the same values of the same type; NaN is the same as NaN."""
    if one.type != other.type or len(one) != len(other):
        return False
    return bool(one.equals(other)) or repr(one.to_pylist()) == repr(other.to_pylist())


def render_types(cases: Sequence[TypeCase], kept_as: Callable[[pa.Field], tuple[str, str]]) -> str:
    """The table of types in Markdown; `kept_as` gives a field's storage and a note."""
    lines = ["| Arrow type | kept as | note |", "| --- | --- | --- |"]
    for case in cases:
        cells = (f"`{case.name}`", *kept_as(case.field))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _case(
    kind: pa.DataType, values: Any, verdict: Verdict = Verdict.KEPT, name: str = ""
) -> TypeCase:
    """A case whose values are Python values, or Arrow's own."""
    array = values if isinstance(values, pa.Array) else pa.array(values, kind)
    return TypeCase(name or str(kind), pa.field("v", kind), array, verdict)


def _encoded(index: pa.DataType, values: pa.Array) -> TypeCase:
    """A dictionary of values for which pyarrow has no converter from Python."""
    kind = pa.dictionary(index, values.type)
    return _case(kind, values.dictionary_encode().cast(kind))


def _extension(kind: pa.DataType, values: Any, verdict: Verdict = Verdict.KEPT) -> TypeCase:
    storage = pa.array(values, kind.storage_type)
    array = pa.ExtensionArray.from_storage(kind, storage)
    name = f"{kind.extension_name} of {kind.storage_type}"
    return TypeCase(name, pa.field("v", kind), array, verdict)


def _counts(kind: pa.DataType, bits: int) -> TypeCase:
    """A type that counts in so many bits, with its smallest and its largest number."""
    ends = [-(2 ** (bits - 1)), None, 0, 2 ** (bits - 1) - 1]
    return _case(kind, pa.array(ends, pa.int32() if bits == 32 else pa.int64()).view(kind))


FREE = Verdict.KEPT_OR_REFUSED
UNITS = ("s", "ms", "us", "ns")
ZONES = (None, "UTC", "Europe/Berlin", "+05:30")
DAY_MS = 86_400_000
TEXTS = ["", None, "a", "Grüße, 空 🛩️", "x" * 5000, "'quoted' \"twice\""]
BYTES = [b"", None, b"\x00\xff", b"x" * 5000]
FLOATS = [0.0, None, -0.0, 1.5, float("inf"), float("-inf"), float("nan")]

INTEGERS = [
    _case(kind, [low, None, 0, high])
    for kind, low, high in (
        (pa.int8(), -(2**7), 2**7 - 1),
        (pa.int16(), -(2**15), 2**15 - 1),
        (pa.int32(), -(2**31), 2**31 - 1),
        (pa.int64(), -(2**63), 2**63 - 1),
        (pa.uint8(), 0, 2**8 - 1),
        (pa.uint16(), 0, 2**16 - 1),
        (pa.uint32(), 0, 2**32 - 1),
        (pa.uint64(), 0, 2**64 - 1),
    )
]

NUMBERS = [
    _case(pa.null(), [None, None], FREE),
    _case(pa.bool_(), [True, None, False]),
    *INTEGERS,
    _case(pa.float16(), [*FLOATS, 65504.0, 2.0**-24]),
    _case(pa.float32(), [*FLOATS, 3.4028234663852886e38, 2.0**-149]),
    _case(pa.float64(), [*FLOATS, 1.7976931348623157e308, 5e-324]),
]


def _decimal(kind: pa.DataType, verdict: Verdict = Verdict.KEPT) -> TypeCase:
    # From text: Decimal's own arithmetic would round to its context.
    largest = f"{'9' * kind.precision}E{-kind.scale}"
    return _case(kind, [Decimal(largest), None, Decimal(0), Decimal("-" + largest)], verdict)


DECIMALS = [
    _decimal(pa.decimal32(9, 2)),
    _decimal(pa.decimal64(18, 6)),
    _decimal(pa.decimal128(5, 0)),
    _decimal(pa.decimal128(28, 10)),
    _case(
        pa.decimal128(38, 38),
        [Decimal("0." + "9" * 37 + "8"), None, Decimal("-0." + "0" * 37 + "1")],
    ),
    _case(pa.decimal128(5, -2), [Decimal("12300"), None, Decimal("-9999900")], FREE),
    _decimal(pa.decimal256(20, 3), FREE),
    _decimal(pa.decimal256(76, 10), FREE),
]

WORDS = [
    _case(pa.string(), TEXTS),
    _case(pa.large_string(), TEXTS),
    _case(pa.string_view(), TEXTS),
    _case(pa.binary(), BYTES),
    _case(pa.large_binary(), BYTES),
    _case(pa.binary_view(), BYTES),
    _case(pa.binary(3), [b"abc", None, b"\x00\x00\x00", b"\xff\xfe\xfd"]),
]

# Apart, since whole databases have none.
WITH_NUL = [
    _case(kind, ["nul\x00inside", None, "\x00"], name=f"{kind} with a NUL")
    for kind in (pa.string(), pa.large_string(), pa.string_view())
]

TIMES = [
    _case(pa.date32(), [dt.date(1, 1, 1), None, dt.date(1970, 1, 1), dt.date(9999, 12, 31)]),
    _case(pa.date64(), pa.array([-719162 * DAY_MS, None, 0, 2932896 * DAY_MS], pa.date64())),
    _case(pa.time32("s"), pa.array([0, None, 86_399], pa.time32("s"))),
    _case(pa.time32("ms"), pa.array([0, None, 86_399_999], pa.time32("ms"))),
    _case(pa.time64("us"), pa.array([0, None, 86_399_999_999], pa.time64("us"))),
    _case(pa.time64("ns"), pa.array([0, None, 86_399_999_999_999], pa.time64("ns"))),
    # Years 1 and 9999, in seconds; in nanoseconds all whole days that 64 bits can count.
    *(
        _case(
            pa.timestamp(unit, zone),
            pa.array(
                [-9_223_286_400 * 10**9, None, -1, 0, 2**63 - 2]
                if unit == "ns"
                else [at * 1000 ** UNITS.index(unit) for at in (-62_135_596_800, 253_402_300_799)]
                + [None, -1],
                pa.timestamp(unit, zone),
            ),
        )
        for unit in UNITS
        for zone in ZONES
    ),
    *(_counts(pa.duration(unit), 64) for unit in UNITS),
    _case(
        pa.month_day_nano_interval(),
        [(1, 2, 3), None, (-1, 0, -5), (0, 0, 999), (2**31 - 1, -(2**31), 2**63 - 1)],
        FREE,
    ),
]

LISTS = [
    _case(pa.list_(pa.int32()), [[1, None, 3], None, [], [2**31 - 1]]),
    _case(pa.large_list(pa.string()), [["a", None], None, []]),
    _case(pa.list_view(pa.int32()), [[1, None], None, []], FREE),
    _case(pa.large_list_view(pa.int32()), [[1, None], None, []], FREE),
    _case(pa.list_(pa.float32(), 3), [[1.0, 2.0, 3.0], None, [None, 0.0, -1.0]]),
    _case(pa.list_(pa.list_(pa.float32(), 2), 2), [[[1.0, 2.0], [3.0, 4.0]], None]),
    _case(pa.list_(pa.list_(pa.int64())), [[[1], None, []], None, []]),
    _case(pa.list_(pa.field("element", pa.int8(), nullable=False)), [[1, 2], None, []]),
    _case(
        pa.list_(pa.field("item", pa.string(), metadata={"k": "v"})),
        [["a"], None, []],
        name="list<item: string> with metadata of its item",
    ),
]

STRUCTS = [
    _case(
        pa.struct([("a", pa.int64()), ("b c", pa.string())]),
        [{"a": 1, "b c": None}, None, {"a": None, "b c": "x"}],
    ),
    _case(
        pa.struct([pa.field("a", pa.struct([pa.field("b", pa.date32(), nullable=False)]))]),
        [{"a": {"b": dt.date(2020, 2, 29)}}, None, {"a": None}],
    ),
    _case(pa.struct([]), [{}, None, {}], FREE),
    _case(pa.map_(pa.string(), pa.int64()), [[("a", 1), ("b", None)], None, []]),
    _case(pa.map_(pa.int32(), pa.list_(pa.float16())), [[(1, [1.5, None])], None, []]),
    _case(pa.map_(pa.string(), pa.int64(), keys_sorted=True), [[("a", 1)], None, []], FREE),
    _case(
        pa.list_(pa.struct([("a", pa.list_(pa.dictionary(pa.int8(), pa.string())))])),
        [[{"a": ["x", None, "x"]}, None], None, []],
    ),
    _case(
        pa.struct([("d", pa.duration("ms")), ("f", pa.list_(pa.float16(), 2))]),
        [{"d": dt.timedelta(milliseconds=5), "f": [1.5, None]}, None],
    ),
    _case(pa.list_(pa.list_view(pa.string_view())), [[["a"], None], None, []], FREE),
]

DICTIONARIES = [
    *(
        _case(pa.dictionary(index, pa.string()), ["b", None, "a", "b", ""])
        for index in (
            pa.int8(),
            pa.int16(),
            pa.int32(),
            pa.int64(),
            pa.uint8(),
            pa.uint16(),
            pa.uint32(),
            pa.uint64(),
        )
    ),
    _case(pa.dictionary(pa.int8(), pa.string(), ordered=True), ["b", None, "a"]),
    _case(pa.dictionary(pa.int32(), pa.large_string()), ["b", None, "a"]),
    _case(pa.dictionary(pa.int16(), pa.int64()), [5, None, -(2**63)]),
    _case(pa.dictionary(pa.int16(), pa.binary()), [b"\x00", None, b""]),
    _encoded(pa.int16(), pa.array([10**15, None, -1, 10**15], pa.timestamp("us", "UTC"))),
    _encoded(pa.int16(), pa.array([Decimal("1.50"), None], pa.decimal128(5, 2))),
    _case(
        pa.run_end_encoded(pa.int32(), pa.string()),
        pa.RunEndEncodedArray.from_arrays(
            pa.array([2, 3, 5], pa.int32()), pa.array(["a", None, ""])
        ),
        FREE,
    ),
    _case(
        pa.run_end_encoded(pa.int16(), pa.float64()),
        pa.RunEndEncodedArray.from_arrays(pa.array([1, 4], pa.int16()), pa.array([1.5, None])),
        FREE,
    ),
]

_MEMBERS = [pa.array([1, None, 3], pa.int32()), pa.array(["x", "y", None])]

UNIONS = [
    _case(kind.type, kind, FREE)
    for kind in (
        pa.UnionArray.from_sparse(pa.array([0, 1, 1], pa.int8()), _MEMBERS, ["number", "text"]),
        pa.UnionArray.from_dense(
            pa.array([0, 1, 0], pa.int8()),
            pa.array([0, 0, 1], pa.int32()),
            _MEMBERS,
            ["number", "text"],
        ),
    )
]

EXTENSIONS = [
    _extension(pa.uuid(), [bytes(16), None, b"\xff" * 16, bytes(range(16))]),
    _extension(pa.json_(), ["{}", None, '{"a": [1, 2.50, null]}', '"text"']),
    _extension(pa.json_(pa.large_string()), ["[]", None]),
    _extension(pa.bool8(), [0, None, 1, -5]),
    _extension(
        pa.fixed_shape_tensor(pa.float32(), [2, 2], dim_names=["x", "y"], permutation=[1, 0]),
        [[1.0, 2.0, 3.0, 4.0], None],
    ),
    _extension(pa.fixed_shape_tensor(pa.uint8(), [3]), [[0, 128, 255], None]),
    _extension(pa.opaque(pa.binary(), "geometry", "postgis"), [b"\x01", None], FREE),
    TypeCase(
        "binary with metadata of an extension nobody registered",
        pa.field(
            "v",
            pa.binary(),
            metadata={"ARROW:extension:name": "geoarrow.wkb", "ARROW:extension:metadata": "{}"},
        ),
        pa.array([struct.pack("<bIdd", 1, 1, 2.0, 3.0), None]),
    ),
]

FIELDS = [
    TypeCase(
        "int64, not null, with metadata",
        pa.field("v", pa.int64(), nullable=False, metadata={"unit": "m", b"\x00\xff": b"\xfe"}),
        pa.array([1, 2, -(2**63)]),
    ),
]

CASES: tuple[TypeCase, ...] = (
    *NUMBERS,
    *DECIMALS,
    *WORDS,
    *TIMES,
    *LISTS,
    *STRUCTS,
    *DICTIONARIES,
    *UNIONS,
    *EXTENSIONS,
    *FIELDS,
)
