"""Batches on their way into a table of any engine.

A client's columns are matched to the table's by name and cast where that is safe; then their
values are laid into the types that the engine stores. Whatever can be known from the schemas is
checked once, in the constructor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from flight_server.arrow_layouts import (
    Step,
    decoded_dictionary,
    decoded_runs,
    has_inner_struct,
    is_list_like,
    list_step,
    map_step,
    split_interval,
    struct_step,
    unsliced,
)
from flight_server.engines.required_values import child_path, first_null, has_required
from flight_server.engines.safe_casts import is_bytes, is_text, safe_cast
from flight_server.errors import ErrorCode, InvalidRequest, did_you_mean

# What a type at a path is stored as, and whether it is that of a whole column.
StorageOf = Callable[[pa.DataType, str, bool], pa.DataType]

# 1677-09-22T00:00:00 in nanoseconds since 1970.
EARLIEST_NANOSECONDS = -9_223_286_400_000_000_000


class Inbound:
    """How batches of one schema become rows of one table.

    `schema` is what `convert` gives: storage types, in the table's order, without the columns
    that do not come in, which `missing` names. Text for a UUID or JSON column is handed on as
    text, for the engine to parse. `quotes` says whether an error may quote a value.
    """

    schema: pa.Schema
    missing: tuple[str, ...]

    def __init__(
        self,
        incoming: pa.Schema,
        target: pa.Schema,
        storage_of: StorageOf,
        quotes: bool = False,
    ) -> None:
        """Raises InvalidRequest (SCHEMA_MISMATCH) naming the first column that does not fit."""
        found = match_names(incoming.names, target.names, "The table")
        self.missing = tuple(name for name in target.names if name not in found)
        steps = _Steps(storage_of, quotes)
        self._columns = [
            _Column(field, found[field.name], incoming.field(found[field.name]).type, steps)
            for field in target
            if field.name in found
        ]
        self.schema = pa.schema([column.storage for column in self._columns])
        self._as_it_is = incoming.equals(self.schema, check_metadata=True) and all(
            column.passes_untouched for column in self._columns
        )

    def convert(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch in storage types; columns that need nothing are passed, not copied.

        Raises InvalidRequest (INVALID_DATA) naming the column whose values do not fit, or that
        holds nulls where the table allows none.
        """
        if self._as_it_is:
            return batch
        arrays = [column.convert(batch.column(column.index)) for column in self._columns]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


class _Column:
    """One column: where it comes from, what is done to it, and what must not be null."""

    def __init__(self, field: pa.Field, index: int, source: pa.DataType, steps: _Steps) -> None:
        self.index = index
        self._field = field
        self._step = steps.step(source, field.type, field.name, top=True)
        self._guarded = has_required(field)
        self._misread_if_sliced = has_inner_struct(self._step.type)
        # Metadata stays behind: DuckDB takes some of it for extension types.
        self.storage = pa.field(field.name, _bare(self._step.type), nullable=field.nullable)

    @property
    def passes_untouched(self) -> bool:
        """Whether its arrays go on as they came, whatever is in them."""
        return not (self._step.convert or self._guarded or self._misread_if_sliced)

    def convert(self, array: pa.Array) -> pa.Array:
        array = self._step(array)
        path = first_null(array, self._field) if self._guarded else None
        if path is not None:
            raise InvalidRequest(
                f"Column '{path}' is declared not null and null values came in for it.",
                code=ErrorCode.INVALID_DATA,
                details={"column": path},
            )
        return unsliced(array) if self._misread_if_sliced else array


def match_names(incoming: Iterable[str], known: Iterable[str], owner: str) -> dict[str, int]:
    """For each known name that comes in, at which place.

    Names are matched as SQL matches them: exactly, else without regard to the case of letters.
    Raises InvalidRequest (SCHEMA_MISMATCH) for a name that is not known or comes twice.
    """
    exact = list(known)
    folded = {name.lower(): name for name in exact}
    found: dict[str, int] = {}
    for index, name in enumerate(incoming):
        match = name if name in exact else folded.get(name.lower())
        if match is None:
            _mismatch(name, f"{owner} has no column '{name}'.{did_you_mean(name, exact)}")
        if match in found:
            _mismatch(name, f"The column '{match}' comes in twice: name each column once.")
        found[match] = index
    return found


