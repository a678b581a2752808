"""Pixeltable's types in Arrow, and values of either lane as arrays of them.

Arrays of one known shape are fixed-size lists, or `arrow.fixed_shape_tensor` beyond one
dimension; arrays of which the number of dimensions is known are nested lists; any other is kept as
a file in NumPy's NPY format. Media are URLs, and the field's metadata say of what. Images that are
computed whenever they are read have no URL: they are the bytes of a file.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import PIL.Image
import pixeltable as pxt
import pyarrow as pa
from pixeltable import type_system as types
from pixeltable.catalog.table_metadata import TableMetadata

from flight_server.engines.pixeltable.media_fields import BYTES, KIND, MEDIA, URL
from flight_server.engines.pixeltable.worker import declared as declarations
from flight_server.model import COMPUTED_WITH

# What a field's metadata say of its column.
TYPE, COMMENT = b"pixeltable.type", b"comment"


class Shape(Enum):
    """How values of a column become an array."""

    PLAIN = "plain"  # Arrow takes them as they are
    JSON = "json"
    ARRAY = "array"
    BINARY = "binary"
    MEDIA = "media"  # a URL
    IMAGE = "image"  # a picture in memory
    ID = "id"  # the number of a row


_PLAIN: dict[type[types.ColumnType], pa.DataType] = {
    types.StringType: pa.string(),
    types.IntType: pa.int64(),
    types.FloatType: pa.float64(),
    types.BoolType: pa.bool_(),
    types.TimestampType: pa.timestamp("us", "UTC"),
    types.DateType: pa.date32(),
    types.UUIDType: pa.uuid(),
}


@dataclass(frozen=True)
class Column:
    """A column: its field, how its values are taken, and of arrays what they are.

    `natural` is what Pixeltable's type is in Arrow, where the field was declared.
    """

    field: pa.Field
    shape: Shape
    type: types.ColumnType
    natural: pa.DataType | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.field.name)

    @property
    def kept(self) -> pa.DataType:
        """The type in Arrow of the values that Pixeltable keeps."""
        return self.field.type if self.natural is None else self.natural

    @property
    def declares_nothing(self) -> bool:
        """Whether the field's values are what is kept."""
        return bool(self.field.type.equals(self.kept, check_metadata=True))

    @property
    def is_computed(self) -> bool:
        """Whether its values are made of those of others, and never written."""
        return COMPUTED_WITH in (self.field.metadata or {})


def schema_of(table: pxt.Table, told: TableMetadata) -> pa.Schema:
    """The Arrow schema of a table."""
    return pa.schema(
        [column.field for column in columns_of(table, told)], metadata=metadata_of_all(told)
    )


def metadata_of_all(told: TableMetadata) -> Mapping[bytes, bytes] | None:
    """What the schema of a table says of all columns."""
    declared = declarations.schema_in(told["custom_metadata"])
    return None if declared is None else declared.metadata


def columns_of(table: pxt.Table, told: TableMetadata) -> list[Column]:
    """The columns of a table, in their order."""
    kinds: dict[str, types.ColumnType] = table._get_schema()
    return [_column(name, kinds[name], told["columns"][name]) for name in told["columns"]]


def arrow_of(kind: types.ColumnType) -> pa.DataType:
    """What values of a type are in Arrow where they are kept."""
    return _shaped(kind, is_stored=True)[1]


def _column(name: str, kind: types.ColumnType, told: Any) -> Column:
    shape, arrow = _shaped(kind, told["is_stored"])
    if (declared := declarations.schema_in(told["custom_metadata"])) is not None:
        return Column(_declared(declared.field(0), name, kind, told), shape, kind, arrow)
    metadata: dict[bytes, str] = {}
    if shape is not Shape.PLAIN:
        metadata[TYPE] = repr(kind).removesuffix(" | None")
    if shape in (Shape.MEDIA, Shape.IMAGE):
        metadata[MEDIA] = (URL if shape is Shape.MEDIA else BYTES).decode()
        metadata[KIND] = type(kind).__name__.removesuffix("Type").lower()
    if told["computed_with"]:
        metadata[COMPUTED_WITH] = told["computed_with"]
    if told["comment"]:
        metadata[COMMENT] = told["comment"]
    return Column(pa.field(name, arrow, kind.nullable, metadata or None), shape, kind)


