"""Which values may enter a column of another type: all that lose nothing, and no others."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from flight_server.errors import ErrorCode
from flight_server.testing.conformance.handles import EngineCase, refused, table_of_its_own

WORDS = pa.array(["a", None, "b", "a"])
DAYS = pa.array([0, None, 20_000], pa.date32())

# What comes, and the type of the column it comes into.
SAFE: tuple[tuple[pa.Array, pa.DataType], ...] = (
    (pa.array([1, None, -(2**31)], pa.int32()), pa.int64()),
    (pa.array([1, None, -(2**31)], pa.int64()), pa.int32()),
    (pa.array([0, None, 255], pa.uint8()), pa.int16()),
    (pa.array([0, None, 2**63 - 1], pa.int64()), pa.uint64()),
    (pa.array([1.5, None, -2.25], pa.float32()), pa.float64()),
    (pa.array([1, None, 2**53], pa.int64()), pa.float64()),
    (pa.array([0, None, 255], pa.uint8()), pa.float16()),
    (pa.array([999, None, -999], pa.int64()), pa.decimal128(5, 2)),
    (pa.array([0, None, 2**64 - 1], pa.uint64()), pa.decimal128(20, 0)),
    (pa.array([Decimal("1.50"), None], pa.decimal128(30, 2)), pa.decimal64(6, 1)),
    (WORDS, pa.large_string()),
    (WORDS.cast(pa.large_string()), pa.string()),
    (WORDS.cast(pa.string_view()), pa.string()),
    (WORDS.dictionary_encode(), pa.string()),
    (WORDS, pa.dictionary(pa.int8(), pa.string())),
    (pa.array([b"a", None]), pa.large_binary()),
    (pa.array([1, None, 2], pa.timestamp("s")), pa.timestamp("us")),
    (pa.array([1_000_000, None], pa.timestamp("us")), pa.timestamp("s")),
    (pa.array([1, None], pa.timestamp("us", "UTC")), pa.timestamp("us", "Asia/Tokyo")),
    (DAYS, pa.timestamp("us")),
    (DAYS, pa.date64()),
    (pa.array([1, None], pa.time32("s")), pa.time64("us")),
    (pa.array([1, None], pa.duration("s")), pa.duration("ms")),
    (pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)), pa.decimal128(12, 1)),
    (pa.array([Decimal("1.5"), None], pa.decimal128(10, 1)), pa.decimal128(12, 4)),
    (pa.array([[1], None, []], pa.list_(pa.int32())), pa.list_(pa.int64())),
    (pa.array([{"a": 1}, None], pa.struct([("a", pa.int8())])), pa.struct([("a", pa.int64())])),
    (pa.nulls(3), pa.string()),
    (pa.nulls(3), pa.list_(pa.int64())),
)

# What comes, the column's type, and whether it is the type that never fits or the value.
UNSAFE: tuple[tuple[pa.Array, pa.DataType, ErrorCode], ...] = (
    (pa.array([1, 2**31]), pa.int32(), ErrorCode.INVALID_DATA),
    (pa.array([-1]), pa.uint8(), ErrorCode.INVALID_DATA),
    (pa.array([2**63], pa.uint64()), pa.int64(), ErrorCode.INVALID_DATA),
    (pa.array([1000]), pa.decimal128(5, 2), ErrorCode.INVALID_DATA),
    (pa.array([2**53 + 1]), pa.float64(), ErrorCode.INVALID_DATA),
    (pa.array([1001], pa.timestamp("ms")), pa.timestamp("s"), ErrorCode.INVALID_DATA),
    (pa.array([Decimal("1.55")]), pa.decimal128(10, 1), ErrorCode.INVALID_DATA),
    (pa.array([Decimal("123.4")]), pa.decimal128(3, 1), ErrorCode.INVALID_DATA),
    (pa.array([[2**31]]), pa.list_(pa.int32()), ErrorCode.INVALID_DATA),
    (pa.array([1.0]), pa.int64(), ErrorCode.SCHEMA_MISMATCH),
    (pa.array([1.0]), pa.float32(), ErrorCode.SCHEMA_MISMATCH),
    (pa.array([1.0]), pa.decimal128(5, 2), ErrorCode.SCHEMA_MISMATCH),
    (pa.array([1], pa.int16()), pa.float16(), ErrorCode.SCHEMA_MISMATCH),
    (pa.array([Decimal(1)]), pa.int64(), ErrorCode.SCHEMA_MISMATCH),
    (pa.array([1], pa.timestamp("us")), pa.timestamp("us", "UTC"), ErrorCode.SCHEMA_MISMATCH),
    (pa.array(["1"]), pa.int64(), ErrorCode.SCHEMA_MISMATCH),
    (pa.array([1]), pa.string(), ErrorCode.SCHEMA_MISMATCH),
    (pa.array([1]), pa.bool_(), ErrorCode.SCHEMA_MISMATCH),
    (pa.array([True]), pa.int64(), ErrorCode.SCHEMA_MISMATCH),
    (pa.array(["2020-01-01"]), pa.date32(), ErrorCode.SCHEMA_MISMATCH),
    (pa.array([1], pa.timestamp("s")), pa.date32(), ErrorCode.SCHEMA_MISMATCH),
    (pa.array([1]), pa.timestamp("us"), ErrorCode.SCHEMA_MISMATCH),
    (pa.array(["a"]), pa.binary(), ErrorCode.SCHEMA_MISMATCH),
    (pa.array([["a"]]), pa.list_(pa.int64()), ErrorCode.SCHEMA_MISMATCH),
    (pa.array([1]), pa.list_(pa.int64()), ErrorCode.SCHEMA_MISMATCH),
    (pa.array([1]), pa.struct([("a", pa.int64())]), ErrorCode.SCHEMA_MISMATCH),
)


def _named(cases: Any) -> list[str]:
    return [f"{case[0].type}-{case[1]}" for case in cases]


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """What the column must hold; Arrow's own cast judges whole types where numbers get a scale."""
    if not pa.types.is_decimal(kind):
        return values.cast(kind)
    return pa.array([None if v is None else Decimal(v) for v in values.to_pylist()], kind)


