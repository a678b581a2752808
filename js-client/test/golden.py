"""Streams as pyarrow writes them, with the rows that are in them, for the client's tests.

    python golden.py FOLDER

writes a file for each case and `cases.json`, a list of what is in them. Values stand there as JSON
that keeps all digits: an object with one member, which says what kind of value it is.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from flight_server.testing.types import CASES

UNITS = ("s", "ms", "us", "ns")
UNREAD = {
    pa.types.is_list_view: "list_view",
    pa.types.is_large_list_view: "large_list_view",
    pa.types.is_run_end_encoded: "run_end_encoded",
}
Batches = list[pa.RecordBatch]


def main(folder: Path) -> None:
    """Writes all of them."""
    told = []
    for number, (name, batches, options) in enumerate(cases()):
        file = f"{number}.arrow"
        schema = batches[0].schema
        with pa.ipc.new_stream(folder / file, schema, options=options) as writer:
            for batch in batches:
                writer.write_batch(batch)
        columns = [[row(scalar) for b in batches for scalar in b[i]] for i in range(len(schema))]
        told.append(
            {
                "name": name,
                "file": file,
                "names": schema.names,
                "rows": sum(batch.num_rows for batch in batches),
                "columns": columns,
                "unread": next(filter(None, (unread(field) for field in schema)), None),
            }
        )
    (folder / "cases.json").write_text(json.dumps(told))


def cases() -> Iterator[tuple[str, Batches, pa.ipc.IpcWriteOptions]]:
    """A name, batches, and how they are written."""
    plain = pa.ipc.IpcWriteOptions()
    for case in CASES:
        schema, values = case.schema, case.values
        # Whole, nothing of it, a piece of it, and nulls alone.
        pieces = [values, values[:0], values[1:], values[1:-1]]
        if case.field.nullable and not pa.types.is_union(case.field.type):
            pieces.append(nulls(case.field.type))
        batches = [batch(schema, piece) for piece in pieces]
        yield case.name, batches, plain
        if unread(case.field) is None:
            for codec in ("zstd", "lz4"):
                options = pa.ipc.IpcWriteOptions(compression=codec)
                yield f"{case.name} in {codec}", batches, options
    for name, batches in shapes():
        yield name, batches, plain
    for codec in ("zstd", "lz4"):
        options = pa.ipc.IpcWriteOptions(compression=codec)
        yield f"large buffers in {codec}", [large()], options
    deltas = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    yield "a dictionary that grows", growing(), deltas
    yield "a dictionary that is replaced", growing(), plain
    yield "nested dictionaries that grow", nested_growing(), deltas
    old = [batch(case.schema, case.values) for case in CASES if case.name.startswith("int64")][:1]
    yield "before Arrow 0.15", old, pa.ipc.IpcWriteOptions(use_legacy_format=True)
    version = pa.ipc.MetadataVersion.V4
    before_1 = pa.ipc.IpcWriteOptions(metadata_version=version)
    yield "before Arrow 1.0", old, before_1
    for case in CASES:
        if pa.types.is_union(case.field.type):
            yield f"{case.name} before Arrow 1.0", [batch(case.schema, case.values)], before_1


def shapes() -> Iterator[tuple[str, Batches]]:
    """What is unusual in its form."""
    yield "no columns", [pa.RecordBatch.from_struct_array(pa.array([{}, {}], pa.struct([])))]
    yield "no rows", [pa.record_batch({"v": pa.array([], pa.string())})]
    twice = [pa.array([1, 2], pa.int32()), pa.array(["a", None])]
    yield "two columns of one name", [pa.RecordBatch.from_arrays(twice, names=["v", "v"])]
    odd = ["", "__proto__", "constructor", "a\u0000b", "空", '"q"', "length"]
    arrays = [pa.array([number], pa.int8()) for number in range(len(odd))]
    yield "odd names", [pa.RecordBatch.from_arrays(arrays, names=odd)]
    yield "views of several buffers", [pa.record_batch({"v": views()})]
    deep: pa.Array = pa.array([1, None, 3], pa.int64())
    for _ in range(20):
        deep = pa.ListArray.from_arrays(pa.array([0, 1, 1, 3][: len(deep) + 1], pa.int32()), deep)
        deep = pa.StructArray.from_arrays([deep], names=["s"])
    yield "twenty levels", [pa.record_batch({"v": deep})]
    many = {f"c{number}": pa.array([number, None], pa.int16()) for number in range(300)}
    yield "three hundred columns", [pa.record_batch(many)]
    bits = pa.array([None if n % 3 == 0 else n % 2 == 0 for n in range(1000)])
    yield "bits from the middle of a byte", [pa.record_batch({"v": bits[13:]})]
    ends = [n + d for n in (0, 2**31, 2**32, 2**53, 2**63, 2**64) for d in (-1, 0, 1)]
    both = [Decimal(sign * n).scaleb(-2) for n in ends for sign in (1, -1)]
    for width in (pa.decimal128(38, 2), pa.decimal256(76, 2)):
        yield f"{width} where words end", [pa.record_batch({"v": pa.array(both, width)})]
    few = [Decimal(n).scaleb(-2) for n in (0, 1, -1, 99, -100, 2**31 - 1, -(2**31))]
    narrow = [pa.array(few[:5], pa.decimal32(9, 2)), pa.array(few, pa.decimal64(18, 2))]
    for column in narrow:
        yield f"{column.type} of few digits", [pa.record_batch({"v": column})]
    yield "extensions in lists", [pa.record_batch({"v": extensions()})]


def extensions() -> pa.Array:
    """Lists of structs of UUIDs and JSON."""
    ids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16), None], pa.binary(16)))
    texts = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}', "[]"]))
    inner = pa.StructArray.from_arrays([ids, texts], names=["id", "told"])
    return pa.ListArray.from_arrays(pa.array([0, 1, 1, 2], pa.int32()), inner)


def views() -> pa.Array:
    """Texts that are too long to stand in their views, from arrays that were joined."""
    pieces = [pa.array([f"number {n:>100}", "short"], pa.string_view()) for n in range(3)]
    return pa.concat_arrays(pieces)


def large() -> pa.RecordBatch:
    """Columns of several blocks of a codec: of one value, of few, and of what does not shrink."""
    count = 40_000
    noise = random.Random(7).randbytes(8 * count)
    return pa.record_batch(
        {
            "zero": pa.array([0] * count, pa.int64()),
            "text": pa.array([f"row {number % 100}" for number in range(count)]),
            "noise": pa.Array.from_buffers(pa.int64(), count, [None, pa.py_buffer(noise)]),
        }
    )


def growing() -> Batches:
    """Batches of one column, whose dictionary has more in each."""
    values = ["a", "b", "c", "d"]
    schema = pa.schema([pa.field("v", pa.dictionary(pa.int8(), pa.string()))])
    return [
        pa.RecordBatch.from_arrays(
            [
                pa.DictionaryArray.from_arrays(
                    pa.array([size - 1, None, 0], pa.int8()), pa.array(values[:size])
                )
            ],
            schema=schema,
        )
        for size in (1, 2, 4)
    ]


def nested_growing() -> Batches:
    """The same in a list of structs."""
    batches = []
    for one in growing():
        inner = pa.StructArray.from_arrays([one.column(0)], names=["word"])
        batches.append(
            pa.record_batch({"v": pa.ListArray.from_arrays(pa.array([0, 2, 3], pa.int32()), inner)})
        )
    return batches


def batch(schema: pa.Schema, values: pa.Array) -> pa.RecordBatch:
    """A batch of these values, numbered."""
    return pa.RecordBatch.from_arrays(
        [pa.array(range(len(values)), pa.int32()), values], schema=schema
    )


def nulls(kind: pa.DataType) -> pa.Array:
    """Three nulls of the type."""
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, pa.nulls(3, kind.storage_type))
    return pa.nulls(3, kind)


def unread(field: pa.Field, path: str = "") -> str | None:
    """The column and the type that apache-arrow cannot read, if the field has one."""
    kind, name = field.type, path + field.name
    for is_kind, called in UNREAD.items():
        if is_kind(kind):
            return f"'{name}' is {called}"
    if pa.types.is_dictionary(kind):
        return unread(pa.field(field.name, kind.value_type), path)
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    inner = (kind.field(index) for index in range(kind.num_fields))
    return next(filter(None, (unread(child, f"{name}.") for child in inner)), None)


def row(scalar: pa.Scalar) -> Any:
    """A value as JSON with all its digits."""
    if not scalar.is_valid:
        return None
    kind = scalar.type
    if isinstance(kind, pa.BaseExtensionType):
        return _extended(kind, scalar)
    wrapped = pa.types.is_dictionary, pa.types.is_union, pa.types.is_run_end_encoded
    if any(is_kind(kind) for is_kind in wrapped):
        return row(scalar.value)
    if pa.types.is_map(kind):
        return {"map": [[row(entry["key"]), row(entry["value"])] for entry in scalar.values]}
    if isinstance(scalar, pa.ListScalar):
        return {"list": [row(item) for item in scalar.values]}
    if pa.types.is_struct(kind):
        return {"struct": [[field.name, row(scalar[field.name])] for field in kind]}
    return _plain(kind, scalar)


def _extended(kind: pa.BaseExtensionType, scalar: pa.Scalar) -> Any:
    if kind.extension_name == "arrow.uuid":
        return {"uuid": str(scalar.as_py())}
    if kind.extension_name == "arrow.json":
        return {"json": scalar.value.as_py()}
    if kind.extension_name == "arrow.bool8":
        return scalar.value.as_py() != 0
    return row(scalar.value)


def _plain(kind: pa.DataType, scalar: pa.Scalar) -> Any:
    for is_kind, tell in PLAIN:
        if is_kind(kind):
            return tell(kind, scalar)
    raise TypeError(f"{kind} is no type that is known here")


def _is_wide(kind: pa.DataType) -> bool:
    return bool(pa.types.is_int64(kind) or pa.types.is_uint64(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    fixed = pa.types.is_fixed_size_binary(kind)
    views = pa.types.is_binary_view(kind)
    return bool(fixed or views or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_text(kind: pa.DataType) -> bool:
    is_large = pa.types.is_large_string(kind)
    return bool(is_large or pa.types.is_string(kind) or pa.types.is_string_view(kind))


def _timestamp(kind: pa.DataType, scalar: pa.Scalar) -> Any:
    moment = {"count": str(scalar.value), "unit": kind.unit, "zone": kind.tz is not None}
    return {"timestamp": moment}


def _interval(kind: pa.DataType, scalar: pa.Scalar) -> Any:
    months, days, nanoseconds = scalar.as_py()
    return {"interval": [months, days, str(nanoseconds)]}


def _time(kind: pa.DataType, scalar: pa.Scalar) -> Any:
    per_second = 1000 ** UNITS.index(kind.unit)
    seconds, rest = divmod(scalar.value, per_second)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    fraction = str(Decimal(rest) / per_second)[1:] if rest else ""
    return {"time": clock + fraction}


PLAIN: list[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType, Any], Any]]] = [
    (pa.types.is_boolean, lambda _, scalar: scalar.as_py()),
    (_is_wide, lambda _, scalar: {"int": str(scalar.as_py())}),
    (pa.types.is_integer, lambda _, scalar: scalar.as_py()),
    (pa.types.is_floating, lambda _, scalar: {"float": repr(float(scalar.as_py()))}),
    (pa.types.is_decimal, lambda _, scalar: {"decimal": format(scalar.as_py(), "f")}),
    (_is_text, lambda _, scalar: scalar.as_py()),
    (_is_bytes, lambda _, scalar: {"hex": scalar.as_py().hex()}),
    (pa.types.is_date32, lambda _, scalar: {"date": scalar.value * 86_400_000}),
    (pa.types.is_date64, lambda _, scalar: {"date": scalar.value}),
    (pa.types.is_time, _time),
    (pa.types.is_timestamp, _timestamp),
    (pa.types.is_duration, lambda _, scalar: {"int": str(scalar.value)}),
    (pa.types.is_interval, _interval),
]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