class _Steps:
    """From what comes in to the storage of a type of the table's."""

    def __init__(self, storage_of: StorageOf, quotes: bool) -> None:
        self._storage_of = storage_of
        self._quotes = quotes

    def step(
        self, source: pa.DataType, target: pa.DataType, path: str, *, top: bool = False
    ) -> Step:
        """From what comes in to the storage of the target's type."""
        if kinds.is_null(source):
            stored = self._storage_of(target, path, top)
            return Step(stored, lambda array: pa.nulls(len(array), stored))
        if kinds.is_dictionary(source):
            values = self.step(source.value_type, target, path, top=top)
            return Step(values.type, lambda array: decoded_dictionary(array, values))
        if kinds.is_run_end_encoded(source):
            values = self.step(source.value_type, target, path, top=top)
            return Step(values.type, lambda array: decoded_runs(array, values))
        if isinstance(target, pa.BaseExtensionType):
            return self._extension_step(source, target, path, top)
        if kinds.is_dictionary(target) or kinds.is_run_end_encoded(target):
            return self.step(source, target.value_type, path)
        if isinstance(source, pa.BaseExtensionType):
            return _after_stripping(source, self.step(source.storage_type, target, path))
        return self._plain_step(source, target, path)

    def _extension_step(
        self, source: pa.DataType, target: pa.DataType, path: str, top: bool
    ) -> Step:
        if isinstance(source, pa.BaseExtensionType):
            if source.extension_name != target.extension_name:
                _no_cast(path, source, target)
            if isinstance(target, pa.UuidType) and top:
                return Step(source)
            return _after_stripping(
                source, self.step(source.storage_type, target.storage_type, path)
            )
        if is_text(source) and isinstance(target, pa.UuidType) and top:
            return self._as_stored(source)
        step = self.step(source, target.storage_type, path)
        if isinstance(target, pa.UuidType) and top:
            return step.then(target, lambda array: pa.ExtensionArray.from_storage(target, array))
        return step

    def _plain_step(self, source: pa.DataType, target: pa.DataType, path: str) -> Step:
        if is_list_like(source) and is_list_like(target):
            return self._list(source, target, path)
        if kinds.is_struct(source) and kinds.is_struct(target):
            return self._struct(source, target, path)
        if kinds.is_map(source) and kinds.is_map(target):
            return self._map(source, target, path)
        if kinds.is_nested(source) or kinds.is_nested(target):
            _no_cast(path, source, target)
        return self._leaf(source, target, path)

    def _list(self, source: pa.DataType, target: pa.DataType, path: str) -> Step:
        size = target.list_size if kinds.is_fixed_size_list(target) else None
        if size is not None and kinds.is_fixed_size_list(source):
            if source.list_size != size:
                _no_cast(path, source, target)
            size = None
        child = self.step(source.value_type, target.value_type, child_path(path, target, 0))
        step = Step(source)
        if child.convert is not None or not (kinds.is_list(source) or kinds.is_large_list(source)):
            large = kinds.is_large_list(source) or kinds.is_large_list_view(source)
            stored = pa.large_list(child.type) if large else pa.list_(child.type)
            step = list_step(source, stored, child)
        if size is None:
            return step
        checked = Step(source, lambda array: _of_size(array, size, path))
        return checked if step.convert is None else checked.then(step.type, step.convert)

    def _struct(self, source: pa.DataType, target: pa.DataType, path: str) -> Step:
        names = [source.field(index).name for index in range(source.num_fields)]
        wanted = [target.field(index).name for index in range(target.num_fields)]
        found = match_names(names, wanted, f"The column '{path}'")
        children: list[tuple[int | None, Step]] = []
        for index, name in enumerate(wanted):
            child, at = target.field(index), found.get(name)
            below = child_path(path, target, index)
            if at is None and not child.nullable:
                _mismatch(below, f"Column '{below}' is declared not null and does not come in.")
            given = pa.null() if at is None else source.field(at).type
            children.append((at, self.step(given, child.type, below)))
        if names == wanted and all(step.convert is None for _, step in children):
            return Step(source)
        stored = pa.struct(
            [(name, step.type) for name, (_, step) in zip(wanted, children, strict=True)]
        )
        return struct_step(stored, children)

    def _map(self, source: pa.DataType, target: pa.DataType, path: str) -> Step:
        key = self.step(source.key_type, target.key_type, child_path(path, target, 0))
        item = self.step(source.item_type, target.item_type, child_path(path, target, 1))
        if key.convert is None and item.convert is None:
            return Step(source)
        return map_step(source, pa.map_(key.type, item.type), key, item)

    def _leaf(self, source: pa.DataType, target: pa.DataType, path: str) -> Step:
        cast = safe_cast(source, target)
        if cast is None:
            _no_cast(path, source, target)
        if _stored_alike(source, target):
            return self._as_stored(source)
        step = Step(source)
        if not source.equals(target):
            step = Step(target, lambda array: self._checked(array, cast, target, path))
        stored = self._storage_of(target, path, False)
        if kinds.is_timestamp(stored) and stored.unit == "ns":
            step = step.then(step.type, lambda array: _storable(array, path))
        if stored.equals(target):
            return step
        if kinds.is_interval(target):
            return step.then(stored, lambda array: split_interval(array, stored))
        if kinds.is_integer(stored) or kinds.is_timestamp(stored):
            # The same 64 bits under another name: a cast might move times by their zone.
            return step.then(stored, lambda array: array.view(stored))
        return step.then(stored, lambda array: array.cast(stored))

    def _checked(
        self,
        array: pa.Array,
        cast: Callable[[pa.Array], pa.Array],
        target: pa.DataType,
        path: str,
    ) -> pa.Array:
        try:
            return cast(array)
        except pa.ArrowInvalid as error:
            # Its text quotes the value.
            reason = f": {str(error).splitlines()[0]}" if self._quotes else ""
            _no_fit(path, f"{array.type} came in for {target}, and a value does not fit{reason}")

    def _as_stored(self, source: pa.DataType) -> Step:
        """Text, bytes and dates by their own storage, which the target's is alike."""
        stored = self._storage_of(source, "", False)
        return Step(source) if stored.equals(source) else Step(stored, lambda a: a.cast(stored))