def _innermost(one: pa.DataType, other: pa.DataType) -> tuple[pa.DataType, pa.DataType]:
    """The types that do not fit: those of the items where both are lists."""
    if pa.types.is_list(one) and pa.types.is_list(other):
        return _innermost(one.value_type, other.value_type)
    return one, other


class CastTests(EngineCase):
    """Casts on the way in."""

    @pytest.mark.parametrize(("values", "kind"), SAFE, ids=_named(SAFE))
    def test_safe(self, shared_engine: Any, values: pa.Array, kind: pa.DataType) -> None:
        """The values are the same in the column's type."""
        table = table_of_its_own(shared_engine).create(pa.schema([("v", kind)]))
        assert table.put(pa.table({"v": values})).rows == len(values)
        answer = table.scan()
        assert answer.schema.field("v").type == kind
        assert sorted(map(repr, answer["v"].to_pylist())) == sorted(
            map(repr, _cast(values, kind).to_pylist())
        )

    @pytest.mark.parametrize(("values", "kind", "code"), UNSAFE, ids=_named(UNSAFE))
    def test_unsafe(
        self, shared_engine: Any, values: pa.Array, kind: pa.DataType, code: ErrorCode
    ) -> None:
        """Refused with the column and both types named; nothing is written."""
        table = table_of_its_own(shared_engine).create(pa.schema([("some_value", kind)]))
        types = _innermost(values.type, kind)
        with refused(code, "'some_value", *map(str, types)):
            table.put(pa.table({"some_value": values}))
        assert table.rows() == []

    def test_a_type_that_never_fits_needs_no_rows(self, shared_engine: Any) -> None:
        """It is refused by its schema alone."""
        table = table_of_its_own(shared_engine).create(pa.schema([("v", pa.int64())]))
        with refused(ErrorCode.SCHEMA_MISMATCH, "'v'", "string", "int64"):
            table.put(pa.table({"v": pa.array([], pa.string())}))
