"""Arrow's file format with dictionaries, of which it allows one for each column.

Batches come with dictionaries of their own. So values are numbered as they come, numbers are put
into a file beside, and when all values are known the file itself is written from that.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from flight_server.arrow_layouts import Step, nested_step
from flight_server.transfer.formats import NONE
from flight_server.transfer.writers.base import HashedFile, WriteOptions, Written

_NUMBER = pa.int32()


class ArrowFileOfDictionaries:
    """One file in Arrow's format. It is written when it is closed."""

    def __init__(self, path: Path, schema: pa.Schema, options: WriteOptions) -> None:
        self._path, self._schema, self._options = path, schema, options
        self._numbered = path.with_name(f"{path.name}.numbered")
        self._grown: list[_Grown] = []
        self._steps = [_numbering(field.type, self._grown) for field in schema]
        fields = zip(schema, self._steps, strict=True)
        self._beside = pa.schema([field.with_type(step.type) for field, step in fields])
        self._file = HashedFile(path)
        self._sink = pa.OSFile(str(self._numbered), "wb")
        self._writer = pa.ipc.new_stream(self._sink, self._beside)

    @property
    def bytes(self) -> int:
        """How many bytes are written, the file beside among them."""
        return self._file.bytes if self._sink.closed else int(self._sink.tell())

    def write(self, batch: pa.RecordBatch) -> None:
        """Takes one batch."""
        pairs = zip(self._steps, batch.columns, strict=True)
        columns = [step(column) for step, column in pairs]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._beside))

    def close(self) -> tuple[Written, ...]:
        """Writes the file."""
        self._writer.close()
        self._sink.close()
        grown = iter(self._grown)
        steps = [_naming(field.type, grown) for field in self._schema]
        fields = zip(self._schema, steps, strict=True)
        schema = pa.schema(
            [field.with_type(step.type) for field, step in fields], self._schema.metadata
        )
        codec = None if self._options.codec == NONE else self._options.codec
        chosen = pa.ipc.IpcWriteOptions(compression=codec)
        with (
            pa.memory_map(str(self._numbered)) as source,
            pa.ipc.new_file(pa.PythonFile(self._file, "w"), schema, options=chosen) as writer,
        ):
            for batch in pa.ipc.open_stream(source):
                pairs = zip(steps, batch.columns, strict=True)
                columns = [step(column) for step, column in pairs]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
        self._numbered.unlink()
        return (self._file.finish(),)

    def abandon(self) -> None:
        """Stops."""
        self._sink.close()
        self._file.close()


class _Grown:
    """The values of one dictionary, numbered in the order in which they have come."""

    def __init__(self, kind: pa.DictionaryType) -> None:
        self._kind = kind
        self._values = pa.array([], kind.value_type)

    def numbers(self, array: pa.DictionaryArray) -> pa.Array:
        """The numbers of the values; those that are new get the next ones."""
        given = array.dictionary
        places = self._places(given)
        if places.null_count > (given.null_count if len(given) else 0):
            fresh = given.filter(pc.and_(places.is_null(), given.is_valid())).unique()
            self._values = pa.concat_arrays([self._values, fresh])
            places = self._places(given)
        return places.take(array.indices)

    def named(self) -> tuple[pa.DictionaryType, pa.Array]:
        """The type and the values of the dictionary: wider where there are too many for it."""
        index = self._kind.index_type
        most = 2 ** (index.bit_width - (1 if kinds.is_signed_integer(index) else 0))
        if len(self._values) > most:
            index = _NUMBER
        kind = pa.dictionary(index, self._kind.value_type, self._kind.ordered)
        return kind, self._values

    def _places(self, given: pa.Array) -> pa.Array:
        return pc.index_in(given, self._values, skip_nulls=True).cast(_NUMBER)


def _numbering(kind: pa.DataType, grown: list[_Grown]) -> Step:
    """From dictionaries to their numbers, at any depth."""
    if kinds.is_dictionary(kind):
        one = _Grown(kind)
        grown.append(one)
        return Step(_NUMBER, one.numbers)
    return nested_step(kind, lambda inner: _numbering(inner, grown))


def _naming(kind: pa.DataType, grown: Iterator[_Grown]) -> Step:
    """From numbers to dictionaries; `kind` is what it was before it was numbered."""
    if kinds.is_dictionary(kind):
        named, values = next(grown).named()
        return Step(
            named,
            lambda array: pa.DictionaryArray.from_arrays(
                array.cast(named.index_type), values, ordered=named.ordered
            ),
        )
    return nested_step(kind, lambda inner: _naming(inner, grown))
