"""Rows as CSV: a header, then a line a row.

A value is written as the text that JSON has for it, and a list, a struct or a map as its JSON. A
null is nothing at all, and an empty text is `""`.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.types as kinds

from flight_server.formats import json_texts
from flight_server.formats.json_rows import decoded, layout_of, place_of, run


class CsvWriter:
    """Writes batches of one schema; the header comes with the first, unless it has come before.

    Once it has, batches may be written in several threads at a time.
    """

    def __init__(self, schema: pa.Schema, delimiter: str = ",") -> None:
        self._schema = schema
        self._delimiter = delimiter
        self._layout = layout_of(schema)
        self._has_header = False

    def rows(self, batch: pa.RecordBatch) -> list[Any]:
        """The rows as pieces of text in UTF-8."""
        sink = pa.BufferOutputStream()
        options = pa.csv.WriteOptions(
            include_header=not self._has_header, delimiter=self._delimiter
        )
        self._has_header = True
        pa.csv.write_csv(self._readable(batch), sink, options)
        return [memoryview(sink.getvalue())]

    def header(self) -> list[Any]:
        """The header alone, where no batch has come yet."""
        if self._has_header:
            return []
        return self.rows(pa.RecordBatch.from_arrays([[]] * len(self._schema), self._schema.names))

    def _readable(self, batch: pa.RecordBatch) -> pa.Table:
        """The same rows with columns that CSV can hold."""
        columns = [simple(column) for column in batch.columns]
        places = [at for at, column in enumerate(columns) if not _is_native(column.type)]
        if places and self._layout is not None:
            wanted = ", ".join(
                f"{self._text(at, columns[at].type)} AS {place_of(at)}" for at in places
            )
            written = run(self._layout.given(batch), f"SELECT {wanted} FROM given").columns
        else:
            written = [texts_of(columns[at]) for at in places]
        for at, column in zip(places, written, strict=True):
            columns[at] = column
        return pa.Table.from_arrays(columns, batch.schema.names)

    def _text(self, place: int, kind: pa.DataType) -> str:
        assert self._layout is not None, "asked for with a layout only"
        sql = self._layout.expression(place)
        value = f"to_json({sql})" if kinds.is_nested(kind) else sql
        return f"CAST({value} AS VARCHAR)"


def simple(column: pa.Array) -> pa.Array:
    """The column as one that Arrow writes by itself, where there is one of the same meaning."""
    if isinstance(column.type, pa.Bool8Type):
        return column.storage.cast(pa.bool_())
    # Their texts are not those of what they are stored in.
    if isinstance(column.type, pa.UuidType | pa.JsonType):
        return column
    found = decoded(column)
    if kinds.is_dictionary(found.type):
        found = decoded(found.dictionary_decode())
    if kinds.is_duration(found.type):
        return found.cast(pa.int64())
    return found.cast(pa.float32()) if kinds.is_float16(found.type) else found


def _is_native(kind: pa.DataType) -> bool:
    if kinds.is_decimal(kind):
        # Others are written with an exponent.
        return bool(0 <= kind.scale <= 6)
    tests = (
        kinds.is_integer,
        kinds.is_floating,
        kinds.is_boolean,
        kinds.is_string,
        kinds.is_large_string,
        kinds.is_null,
    )
    return any(test(kind) for test in tests)


def texts_of(array: pa.Array) -> pa.Array:
    """The text of each value, made one by one."""
    texts = json_texts.texts(array)
    if isinstance(array.type, pa.JsonType):
        # A text within JSON keeps its quotes, or it would be none when it is read.
        pairs = zip(texts, array.is_valid().to_pylist(), strict=True)
        return pa.array([text if is_there else None for text, is_there in pairs], pa.string())
    return pa.array([_bare(text) for text in texts], pa.string())


def _bare(text: str) -> str | None:
    """The text of a JSON value without the quotes of a text."""
    if text == json_texts.NULL:
        return None
    return str(json.loads(text)) if text.startswith('"') else text
