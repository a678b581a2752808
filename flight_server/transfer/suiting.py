"""Columns brought to types that a format can hold, where it cannot hold their own.

What is done loses no value: runs and unusual dictionaries are written out, an interval becomes a
struct of its three numbers, a union becomes JSON. `docs/exports.md` lists what comes of each type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.types as kinds

from flight_server.arrow_layouts import (
    Step,
    decoded_dictionary,
    decoded_runs,
    list_step,
    map_step,
    nested_step,
    split_interval,
)
from flight_server.formats import json_texts

INTERVAL = pa.struct([("months", pa.int32()), ("days", pa.int32()), ("nanoseconds", pa.int64())])
Test = Callable[[pa.DataType], bool]


@dataclass(frozen=True)
class Ability:
    """What a format can hold beside the usual types.

    `leaf` gives the type to cast a value to, None where it stays; `dictionary` says whether a
    dictionary stays one; `extension` whether an extension's values stay under its name.
    """

    leaf: Callable[[pa.DataType], pa.DataType | None]
    dictionary: Test
    extension: Test
    list_views: bool
    sorted_maps: bool


class Suiting:
    """How the columns of a schema become those of a file. `schema` is the file's."""

    def __init__(self, schema: pa.Schema, ability: Ability) -> None:
        self._steps = [_step(field.type, ability) for field in schema]
        fields = zip(schema, self._steps, strict=True)
        self.schema = pa.schema(
            [field.with_type(step.type) for field, step in fields], metadata=schema.metadata
        )
        self._is_needed = any(step.convert is not None for step in self._steps)

    def suited(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with the file's types; columns that need nothing are passed, not copied."""
        if not self._is_needed:
            return batch
        pairs = zip(self._steps, batch.columns, strict=True)
        return pa.RecordBatch.from_arrays(
            [step(column) for step, column in pairs], schema=self.schema
        )


def _step(kind: pa.DataType, ability: Ability) -> Step:
    if isinstance(kind, pa.BaseExtensionType):
        return _extension(kind, ability)
    if kinds.is_run_end_encoded(kind):
        values = _step(kind.value_type, ability)
        return Step(values.type, lambda array: decoded_runs(array, values))
    if kinds.is_dictionary(kind):
        values = _step(kind.value_type, ability)
        if values.convert is None and ability.dictionary(kind):
            return Step(kind)
        return Step(values.type, lambda array: decoded_dictionary(array, values))
    if kinds.is_union(kind) or (kinds.is_struct(kind) and not kind.num_fields):
        return Step(pa.string(), _as_json)
    if kinds.is_interval(kind):
        return Step(INTERVAL, lambda array: split_interval(array, INTERVAL))
    if kinds.is_nested(kind):
        return _nested(kind, ability)
    cast = ability.leaf(kind)
    return Step(kind) if cast is None else Step(cast, lambda array: array.cast(cast))


def _extension(kind: pa.DataType, ability: Ability) -> Step:
    storage = _step(kind.storage_type, ability)
    if storage.convert is None and ability.extension(kind):
        return Step(kind)
    return Step(storage.type, lambda array: storage(array.storage))


def _nested(kind: pa.DataType, ability: Ability) -> Step:
    inner = nested_step(kind, lambda one: _step(one, ability))
    made = inner.type
    if not ability.list_views and (kinds.is_list_view(made) or kinds.is_large_list_view(made)):
        make = pa.large_list if kinds.is_large_list_view(made) else pa.list_
        plain = list_step(made, make(made.value_field), Step(made.value_type))
        assert plain.convert is not None, "from another layout"
        return inner.then(plain.type, plain.convert)
    if kinds.is_map(made) and made.keys_sorted and not ability.sorted_maps:
        target = pa.map_(made.key_field, made.item_field)
        unsorted = map_step(made, target, Step(made.key_type), Step(made.item_type))
        assert unsorted.convert is not None, "from another type"
        return inner.then(unsorted.type, unsorted.convert)
    return inner


def _as_json(array: pa.Array) -> pa.Array:
    texts = json_texts.texts(array)
    return pa.array([None if text == json_texts.NULL else text for text in texts], pa.string())
