"""Rows on their way out: values as Pixeltable keeps them become what the columns were declared."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from flight_server.arrow_layouts import is_list_like
from flight_server.engines.outbound import Outbound
from flight_server.engines.pixeltable.worker.columns import Column, Shape
from flight_server.engines.pixeltable.worker.declared import storage_of

_Read = Callable[[Any], Any]


class Outgoing:
    """How arrays of what is kept become batches of what was declared."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.schema = pa.schema([column.field for column in columns])
        self._laid = [_laid(column) for column in columns]
        self._outbound = Outbound(
            self.schema,
            pa.schema([(f"c{at}", kind) for at, (kind, _) in enumerate(self._laid)]),
        )

    def batches(self, arrays: Sequence[pa.Array]) -> list[pa.RecordBatch]:
        """The rows of arrays, one for each column: in one batch, where one can hold them."""
        laid = [
            array if lay is None else lay(array)
            for array, (_, lay) in zip(arrays, self._laid, strict=True)
        ]
        if self._outbound.identity:
            return [pa.RecordBatch.from_arrays(laid, schema=self.schema)]
        return self._outbound.convert(
            pa.RecordBatch.from_arrays(laid, [f"c{at}" for at in range(len(laid))])
        )


def _laid(column: Column) -> tuple[pa.DataType, Callable[[pa.Array], pa.Array] | None]:
    """The storage of a column's type, and what makes it of an array of kept values."""
    kept = column.kept
    if column.declares_nothing:
        return kept, None
    if column.shape is Shape.JSON and not isinstance(column.field.type, pa.JsonType):
        stored = storage_of(column.field.type)
        return stored, lambda array: _of_json(array, stored)
    if column.shape in (Shape.JSON, Shape.ARRAY):
        storage = getattr(kept, "storage_type", kept)
        return storage, lambda array: getattr(array, "storage", array)
    stored = storage_of(column.field.type, top=True)
    return stored, None if stored == kept else lambda array: array.cast(stored)


def _of_json(array: pa.Array, stored: pa.DataType) -> pa.Array:
    read = _reader(stored) or (lambda value: value)
    texts = getattr(array, "storage", array).to_pylist()
    return pa.array([None if text is None else read(json.loads(text)) for text in texts], stored)


def _reader(stored: pa.DataType) -> _Read | None:
    """What makes a value of one of JSON; None where it is one already."""
    if kinds.is_map(stored):
        key, item = _present(_reader(stored.key_type)), _present(_reader(stored.item_type))
        return _present(lambda value: [(key(one), item(other)) for one, other in value])
    if kinds.is_struct(stored):
        fields = {field.name: _present(_reader(field.type)) for field in stored}
        return _present(lambda value: {name: of(value.get(name)) for name, of in fields.items()})
    if is_list_like(stored):
        child = _reader(stored.value_type)
        return None if child is None else _present(lambda value: [child(one) for one in value])
    if kinds.is_binary(stored) or kinds.is_large_binary(stored):
        return _present(base64.b64decode)
    if kinds.is_date(stored):
        return _present(dt.date.fromisoformat)
    return _present(dt.datetime.fromisoformat) if kinds.is_timestamp(stored) else None


def _present(read: _Read | None) -> _Read:
    if read is None:
        return lambda value: value
    return lambda value: None if value is None else read(value)
