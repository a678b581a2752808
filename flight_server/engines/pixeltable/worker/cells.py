"""Cells as they lie in Pixeltable's PostgreSQL, as Arrow.

Arrays and bytes of more than 512 bytes lie in files, each many cells one after the other; what is
told of a cell says in which, and from where to where. JSON may refer to such places from within.
Arrays are in NumPy's NPY format (numpy.lib.format), those of truth values as packed bits.
"""

from __future__ import annotations

import io
import json
import mmap
from collections.abc import Mapping
from contextlib import ExitStack, closing
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
from pixeltable.exec.cell_reconstruction_node import (
    CellFileReader,
    json_has_inlined_objs,
    load_array,
    reconstruct_json,
)

from flight_server.engines.pixeltable.worker.columns import (
    Column,
    Shape,
    extension,
    fixed,
    json_text,
    tensors,
)

# The start of a file of NumPy's, and where the length of its header stands.
_MAGIC, _LENGTH_AT = b"\x93NUMPY\x01\x00", 8

_PLACE = pa.struct({"start": pa.int64(), "end": pa.int64(), "is_bool": pa.bool_()})
_PLACES = pa.schema({"array_md": _PLACE, "file_urls": pa.list_(pa.string())})
# What Pixeltable tells of cells, its JSON as it is, by the numbers of their rows.
Cells = Mapping[int, Mapping[str, Any]]


class Unfit(Exception):
    """This query, or a cell of it, is not for the fast lane."""


def converted(column: Column, values: pa.Array, told: pa.Array | None) -> pa.Array:
    """A column of the SQL as the column of the table. Unfit."""
    match column.shape:
        case Shape.JSON:
            return _json(column, values, told)
        case Shape.BINARY:
            return _whole_bytes(values, _in_files(told), "binary_md").cast(column.kept)
        case Shape.ARRAY:
            return _arrays(column, values, told)
        case _:
            return _plain(column, values)


def _plain(column: Column, values: pa.Array) -> pa.Array:
    arrow = column.kept
    if values.type == arrow:
        return values
    try:
        return values.cast(arrow)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise Unfit(f"'{column.name}' came as {values.type}") from error


def _json(column: Column, values: pa.Array, told: pa.Array | None) -> pa.Array:
    arrow = column.kept
    storage = getattr(values, "storage", values)
    cells = _in_files(told)
    if not cells:
        return pa.ExtensionArray.from_storage(arrow, storage.cast(arrow.storage_type))
    texts = storage.to_pylist()
    with closing(CellFileReader()) as files:
        for at, cell in cells.items():
            value = json.loads(texts[at])
            if json_has_inlined_objs(value):
                value = reconstruct_json(value, cell["file_urls"], files)
            texts[at] = json_text(value)
    return extension(arrow, texts)


def _whole_bytes(values: pa.Array, cells: Cells, kind: str) -> pa.Array:
    """Bytes, with those that lie in files in their places. `kind` is how the place is called."""
    if not cells:
        return values
    whole: list[bytes | None] = values.to_pylist()
    with ExitStack() as opened:
        files = opened.enter_context(closing(CellFileReader()))
        mapped: dict[str, mmap.mmap] = {}
        for at, cell in cells.items():
            (url,), place = cell["file_urls"], cell[kind]
            if url not in mapped:
                file = files.open_file(url)
                found = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                mapped[url] = opened.enter_context(found)
            whole[at] = mapped[url][place["start"] : place["end"]]
    return pa.array(whole, pa.large_binary())


def _arrays(column: Column, values: pa.Array, told: pa.Array | None) -> pa.Array:
    if not (pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)):
        raise Unfit(f"'{column.name}' came as {values.type}")
    if (alike := _read_at_once(column, values, told)) is not None:
        return alike
    cells = _in_files(told)
    files = _whole_bytes(values, cells, "array_md")
    if not any(cell["array_md"].get("is_bool") for cell in cells.values()):
        stacked = _stacked(column, files)
        if stacked is not None:
            return stacked
    arrays = [_loaded(file, cells.get(at)) for at, file in enumerate(files.to_pylist())]
    return tensors(column, arrays)


def _read_at_once(column: Column, values: pa.Array, told: pa.Array | None) -> pa.Array | None:
    """Arrays of one shape that all lie in files, without a step for each; None where they do not.

    A thousand of them take a tenth of the time that they take one by one.
    """
    if told is None or not _is_fixed(column) or values.null_count < len(values):
        return None
    texts = getattr(told, "storage", told)
    cells = _told_at_once(texts)
    if cells is None:
        return None
    starts, ends = (cells[name].to_numpy() for name in ("start", "end"))
    length = int(ends[0] - starts[0])
    if (ends - starts != length).any():
        return None
    urls = cells["url"].combine_chunks().dictionary_encode()
    numbers = urls.indices.to_numpy()
    with ExitStack() as opened:
        files = opened.enter_context(closing(CellFileReader()))
        mapped = [np.memmap(files.open_file(url.as_py()), np.uint8, "r") for url in urls.dictionary]
        if len(mapped) == 1:
            rows = _windows(mapped[0], starts, length)
        else:
            rows = np.empty((len(starts), length), np.uint8)
            for number, file in enumerate(mapped):
                rows[numbers == number] = _windows(file, starts[numbers == number], length)
        return _unpacked(column, rows, texts.is_null().to_numpy(zero_copy_only=False))


