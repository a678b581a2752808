"""What needs nothing on the way out, what is split, and what cannot be said."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest

from flight_server.engines.outbound import Outbound
from flight_server.errors import ErrorCode, InvalidRequest, Unsupported


def test_other_names_nullability_and_metadata_alone_need_nothing() -> None:
    given = pa.schema([("a", pa.int64()), ("b", pa.utf8())])
    wanted = pa.schema(
        [pa.field("a", pa.int64(), nullable=False, metadata={"unit": "m"}), ("b", pa.utf8())],
        metadata={"owner": "me"},
    )
    outbound = Outbound(wanted, given)
    assert outbound.identity
    batch = pa.record_batch([pa.array([1]), pa.array(["x"])], schema=given)
    (result,) = outbound.convert(batch)
    assert result.schema.equals(wanted, check_metadata=True)
    assert result.column(0).buffers()[1].address == batch.column(0).buffers()[1].address


def test_another_name_for_the_items_of_a_list_is_no_copy() -> None:
    given = pa.list_(pa.field("l", pa.int64()))
    wanted = pa.list_(pa.field("item", pa.int64(), nullable=False, metadata={"unit": "m"}))
    outbound = Outbound(pa.schema([("c", wanted)]), pa.schema([("c", given)]))
    assert not outbound.identity
    array = pa.array([[1], None, [2, 3]], given)
    (result,) = outbound.convert(pa.record_batch([array.slice(1)], names=["c"]))
    made = result.column(0)
    assert made.type.equals(wanted, check_metadata=True)
    assert made.to_pylist() == [None, [2, 3]]
    assert made.values.buffers()[1].address == array.values.buffers()[1].address


@pytest.mark.parametrize(
    "data_type",
    [
        pa.dictionary(pa.int8(), pa.utf8()),
        pa.dictionary(pa.uint8(), pa.utf8(), ordered=True),
        pa.list_(pa.dictionary(pa.int8(), pa.utf8())),
        pa.struct([("a", pa.dictionary(pa.int8(), pa.list_(pa.utf8())))]),
        pa.run_end_encoded(pa.int16(), pa.utf8()),
        pa.list_(pa.run_end_encoded(pa.int16(), pa.utf8())),
    ],
    ids=str,
)
def test_a_batch_that_an_encoding_cannot_hold_is_split(data_type: pa.DataType) -> None:
    values = [str(number) for number in range(40_000)]
    array = pa.array(values)
    if pa.types.is_list(data_type):
        array = pa.array([[value] for value in values], pa.list_(pa.field("l", pa.utf8())))
    elif pa.types.is_struct(data_type):
        array = pa.array(
            [{"a": [value]} for value in values],
            pa.struct([("a", pa.list_(pa.field("l", pa.utf8())))]),
        )
    given = pa.record_batch([array], names=["c"])
    parts = Outbound(pa.schema([("c", data_type)]), given.schema).convert(given)
    assert len(parts) > 1
    assert all(part.column(0).type == data_type for part in parts)
    for part in parts:
        part.validate(full=True)
    assert [row for part in parts for row in part.column(0).to_pylist()] == array.to_pylist()


def test_the_largest_dictionary_is_not_split() -> None:
    given = pa.record_batch([pa.array([str(number) for number in range(128)])], names=["c"])
    wanted = pa.schema([("c", pa.dictionary(pa.int8(), pa.utf8()))])
    assert len(Outbound(wanted, given.schema).convert(given)) == 1


def test_a_row_that_no_batch_can_hold_is_said_to_be_so() -> None:
    array = pa.array([[str(number) for number in range(129)]], pa.list_(pa.field("l", pa.utf8())))
    given = pa.record_batch([array], names=["c"])
    wanted = pa.schema([("c", pa.list_(pa.dictionary(pa.int8(), pa.utf8())))])
    with pytest.raises(Unsupported, match="129 distinct values"):
        Outbound(wanted, given.schema).convert(given)


@pytest.mark.parametrize(
    ("array", "data_type"),
    [
        (pa.array([[1, 2, 3]], pa.list_(pa.field("l", pa.int8()))), pa.list_(pa.int8(), 2)),
        (pa.array([b"abc"]), pa.binary(2)),
        (pa.array([1], pa.time64("us")), pa.time32("s")),
        (pa.array([Decimal("1.5")], pa.decimal128(4, 1)), pa.decimal128(3, -1)),
    ],
    ids=str,
)
def test_what_sql_put_there_and_the_type_cannot_hold_names_the_column(
    array: pa.Array, data_type: pa.DataType
) -> None:
    given = pa.record_batch([array], names=["c"])
    with pytest.raises(InvalidRequest, match="'c' holds a value") as caught:
        Outbound(pa.schema([("c", data_type)]), given.schema).convert(given)
    assert caught.value.code is ErrorCode.INVALID_DATA
