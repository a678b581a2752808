"""Taking nested Arrow arrays apart and putting them together as another type.

Conversions in both directions are trees of `Step`s, made once per schema and run once per batch;
the leaves differ by direction, the nested layouts are shared and live here. Everything is done by
Arrow's own functions on whole arrays. Three traps are kept away from the rest: arrays may be
slices of larger ones, nulls of a parent may hide rubbish in its children, and Arrow's own cast
between list layouts gets sliced list views wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds


@dataclass(frozen=True)
class Step:
    """One conversion: the type it gives, and the function; without one, arrays pass untouched."""

    type: pa.DataType
    convert: Callable[[pa.Array], pa.Array] | None = None

    def __call__(self, array: pa.Array) -> pa.Array:
        """The array, converted."""
        return array if self.convert is None else self.convert(array)

    def then(self, data_type: pa.DataType, convert: Callable[[pa.Array], pa.Array]) -> Step:
        """This step and one more after it."""
        first = self.convert
        if first is None:
            return Step(data_type, convert)
        return Step(data_type, lambda array: convert(first(array)))


def list_step(source: pa.DataType, target: pa.DataType, child: Step) -> Step:
    """From one list-like type to another; `target` holds what `child` gives."""
    if kinds.is_fixed_size_list(target):
        return Step(target, lambda array: _as_fixed_size(array, target, child))
    if child.convert is None and source.id == target.id and kinds.is_list(target):
        return Step(target, lambda array: _from_list_parts(target, array))
    return Step(target, lambda array: _as_list(array, target, child))


def struct_step(target: pa.DataType, children: Sequence[tuple[int | None, Step]]) -> Step:
    """To a struct whose fields come from the given fields of the source, or are null."""

    def convert(array: pa.Array) -> pa.Array:
        arrays = [
            pa.nulls(len(array), step.type) if index is None else step(_struct_child(array, index))
            for index, step in children
        ]
        return pa.StructArray.from_arrays(arrays, type=target, mask=_mask(array))

    return Step(target, convert)


def map_step(source: pa.DataType, target: pa.DataType, key: Step, item: Step) -> Step:
    """From one map type to another: as lists of entries in between."""
    old, new = _entries_type(source), _entries_type(target)
    entry = struct_step(new.value_type, [(0, key), (1, item)])
    through = list_step(old, new, entry)
    return Step(target, lambda array: _from_list_parts(target, through(map_entries(array))))


def nested_step(kind: pa.DataType, step_of: Callable[[pa.DataType], Step]) -> Step:
    """A nested type with what `step_of` makes of the types within it; others pass untouched.

    Unions, and what extensions are stored in, are not looked into.
    """
    if kinds.is_map(kind):
        key, item = step_of(kind.key_type), step_of(kind.item_type)
        fields = kind.key_field.with_type(key.type), kind.item_field.with_type(item.type)
        target = pa.map_(*fields, kind.keys_sorted)
        return map_step(kind, target, key, item) if key.convert or item.convert else Step(kind)
    if kinds.is_struct(kind):
        steps = [step_of(field.type) for field in kind]
        if all(step.convert is None for step in steps):
            return Step(kind)
        pairs = zip(kind, steps, strict=True)
        target = pa.struct([field.with_type(step.type) for field, step in pairs])
        return struct_step(target, list(enumerate(steps)))
    if is_list_like(kind):
        child = step_of(kind.value_type)
        return _same_layout(kind, child) if child.convert else Step(kind)
    return Step(kind)


def is_list_like(kind: pa.DataType) -> bool:
    """Whether it is a list in any layout; a map is none."""
    return hasattr(kind, "value_field") and not kinds.is_run_end_encoded(kind)


def _same_layout(kind: pa.DataType, child: Step) -> Step:
    """A list of the same layout, whose items `child` makes."""
    item = kind.value_field.with_type(child.type)
    for is_one, make in _LISTS:
        if is_one(kind):
            return list_step(kind, make(item), child)
    # Arrow builds lists of one length of plain ones only.
    plain = list_step(kind, pa.list_(item), child)
    fixed = list_step(plain.type, pa.list_(item, kind.list_size), Step(child.type))
    assert fixed.convert is not None, "from another layout"
    return plain.then(fixed.type, fixed.convert)


_LISTS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Field], pa.DataType]], ...] = (
    (kinds.is_list, pa.list_),
    (kinds.is_large_list, pa.large_list),
    (kinds.is_list_view, pa.list_view),
    (kinds.is_large_list_view, pa.large_list_view),
)


def map_entries(array: pa.Array) -> pa.Array:
    """A map as the list of its entries that it is underneath: Arrow flattens lists only."""
    return _from_list_parts(_entries_type(array.type), array)


def positions(count: int) -> pa.Array:
    """The numbers from 0 up to `count`, made without a step of Python for each."""
    return pc.subtract(pc.cumulative_sum(pa.repeat(pa.scalar(1, pa.int64()), count)), 1)


def has_inner_struct(data_type: pa.DataType) -> bool:
    """Whether a struct stands inside another nested type."""
    if not kinds.is_nested(data_type):
        return False
    inner = [data_type.field(index).type for index in range(data_type.num_fields)]
    # A map is a list of structs to Arrow; DuckDB has no trouble with those.
    if kinds.is_map(data_type):
        inner = [data_type.key_type, data_type.item_type]
    return any(kinds.is_struct(one) or has_inner_struct(one) for one in inner)


def unsliced(array: pa.Array) -> pa.Array:
    """The array, copied if it or what is nested in it begins within a larger one.

    DuckDB 1.5.5 forgets where a struct inside another nested type begins, and silently reads
    other rows.
    """
    return pa.concat_arrays([array]) if _is_sliced(array) else array


def decoded_dictionary(array: pa.Array, values: Step) -> pa.Array:
    """The values of a dictionary array: each distinct one is converted once."""
    return values(array.dictionary).take(array.indices)


def decoded_runs(array: pa.Array, values: Step) -> pa.Array:
    """The values of a run-end-encoded array: each run is converted once."""
    # Arrow cannot decode runs of every type, but it can decode their positions.
    at = pa.RunEndEncodedArray.from_arrays(array.run_ends, positions(len(array.run_ends)))
    chosen = pc.run_end_decode(at).slice(array.offset, len(array))
    return values(array.values).take(chosen)


def split_interval(array: pa.Array, target: pa.DataType) -> pa.Array:
    """The three numbers of each month_day_nano interval as a struct."""
    raw = array.view(pa.binary(16))
    parts = [
        pc.binary_slice(raw, start, stop).cast(pa.binary(stop - start)).view(field.type)
        for (start, stop), field in zip(pairwise((0, 4, 8, 16)), target, strict=True)
    ]
    return pa.StructArray.from_arrays(parts, type=target, mask=_mask(array))


def joined_interval(array: pa.Array, target: pa.DataType) -> pa.Array:
    """The interval of each struct of its three numbers."""
    parts = [
        part.fill_null(0).view(pa.binary(part.type.byte_width)).cast(pa.binary())
        for part in array.flatten()
    ]
    whole = pc.binary_join_element_wise(*parts, b"").cast(pa.binary(16))
    return pc.if_else(array.is_valid(), whole.view(target), pa.scalar(None, target))


def _struct_child(array: pa.Array, index: int) -> pa.Array:
    """A field's values with the parent's nulls laid over, so that what they hide is not judged."""
    if kinds.is_run_end_encoded(array.type.field(index).type):
        # Run ends have no nulls of their own: flatten() would make an invalid array.
        return array.field(index)
    return pc.struct_field(array, index)


def _is_sliced(array: pa.Array) -> bool:
    if array.offset:
        return True
    if kinds.is_struct(array.type):
        return any(_is_sliced(array.field(index)) for index in range(array.type.num_fields))
    return kinds.is_nested(array.type) and _is_sliced(array.values)


def _entries_type(data_type: pa.DataType) -> pa.DataType:
    entries = pa.struct([data_type.key_field, data_type.item_field])
    return pa.list_(pa.field("entries", entries, nullable=False))


def _mask(array: pa.Array) -> pa.Array | None:
    return array.is_null() if array.null_count else None


def _from_list_parts(target: pa.DataType, array: pa.Array) -> pa.Array:
    """A list or map over the offsets, nulls and values of another."""
    return pa.Array.from_buffers(
        target,
        len(array),
        array.buffers()[:2],
        null_count=array.null_count,
        offset=array.offset,
        children=[array.values],
    )


def _as_list(array: pa.Array, target: pa.DataType, child: Step) -> pa.Array:
    """Lists of any layout, rebuilt from their lengths and the values in their order."""
    large = kinds.is_large_list(target) or kinds.is_large_list_view(target)
    lengths, values = _lengths_and_values(array, child)
    lengths = lengths.cast(pa.int64() if large else pa.int32())
    start = pa.array([0], lengths.type)
    offsets = pa.concat_arrays([start, pc.cumulative_sum_checked(lengths)])
    if kinds.is_list(target):
        return pa.ListArray.from_arrays(offsets, values, type=target, mask=_mask(array))
    if kinds.is_large_list(target):
        return pa.LargeListArray.from_arrays(offsets, values, type=target, mask=_mask(array))
    views = pa.LargeListViewArray if large else pa.ListViewArray
    return views.from_arrays(offsets[:-1], lengths, values, type=target, mask=_mask(array))


def _lengths_and_values(array: pa.Array, child: Step) -> tuple[pa.Array, pa.Array]:
    """How long each list is, and their items, converted, one list after another.

    Null lists keep the items they hide: leaving those out would mean gathering the others, which
    Arrow cannot do with items of every type.
    """
    if kinds.is_fixed_size_list(array.type):
        size = array.type.list_size
        lengths = pa.repeat(pa.scalar(size, pa.int32()), len(array))
        return lengths, child(array.values.slice(array.offset * size, len(array) * size))
    if kinds.is_list(array.type) or kinds.is_large_list(array.type):
        offsets = array.offsets
        first, last = offsets[0].as_py(), offsets[-1].as_py()
        lengths = pc.subtract(offsets[1:], offsets[:-1])
        return lengths, child(array.values.slice(first, last - first))
    # Views may stand in any order and share items, so they are gathered, once converted. The sum
    # with nothing makes offsets that are not a slice, which from_arrays insists on.
    lengths = pc.list_value_length(array).fill_null(0)
    offsets = pc.add(array.offsets, 0)
    return lengths, type(array).from_arrays(offsets, lengths, child(array.values)).flatten()


def _as_fixed_size(array: pa.Array, target: pa.DataType, child: Step) -> pa.Array:
    """Lists of one length, from plain ones as DuckDB gives them."""
    size = target.list_size
    if pc.any(pc.not_equal(pc.list_value_length(array), size)).as_py():
        raise pa.ArrowInvalid(f"a list has not {size} items")
    values = child(_evenly_spaced(array, size))
    if size == 0:
        # Without values nothing tells from_arrays how many lists there are.
        validity = pc.invert(array.is_null()).buffers()[1] if array.null_count else None
        return pa.Array.from_buffers(target, len(array), [validity], children=[values])
    return pa.FixedSizeListArray.from_arrays(values, type=target, mask=_mask(array))


def _evenly_spaced(array: pa.Array, size: int) -> pa.Array:
    """The items of lists of one length, with nulls for those that a null list lacks.

    Arrow's own cast fills up with rubbish, on which the conversion of items may then fail.
    """
    if not array.null_count:
        return array.values.slice(array.offsets[0].as_py(), len(array) * size)
    place = positions(len(array) * size)
    row = pc.divide(place, size)
    starts = pc.if_else(array.is_valid(), array.offsets[:-1].cast(pa.int64()), None)
    within = pc.subtract(place, pc.multiply(row, size))
    return array.values.take(pc.add(starts.take(row), within))
