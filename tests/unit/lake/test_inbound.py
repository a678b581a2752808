"""What may be put into a column of another type, what may not, and how that is said."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from flight_server.engines.lake.inbound import EARLIEST_NANOSECONDS, Inbound
from flight_server.errors import ErrorCode, InvalidRequest


def convert(array: pa.Array, target: pa.DataType | pa.Field) -> pa.Array:
    """The one column, converted."""
    field = target if isinstance(target, pa.Field) else pa.field("c", target)
    batch = pa.record_batch([array], names=["c"])
    return Inbound(batch.schema, pa.schema([field])).convert(batch).column(0)


U64_MAX = 2**64 - 1
MOMENT = dt.datetime(2024, 5, 6, 7, 8, 9)
ZONED = MOMENT.replace(tzinfo=dt.UTC)

# What comes in, the column's type, and what is stored.
FITS: list[tuple[pa.Array, pa.DataType, list[Any]]] = [
    (pa.array([1, None], pa.int64()), pa.int8(), [1, None]),
    (pa.array([200], pa.uint8()), pa.int16(), [200]),
    (pa.array([2**53]), pa.float64(), [float(2**53)]),
    (pa.array([7], pa.int8()), pa.float16(), [7.0]),
    (pa.array([0.1], pa.float32()), pa.float64(), [pa.scalar(0.1, pa.float32()).as_py()]),
    (pa.array([12, None], pa.int64()), pa.decimal128(4, 2), [Decimal("12.00"), None]),
    (pa.array([U64_MAX], pa.uint64()), pa.decimal128(20, 0), [Decimal(U64_MAX)]),
    (pa.array([9], pa.int32()), pa.decimal32(3, 1), [Decimal("9.0")]),
    (pa.array([Decimal("1.50")]), pa.decimal128(9, 1), [Decimal("1.5")]),
    (pa.array([Decimal("1.5")], pa.decimal256(60, 30)), pa.decimal32(9, 1), [Decimal("1.5")]),
    (pa.array(["a", None], pa.large_utf8()), pa.utf8(), ["a", None]),
    (pa.array(["a", None], pa.string_view()), pa.utf8(), ["a", None]),
    (pa.array(["a"]), pa.string_view(), ["a"]),
    (pa.array([b"ab", None], pa.large_binary()), pa.binary(2), [b"ab", None]),
    (pa.array([b"ab"], pa.binary(2)), pa.binary_view(), [b"ab"]),
    (pa.array([dt.date(2024, 1, 2)]), pa.timestamp("us"), [dt.datetime(2024, 1, 2)]),
    (pa.array([dt.date(2024, 1, 2)]), pa.date64(), [dt.date(2024, 1, 2)]),
    (pa.array([MOMENT], pa.timestamp("ns")), pa.timestamp("s"), [MOMENT]),
    (pa.array([ZONED], pa.timestamp("ms", "Asia/Tokyo")), pa.timestamp("us", "UTC"), [ZONED]),
    (pa.array([ZONED], pa.timestamp("s", "Asia/Tokyo")), pa.timestamp("ns", "UTC"), [MOMENT]),
    (pa.array([3], pa.time32("s")), pa.time64("ns"), [3_000_000_000]),
    (pa.array([5], pa.duration("s")), pa.duration("ms"), [5000]),
    (pa.nulls(2), pa.list_(pa.int8(), 4), [None, None]),
    (pa.nulls(1), pa.uuid(), [None]),
    (pa.array(["a", None, "a"]).dictionary_encode(), pa.utf8(), ["a", None, "a"]),
    (pa.array(["a", None]), pa.dictionary(pa.int8(), pa.large_utf8()), ["a", None]),
    (pa.array([1, 300]).dictionary_encode(), pa.int16(), [1, 300]),
    (pa.array([1, 1, 2]), pa.run_end_encoded(pa.int16(), pa.int8()), [1, 1, 2]),
    (pa.array([[1, 2], None, []]), pa.large_list(pa.int8()), [[1, 2], None, []]),
    (pa.array([[1, 2], None]), pa.list_(pa.float64(), 2), [[1.0, 2.0], None]),
    (pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), pa.list_(pa.int8()), [[1, 2], None]),
    (
        pa.array([{"B": 1, "a": "x"}, None]),
        pa.struct([("a", pa.utf8()), ("b", pa.int16()), ("extra", pa.int8())]),
        [{"a": "x", "b": 1, "extra": None}, None],
    ),
    (
        pa.array([[("k", 1)], None], pa.map_(pa.utf8(), pa.int64())),
        pa.map_(pa.large_utf8(), pa.int8()),
        [[("k", 1)], None],
    ),
    (pa.array(['{"a": 1}']), pa.json_(), ['{"a": 1}']),
    (
        pa.array(["12345678-9abc-4def-8123-456789abcdef"]),
        pa.uuid(),
        ["12345678-9abc-4def-8123-456789abcdef"],
    ),
    (pa.array([b"x" * 16], pa.uuid()), pa.binary(16), [b"x" * 16]),
    (pa.array([1], pa.int8()).view(pa.int8()), pa.bool8(), [1]),
]

# Never cast, whatever the values: what comes in, and the column's type.
REFUSED: list[tuple[pa.DataType, pa.DataType]] = [
    (pa.float64(), pa.float32()),
    (pa.float32(), pa.float16()),
    (pa.int16(), pa.float16()),
    (pa.float64(), pa.int64()),
    (pa.decimal128(5, 0), pa.int64()),
    (pa.decimal128(5, 2), pa.float64()),
    (pa.utf8(), pa.int64()),
    (pa.int64(), pa.utf8()),
    (pa.bool_(), pa.int8()),
    (pa.binary(), pa.utf8()),
    (pa.utf8(), pa.binary()),
    (pa.utf8(), pa.timestamp("us")),
    (pa.timestamp("us"), pa.date32()),
    (pa.timestamp("us"), pa.timestamp("us", "UTC")),
    (pa.timestamp("us", "UTC"), pa.timestamp("us")),
    (pa.int64(), pa.duration("s")),
    (pa.binary(3), pa.binary(4)),
    (pa.list_(pa.int8(), 3), pa.list_(pa.int8(), 4)),
    (pa.list_(pa.utf8()), pa.list_(pa.int8())),
    (pa.int8(), pa.list_(pa.int8())),
    (pa.dictionary(pa.int8(), pa.utf8()), pa.int8()),
    (pa.list_(pa.struct([("key", pa.int8())])), pa.map_(pa.int8(), pa.int8())),
    (pa.uuid(), pa.json_()),
    (pa.fixed_shape_tensor(pa.int8(), (2, 3)), pa.fixed_shape_tensor(pa.int8(), (3, 3))),
    (pa.dense_union([pa.field("a", pa.int8())]), pa.int8()),
]

# A cast that is safe by type, and a value that is not; the message quotes the last.
TOO_MUCH: list[tuple[pa.Array, pa.DataType, str]] = [
    (pa.array([1, 300]), pa.int8(), "300"),
    (pa.array([-1]), pa.uint64(), "-1"),
    (pa.array([2**53 + 1]), pa.float64(), "9007199254740993"),
    (pa.array([1000]), pa.decimal128(4, 2), "precision"),
    (pa.array([U64_MAX], pa.uint64()), pa.decimal32(9, 0), "precision"),
    (pa.array([Decimal("1.55")]), pa.decimal128(9, 1), "data loss"),
    (pa.array([Decimal("21474836.47")], pa.decimal128(20, 3)), pa.decimal32(9, 2), "precision"),
    (pa.array([b"abc"]), pa.binary(2), "width"),
    (pa.array([1001], pa.time64("us")), pa.time32("ms"), "1001"),
    (pa.array([1], pa.timestamp("ns")), pa.timestamp("us"), "lose data"),
    (pa.array([2**62], pa.timestamp("s", "UTC")), pa.timestamp("us", "UTC"), "out of bounds"),
    (pa.array([[1], [1, 2, 3], None]), pa.list_(pa.int64(), 1), "3"),
    (pa.array([[1, 300]]), pa.list_(pa.int8()), "300"),
    (pa.array([{"a": 300}]), pa.struct([("a", pa.int8())]), "300"),
]


@pytest.mark.parametrize(("array", "target", "stored"), FITS, ids=str)
def test_a_safe_cast_is_made(array: pa.Array, target: pa.DataType, stored: list[Any]) -> None:
    result = convert(array, target)
    result.validate(full=True)
    if pa.types.is_integer(result.type) and not pa.types.is_integer(target):
        result = result.cast(pa.int64())
    values = result.to_pylist()
    assert values == stored
    # The same as a slice of something larger.
    sliced = convert(pa.concat_arrays([array, array]).slice(len(array)), target)
    assert sliced.to_pylist() == values


@pytest.mark.parametrize(("source", "target"), REFUSED, ids=str)
def test_an_unsafe_cast_is_refused_by_type(source: pa.DataType, target: pa.DataType) -> None:
    with pytest.raises(InvalidRequest, match="without risk") as caught:
        Inbound(pa.schema([("c", source)]), pa.schema([("c", target)]))
    assert caught.value.code is ErrorCode.SCHEMA_MISMATCH
    assert caught.value.message.startswith("Column 'c")


@pytest.mark.parametrize(("array", "target", "quoted"), TOO_MUCH, ids=str)
def test_a_value_that_does_not_fit_is_quoted(
    array: pa.Array, target: pa.DataType, quoted: str
) -> None:
    with pytest.raises(InvalidRequest, match="cannot take") as caught:
        convert(array, target)
    assert caught.value.code is ErrorCode.INVALID_DATA
    assert quoted in caught.value.message
    assert caught.value.message.startswith("Column 'c")


def test_columns_are_matched_by_name_and_put_in_order() -> None:
    target = pa.schema([("id", pa.int64()), ("name", pa.utf8()), ("note", pa.utf8())])
    batch = pa.record_batch([pa.array(["x"]), pa.array([1])], names=["NAME", "id"])
    inbound = Inbound(batch.schema, target)
    assert inbound.missing == ("note",)
    result = inbound.convert(batch)
    assert result.schema.names == ["id", "name"]
    assert result.to_pylist() == [{"id": 1, "name": "x"}]


@pytest.mark.parametrize(
    ("incoming", "remedy"),
    [
        (["id", "nmae"], "Did you mean 'name'"),
        (["id", "ID"], "twice"),
        (["id", "id"], "twice"),
        (["unlike"], "no column 'unlike'"),
    ],
)
def test_columns_that_do_not_match_are_named(incoming: list[str], remedy: str) -> None:
    target = pa.schema([("id", pa.int8()), ("name", pa.int8())])
    with pytest.raises(InvalidRequest, match=remedy) as caught:
        Inbound(pa.schema([(name, pa.int8()) for name in incoming]), target)
    assert caught.value.code is ErrorCode.SCHEMA_MISMATCH


def test_the_fields_of_structs_are_checked_like_columns() -> None:
    required = pa.struct([pa.field("a", pa.int8(), nullable=False), ("b", pa.int8())])
    with pytest.raises(InvalidRequest, match=r"'c\.a' is declared not null and does not come in"):
        Inbound(pa.schema([("c", pa.struct([("b", pa.int8())]))]), pa.schema([("c", required)]))
    with pytest.raises(InvalidRequest, match="column 'c' has no column 'x'"):
        Inbound(
            pa.schema([("c", pa.struct([("a", pa.int8()), ("x", pa.int8())]))]),
            pa.schema([("c", required)]),
        )


_ITEM = pa.field("item", pa.int8(), nullable=False)
NULLS: list[tuple[str, Any, pa.DataType]] = [
    ("c", [None], pa.int8()),
    ("c[]", [[1, None]], pa.list_(_ITEM)),
    ("c[]", [[1, None]], pa.list_(_ITEM, 2)),
    ("c[]", [[None]], pa.list_view(_ITEM)),
    ("c.item", [{"item": None}], pa.struct([_ITEM])),
    ("c[].item", [[{"item": 1}, {"item": None}]], pa.list_(pa.struct([_ITEM]))),
    ("c.value", [[("k", None)]], pa.map_(pa.utf8(), pa.field("value", pa.int8(), nullable=False))),
    ("c.item", [{"item": None}], pa.struct([pa.field("item", pa.float16(), nullable=False)])),
]


@pytest.mark.parametrize(("path", "values", "data_type"), NULLS, ids=str)
def test_a_null_where_none_may_be_is_named(path: str, values: Any, data_type: pa.DataType) -> None:
    field = pa.field("c", data_type, nullable=path != "c")
    with pytest.raises(InvalidRequest, match="not null") as caught:
        convert(pa.array(values, data_type), field)
    assert caught.value.code is ErrorCode.INVALID_DATA
    assert f"'{path}'" in caught.value.message


def test_what_a_null_parent_hides_is_neither_null_nor_too_much() -> None:
    child = pa.array([300, 1, None])
    parent = pa.StructArray.from_arrays([child], names=["item"], mask=pa.array([True, False, True]))
    target = pa.struct([_ITEM])
    assert convert(parent, target).to_pylist() == [None, {"item": 1}, None]


def test_equal_types_are_passed_without_a_copy() -> None:
    arrays = [
        pa.array([1, None, 3]),
        pa.array(["a", "b", None]),
        pa.array([[1], None, []]),
        pa.array([1, 2, 3], pa.timestamp("us", "UTC")),
    ]
    batch = pa.record_batch(arrays, names=["a", "b", "c", "d"])
    result = Inbound(batch.schema, batch.schema).convert(batch)
    for before, after in zip(batch.columns, result.columns, strict=True):
        assert [buffer and buffer.address for buffer in before.buffers()] == [
            buffer and buffer.address for buffer in after.buffers()
        ]


def test_metadata_does_not_reach_duckdb() -> None:
    label = {"ARROW:extension:name": "arrow.uuid"}
    inner = pa.field("item", pa.binary(16), metadata=label)
    schema = pa.schema([pa.field("c", pa.list_(inner), metadata=label)], metadata=label)
    made = Inbound(schema, schema).schema
    assert made.metadata is None
    assert made.field("c").metadata is None
    assert made.field("c").type.value_field.metadata is None


def test_times_before_the_first_that_files_keep_are_refused() -> None:
    schema = pa.schema([pa.field("when", pa.timestamp("ns"))])
    inbound = Inbound(schema, schema)
    first = pa.record_batch([pa.array([EARLIEST_NANOSECONDS], pa.timestamp("ns"))], schema=schema)
    assert inbound.convert(first).num_rows == 1
    earlier = pa.array([EARLIEST_NANOSECONDS - 1], pa.timestamp("ns"))
    with pytest.raises(InvalidRequest, match=r"'when'.*1677-09-22"):
        inbound.convert(pa.record_batch([earlier], schema=schema))
