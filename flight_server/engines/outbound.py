"""Batches on their way out of a table of any engine.

What an engine has stored is made into the very Arrow types that were declared for the table:
names, nullability and metadata at every depth, encodings and extensions included.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from flight_server.arrow_layouts import (
    Step,
    is_list_like,
    joined_interval,
    list_step,
    map_step,
    positions,
    struct_step,
)
from flight_server.errors import ErrorCode, InvalidRequest, Unsupported


class Outbound:
    """How batches as they are stored become batches of one schema; columns are taken by position.

    `identity` says that the arrays need nothing, so that a reader may be passed on as it is
    under the schema's own names and metadata.
    """

    schema: pa.Schema
    identity: bool

    def __init__(self, schema: pa.Schema, stored: pa.Schema) -> None:
        assert len(schema) == len(stored), "the query has other columns than the schema"
        self.schema = schema
        self._steps = [
            _step(have.type, want.type) for have, want in zip(stored, schema, strict=True)
        ]
        self.identity = all(step.convert is None for step in self._steps)

    def convert(self, batch: pa.RecordBatch) -> list[pa.RecordBatch]:
        """The rows under the schema: one batch, or several where one cannot hold them all.

        A dictionary with small indices holds only so many values, and run ends count only so
        many rows; such batches are halved until they fit.
        """
        try:
            arrays = [self._column(index, batch.column(index)) for index in range(len(self._steps))]
        except _TooMuchError as error:
            return self._halves(batch, error)
        return [pa.RecordBatch.from_arrays(arrays, schema=self.schema)]

    def _halves(self, batch: pa.RecordBatch, error: _TooMuchError) -> list[pa.RecordBatch]:
        if batch.num_rows <= 1:
            raise Unsupported(
                f"A single row holds more than the declared type can: {error}. Read it by SQL "
                f"and cast the column there."
            ) from error
        half = batch.num_rows // 2
        return [*self.convert(batch.slice(0, half)), *self.convert(batch.slice(half))]

    def _column(self, index: int, array: pa.Array) -> pa.Array:
        try:
            return self._steps[index](array)
        except pa.ArrowInvalid as error:
            field = self.schema.field(index)
            # Only SQL can have put such a value there: it sees the storage type.
            raise InvalidRequest(
                f"Column '{field.name}' holds a value that does not fit its type {field.type}. "
                "Read it by SQL, and correct it with an update.",
                code=ErrorCode.INVALID_DATA,
                details={"column": field.name, "type": str(field.type)},
            ) from error


class _TooMuchError(Exception):
    """A batch holds more than an encoding can address."""


def _step(source: pa.DataType, target: pa.DataType) -> Step:
    if source.equals(target, check_metadata=True):
        return Step(target)
    if isinstance(target, pa.BaseExtensionType):
        return _step(source, target.storage_type).then(
            target, lambda array: pa.ExtensionArray.from_storage(target, array)
        )
    if kinds.is_null(target):
        return Step(target, lambda array: pa.nulls(len(array)))
    if kinds.is_dictionary(target):
        values = _step(source, target.value_type)
        return Step(target, lambda array: _dictionary(array, target, values))
    if kinds.is_run_end_encoded(target):
        values = _step(source, target.value_type)
        return Step(target, lambda array: _runs(array, target, values))
    return _nested(source, target) if kinds.is_nested(target) else _leaf(source, target)


def _nested(source: pa.DataType, target: pa.DataType) -> Step:
    if is_list_like(target):
        return list_step(source, target, _step(source.value_type, target.value_type))
    if kinds.is_map(target):
        key = _step(source.key_type, target.key_type)
        item = _step(source.item_type, target.item_type)
        return map_step(source, target, key, item)
    pairs = zip(source, target, strict=True)
    children = [(index, _step(have.type, want.type)) for index, (have, want) in enumerate(pairs)]
    return struct_step(target, children)


def _leaf(source: pa.DataType, target: pa.DataType) -> Step:
    if kinds.is_interval(target):
        return Step(target, lambda array: joined_interval(array, target))
    if _same_bits(source, target):
        return Step(target, lambda array: array.view(target))
    return Step(target, lambda array: array.cast(target))


def _same_bits(source: pa.DataType, target: pa.DataType) -> bool:
    """Whether the storage is the value itself under another name, as engines lay it down."""
    if kinds.is_int64(source):
        return bool(kinds.is_duration(target) or kinds.is_time64(target))
    if kinds.is_timestamp(source) and kinds.is_timestamp(target):
        return bool(source.unit == target.unit)
    return False


def _dictionary(array: pa.Array, target: pa.DataType, values: Step) -> pa.Array:
    """Encoded anew: which values a batch's dictionary lists, and in which order, is not kept."""
    if kinds.is_nested(array.type):
        # Arrow finds no duplicates among nested values; a dictionary may hold some.
        indices = pc.if_else(array.is_valid(), positions(len(array)), None)
        distinct = array
    else:
        encoded = array.dictionary_encode()
        indices, distinct = encoded.indices, encoded.dictionary
    width = target.index_type.bit_width - kinds.is_signed_integer(target.index_type)
    if len(distinct) > 1 << width:
        raise _TooMuchError(f"{len(distinct)} distinct values for {target}")
    return pa.DictionaryArray.from_arrays(
        indices.cast(target.index_type), values(distinct), ordered=target.ordered
    )


def _runs(array: pa.Array, target: pa.DataType, values: Step) -> pa.Array:
    if len(array) >= 1 << (target.run_end_type.bit_width - 1):
        raise _TooMuchError(f"{len(array)} rows for {target}")
    encoded = pc.run_end_encode(array, run_end_type=target.run_end_type)
    return pa.RunEndEncodedArray.from_arrays(encoded.run_ends, values(encoded.values), type=target)