def _windows(
    file: np.ndarray[Any, Any], starts: np.ndarray[Any, Any], length: int
) -> np.ndarray[Any, Any]:
    """So many bytes from each start on; without a copy where they lie one behind the other."""
    first, end = int(starts[0]), int(starts[-1]) + length
    if end - first == length * len(starts) and (np.diff(starts) == length).all():
        return file[first:end].reshape(-1, length)
    copied: np.ndarray[Any, Any]
    copied = np.lib.stride_tricks.sliding_window_view(file, length)[starts]
    return copied


def _told_at_once(texts: pa.Array) -> pa.Table | None:
    """Where each cell lies, of those that lie anywhere; None where a cell is told of otherwise."""
    present = texts.drop_null()
    if not len(present):
        return None
    lines = pc.binary_join(pa.array([present.to_pylist()]), "\n")[0].as_buffer()
    found = pyarrow.json.read_json(
        pa.BufferReader(lines), parse_options=pyarrow.json.ParseOptions(_PLACES)
    ).combine_chunks()
    place, urls = found["array_md"].chunk(0), found["file_urls"].chunk(0)
    one_each = pc.all(pc.equal(pc.list_value_length(urls), 1)).as_py()
    if not one_each or place.null_count or pc.any(place.field("is_bool")).as_py():
        return None
    return pa.table(
        {"start": place.field("start"), "end": place.field("end"), "url": urls.flatten()}
    )


def _stacked(column: Column, files: pa.Array) -> pa.Array | None:
    """Arrays of one shape without a step for each: None where their files differ in form."""
    if not _is_fixed(column):
        return None
    present = files.drop_null()
    lengths = pc.binary_length(present).unique()
    if len(lengths) != 1:
        return None
    length = lengths[0].as_py()
    offsets = np.frombuffer(present.buffers()[1], np.int64 if _is_large(present) else np.int32)
    start = int(offsets[present.offset])
    flat = np.frombuffer(present.buffers()[2], np.uint8)[start : start + length * len(present)]
    is_null = files.is_null().to_numpy(zero_copy_only=False)
    return _unpacked(column, flat.reshape(len(present), length), is_null)


def _unpacked(
    column: Column, rows: np.ndarray[Any, Any], is_null: np.ndarray[Any, Any]
) -> pa.Array | None:
    """The arrays in these files, one to a row; None where one is not like the first."""
    first = rows[0].tobytes()
    header = _LENGTH_AT + 2 + int.from_bytes(first[_LENGTH_AT : _LENGTH_AT + 2], "little")
    value = np.load(io.BytesIO(first), allow_pickle=False)
    same = (
        first.startswith(_MAGIC) and value.flags.c_contiguous and value.shape == column.type.shape
    )
    if not same or value.dtype != column.type.dtype or (rows[:, :header] != rows[0, :header]).any():
        return None
    values = np.ascontiguousarray(rows[:, header:]).view(value.dtype)
    values = values.reshape(len(rows), *value.shape)
    if not is_null.any():
        return fixed(column, values, is_null)
    stacked = np.zeros((len(is_null), *value.shape), value.dtype)
    stacked[~is_null] = values
    return fixed(column, stacked, is_null)


def _loaded(file: bytes | None, cell: Mapping[str, Any] | None) -> np.ndarray[Any, Any] | None:
    if file is None:
        return None
    place = {} if cell is None else cell["array_md"]
    loaded: np.ndarray[Any, Any]
    loaded = load_array(
        io.BytesIO(file), 0, len(file), bool(place.get("is_bool")), place.get("shape")
    )
    return loaded


def _in_files(told: pa.Array | None) -> Cells:
    """What is told of the cells that lie in files, or refer to some, by the numbers of rows."""
    if told is None or told.null_count == len(told):
        return {}
    texts = getattr(told, "storage", told).to_pylist()
    rows = [at for at, text in enumerate(texts) if text is not None]
    # One text for all: reading each by itself takes several times as long.
    cells = json.loads(f"[{','.join(texts[at] for at in rows)}]")
    return {at: cell for at, cell in zip(rows, cells, strict=True) if cell.get("file_urls")}


def _is_fixed(column: Column) -> bool:
    arrow = column.kept
    return bool(pa.types.is_fixed_size_list(getattr(arrow, "storage_type", arrow)))


def _is_large(values: pa.Array) -> bool:
    return bool(pa.types.is_large_binary(values.type))
