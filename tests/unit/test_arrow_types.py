"""Types as text: what is written is read back, what pyarrow prints is read, the rest is refused."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server.arrow_types import (
    columns_of,
    parse_type,
    schema_from_ipc,
    schema_to_ipc,
    write_type,
)
from flight_server.bodies.actions import CreateTable
from flight_server.errors import ErrorCode, InvalidRequest

SIMPLE = [
    *(pa.null(), pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64()),
    *(pa.string(), pa.large_string(), pa.string_view()),
    *(pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(16)),
    *(pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
    *(pa.timestamp("us"), pa.timestamp("ns", "UTC"), pa.timestamp("s", "+02:00")),
    *(pa.timestamp("ms", "America/Port-au-Prince"), pa.timestamp("ms", "Etc/GMT+1")),
    *(pa.duration("s"), pa.duration("ns"), pa.month_day_nano_interval()),
    *(pa.decimal32(9, 2), pa.decimal64(18, 0), pa.decimal128(38, -3), pa.decimal256(76, 10)),
    *(pa.uuid(), pa.json_(), pa.bool8(), pa.fixed_shape_tensor(pa.float32(), [2, 3])),
    *(pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.int64(), ordered=True)),
]
NAMES = st.text(st.characters(min_codepoint=32, codec="utf-8"), min_size=1, max_size=8)


def nested(inner: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    fields = st.builds(pa.field, NAMES, inner, nullable=st.booleans())
    return st.one_of(
        st.builds(pa.list_, fields),
        st.builds(pa.large_list, fields),
        st.builds(pa.list_view, fields),
        st.builds(pa.large_list_view, fields),
        st.builds(pa.list_, fields, st.integers(0, 9)),
        st.builds(pa.struct, st.lists(fields, max_size=3, unique_by=lambda field: field.name)),
        st.builds(pa.map_, inner, inner, keys_sorted=st.booleans()),
    )


# Fields of the null type cannot be non-nullable, nor can keys of maps be null.
TYPES = st.recursive(st.sampled_from(SIMPLE[1:]), nested, max_leaves=6)


@given(TYPES)
def test_what_is_written_is_read_back(kind: pa.DataType) -> None:
    assert parse_type(write_type(kind)) == kind


@pytest.mark.parametrize("kind", SIMPLE, ids=str)
def test_what_pyarrow_prints_is_read(kind: pa.DataType) -> None:
    if not isinstance(kind, pa.FixedShapeTensorType):
        assert parse_type(str(kind)) == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("utf8", pa.string()),
        (" Int64 ", pa.int64()),
        ("int", pa.int64()),
        ("float64", pa.float64()),
        ("decimal(10,2)", pa.decimal128(10, 2)),
        ("decimal(10)", pa.decimal128(10, 0)),
        ("timestamp[us, UTC]", pa.timestamp("us", "UTC")),
        ("timestamp[us,tz=UTC]", pa.timestamp("us", "UTC")),
        ("date", pa.date32()),
        ("list<int32>", pa.list_(pa.int32())),
        ("fixed_size_list<float32>[3]", pa.list_(pa.float32(), 3)),
        ("struct<>", pa.struct([])),
        ('struct<"a, b": int8 NOT NULL>', pa.struct([pa.field("a, b", pa.int8(), False)])),
        ("map<string, list<int8>>", pa.map_(pa.string(), pa.list_(pa.int8()))),
        ("dictionary<values=string>", pa.dictionary(pa.int32(), pa.string())),
    ],
)
def test_short_forms(text: str, kind: pa.DataType) -> None:
    assert parse_type(text) == kind


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a type is missing at the end"),
        ("strng", "there is no type 'strng'. Did you mean 'string'?"),
        ("varchar", "there is no type 'varchar'. Write 'string'."),
        ("list<bigint>", "there is no type 'bigint'. Write 'int64'."),
        ("int64 int64", "'int64' follows"),
        ("decimal128(99, 2)", "precision"),
        ("list<int32", "'>' is missing at the end"),
        ("struct<int32>", "a field's name and ':'"),
        ("timestamp[fortnight]", "unit"),
        ("fixed_size_binary[-1]", "size"),
        ("dictionary<indices=int8>", "write dictionary<"),
        ("dictionary<values=int8, wrong=int8>", "write dictionary<"),
        ("map<string>", "',' is missing before '>'"),
        ("list<" * 70 + "int8" + ">" * 70, "64 deep"),
    ],
)
def test_refusals_say_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_type(text)
    assert caught.value.code is ErrorCode.UNSUPPORTED_TYPE
    assert says in caught.value.message


@given(st.text(max_size=40))
def test_no_text_is_a_bug(text: str) -> None:
    try:
        kind = parse_type(text)
    except InvalidRequest:
        return
    assert isinstance(kind, pa.DataType)


def test_a_schema_as_columns_and_back() -> None:
    columns = [
        {"name": "id", "type": "int64", "nullable": False, "metadata": {}},
        {"name": "note", "type": "list<item: string>", "nullable": True, "metadata": {"a": "b"}},
    ]
    schema = CreateTable.model_validate({"table": "t", "columns": columns}).spec().schema
    assert schema.field("id").nullable is False
    assert schema.field("note").metadata == {b"a": b"b"}
    assert columns_of(schema) == columns


def test_a_schema_as_a_message_and_back() -> None:
    schema = pa.schema([pa.field("a", pa.int8(), False, {"k": "v"})], metadata={"m": "n"})
    assert schema_from_ipc(schema_to_ipc(schema)).equals(schema, check_metadata=True)


@pytest.mark.parametrize("text", ["", "!", "aGVsbG8gd29ybGQ="])
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="schema_ipc"):
        schema_from_ipc(text)