def _declared(declared: pa.Field, name: str, kind: types.ColumnType, told: Any) -> pa.Field:
    """The field as it was declared, under the name and with the comment that it has now."""
    metadata = dict(declared.metadata or {})
    comment = (told["comment"] or "").encode()
    if metadata.get(COMMENT, b"") != comment:
        metadata[COMMENT] = comment
    return pa.field(name, declared.type, kind.nullable, metadata or None)


def _shaped(kind: types.ColumnType, is_stored: bool) -> tuple[Shape, pa.DataType]:
    if type(kind) in _PLAIN:
        return Shape.PLAIN, _PLAIN[type(kind)]
    if isinstance(kind, types.JsonType):
        return Shape.JSON, pa.json_(pa.string())
    if isinstance(kind, types.BinaryType):
        return Shape.BINARY, pa.large_binary()
    if isinstance(kind, types.ArrayType):
        return Shape.ARRAY, _array_type(kind)
    if isinstance(kind, types.ImageType) and not is_stored:
        return Shape.IMAGE, pa.large_binary()
    assert kind.is_media_type(), kind
    return Shape.MEDIA, pa.string()


def _array_type(kind: types.ArrayType) -> pa.DataType:
    if kind.shape is None or kind.dtype is None:
        return pa.large_binary()
    item = pa.string() if kind.dtype.kind == "U" else pa.from_numpy_dtype(kind.dtype)
    if None not in kind.shape and kind.dtype.kind != "U":
        if len(kind.shape) == 1:
            return pa.list_(item, kind.shape[0])
        return pa.fixed_shape_tensor(item, kind.shape)
    for _ in kind.shape:
        item = pa.list_(item)
    return item


def array_of(column: Column, values: Sequence[Any]) -> pa.Array:
    """The values that Pixeltable's cursor gives."""
    arrow = column.kept
    match column.shape:
        case Shape.JSON:
            return extension(arrow, [None if v is None else json_text(v) for v in values])
        case Shape.ARRAY:
            return tensors(column, values)
        case Shape.IMAGE:
            return pa.array([None if value is None else file_of(value) for value in values], arrow)
        case _:
            return pa.array(values, arrow)


def tensors(column: Column, values: Sequence[np.ndarray[Any, Any] | None]) -> pa.Array:
    """Arrays of NumPy as one of Arrow."""
    arrow = column.kept
    if pa.types.is_large_binary(arrow):
        return pa.array([None if value is None else _npy(value) for value in values], arrow)
    if pa.types.is_list(arrow):
        return pa.array([None if value is None else value.tolist() for value in values], arrow)
    empty = np.zeros(_shape(column), column.type.dtype)
    stacked = np.stack([empty if value is None else value for value in values]) if values else empty
    return fixed(column, stacked, np.array([value is None for value in values], bool))


def fixed(column: Column, stacked: np.ndarray[Any, Any], is_null: np.ndarray[Any, Any]) -> pa.Array:
    """Arrays of one shape, from one of NumPy that holds them all: the first dimension is rows."""
    arrow = column.kept
    storage = getattr(arrow, "storage_type", arrow)
    flat = pa.array(np.ascontiguousarray(stacked).reshape(-1), storage.value_type)
    listed = pa.FixedSizeListArray.from_arrays(flat, type=storage, mask=pa.array(is_null))
    return pa.ExtensionArray.from_storage(arrow, listed) if storage is not arrow else listed


def extension(arrow: pa.DataType, values: Iterable[Any]) -> pa.Array:
    """Values of an extension type by what they are stored as."""
    return pa.ExtensionArray.from_storage(arrow, pa.array(values, arrow.storage_type))


def json_text(value: Any) -> str:
    """A JSON value as text. Arrays in it become lists, and bytes and pictures become base64."""
    return json.dumps(value, ensure_ascii=False, default=_json_value)


def file_of(image: PIL.Image.Image) -> bytes:
    """An image as a file: a JPEG, or WebP with transparency."""
    file = io.BytesIO()
    image.save(file, "WEBP" if image.has_transparency_data else "JPEG")
    return file.getvalue()


def _json_value(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, PIL.Image.Image):
        value = file_of(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def _npy(value: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, value, allow_pickle=False)
    return file.getvalue()


def _shape(column: Column) -> tuple[int, ...]:
    shape: tuple[int, ...] = column.type.shape
    return shape