def _after_stripping(source: pa.DataType, rest: Step) -> Step:
    stripped = Step(source.storage_type, lambda array: array.storage)
    return stripped if rest.convert is None else stripped.then(rest.type, rest.convert)


def _of_size(array: pa.Array, size: int, path: str) -> pa.Array:
    lengths = pc.list_value_length(array).drop_null()
    wrong = lengths.filter(pc.not_equal(lengths, size))
    if len(wrong):
        _no_fit(path, f"its lists have {size} items, and one of {wrong[0]} came in")
    return array


def _storable(array: pa.Array, path: str) -> pa.Array:
    """The times, none of which is on the first days that 64 bits of nanoseconds reach.

    DuckDB keeps them in memory and then cannot write the file that they are to go into.
    """
    least = pc.min(array.cast(pa.int64())).as_py()
    if least is not None and least < EARLIEST_NANOSECONDS:
        _no_fit(path, "a time lies before 1677-09-22, the earliest that nanoseconds can be kept of")
    return array


def _stored_alike(source: pa.DataType, target: pa.DataType) -> bool:
    """Whether an engine makes the same value of both without our help."""
    if is_text(source) or kinds.is_date(target):
        return True
    return is_bytes(source) and not kinds.is_fixed_size_binary(target)


def _bare(data_type: pa.DataType) -> pa.DataType:
    """The type without the metadata of its nested fields."""
    if is_list_like(data_type):
        make = pa.large_list if kinds.is_large_list(data_type) else pa.list_
        return make(_bare_field(data_type.value_field))
    if kinds.is_struct(data_type):
        return pa.struct([_bare_field(field) for field in data_type])
    if kinds.is_map(data_type):
        return pa.map_(_bare_field(data_type.key_field), _bare_field(data_type.item_field))
    return data_type


def _bare_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, _bare(field.type), nullable=field.nullable)


def _no_cast(path: str, source: pa.DataType, target: pa.DataType) -> NoReturn:
    raise InvalidRequest(
        f"Column '{path}' has the type {target}, and {source} came in, which is not cast to it "
        f"without risk: cast it before sending.",
        code=ErrorCode.SCHEMA_MISMATCH,
        details={"column": path, "expected": str(target), "received": str(source)},
    )


def _mismatch(column: str, message: str) -> NoReturn:
    raise InvalidRequest(message, code=ErrorCode.SCHEMA_MISMATCH, details={"column": column})


def _no_fit(path: str, why: str) -> NoReturn:
    raise InvalidRequest(
        f"Column '{path}' cannot take these rows: {why}.",
        code=ErrorCode.INVALID_DATA,
        details={"column": path},
    )
