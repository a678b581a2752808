"""Lance: a dataset, which is a folder. Its library asks for batches, so it runs beside."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lance
import pyarrow as pa
import pyarrow.types as kinds

from flight_server.arrow_layouts import unsliced
from flight_server.errors import ErrorCode, Unsupported
from flight_server.transfer.suiting import Ability, Suiting
from flight_server.transfer.writers.base import WriteOptions, Written, hashed

AHEAD_MAX = 4
# Lance reads memory that is not aligned as no memory at all, and ends the process.
_ALIGNED = pa.default_cpu_memory_manager()


def _leaf(kind: pa.DataType) -> pa.DataType | None:
    if isinstance(kind, pa.Decimal32Type | pa.Decimal64Type):
        return pa.decimal128(kind.precision, kind.scale)
    if kinds.is_string_view(kind):
        return pa.string()
    return pa.binary() if kinds.is_binary_view(kind) else None


def _keeps_dictionary(kind: pa.DataType) -> bool:
    values = kind.value_type
    tests = (kinds.is_string, kinds.is_large_string, kinds.is_binary, kinds.is_integer)
    return any(test(values) for test in tests)


LANCE = Ability(
    leaf=_leaf,
    dictionary=_keeps_dictionary,
    # What it takes for JSON it writes anew, with other numbers.
    extension=lambda kind: not isinstance(kind, pa.JsonType),
    list_views=False,
    sorted_maps=False,
)


class LanceDataset:
    """One dataset of one version."""

    def __init__(self, path: Path, schema: pa.Schema, options: WriteOptions) -> None:
        self._suiting = Suiting(schema, LANCE)
        self._schema = pa.schema([_with_texts(field) for field in self._suiting.schema])
        if not len(schema):
            raise Unsupported(
                "The format lance cannot hold rows without columns.",
                code=ErrorCode.UNSUPPORTED_TYPE,
            )
        self._path = path
        self._batches: queue.Queue[pa.RecordBatch | Exception | None] = queue.Queue(AHEAD_MAX)
        self._error: BaseException | None = None
        self.bytes = 0
        self._thread = threading.Thread(target=self._run, name="pixelflight-lance", daemon=True)
        self._thread.start()

    def write(self, batch: pa.RecordBatch) -> None:
        """Takes one batch."""
        # Lance misreads structs that begin within larger ones.
        columns = [
            unsliced(column) if kinds.is_nested(column.type) else column
            for column in self._suiting.suited(batch).columns
        ]
        suited = pa.RecordBatch.from_arrays(columns, schema=self._schema)
        self._hand_over(suited.copy_to(_ALIGNED))
        self.bytes += batch.nbytes

    def close(self) -> tuple[Written, ...]:
        """Commits the dataset."""
        self._hand_over(None)
        self._thread.join()
        self._raise()
        files = sorted(path for path in self._path.rglob("*") if path.is_file())
        return tuple(hashed(path) for path in files)

    def abandon(self) -> None:
        """Stops; what has been written is no dataset yet."""
        while self._thread.is_alive():
            try:
                self._batches.put(_AbandonedError(), timeout=0.1)
            except queue.Full:
                continue
            self._thread.join()

    def _hand_over(self, batch: pa.RecordBatch | None) -> None:
        while True:
            self._raise()
            try:
                return self._batches.put(batch, timeout=1)
            except queue.Full:
                continue

    def _raise(self) -> None:
        if self._error is not None:
            raise _refused(self._error)

    def _run(self) -> None:
        try:
            reader = pa.RecordBatchReader.from_batches(self._schema, self._coming())
            lance.write_dataset(reader, str(self._path))
        except BaseException as error:
            self._error = error

    def _coming(self) -> Iterator[pa.RecordBatch]:
        while (item := self._batches.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item


class _AbandonedError(Exception):
    """Nothing is to come of what has been written."""


def _refused(error: BaseException) -> Exception:
    """What Lance says of columns that it cannot hold, in one line; anything else as it is."""
    text: Any = str(error)
    if "LanceError(Schema)" in text or "Unsupported" in text or "not yet supported" in text:
        reason = text.replace("LanceError(Schema): ", "").partition(", /")[0].splitlines()[0]
        return Unsupported(
            f"The format lance cannot hold these columns: {reason[:300].rstrip('.')}.",
            code=ErrorCode.UNSUPPORTED_TYPE,
        )
    return error if isinstance(error, Exception) else RuntimeError(text)


def _with_texts(field: pa.Field) -> pa.Field:
    """The field with what of its metadata is text, since Lance reads no other."""
    kept = {}
    for name, value in (field.metadata or {}).items():
        try:
            kept[name.decode()] = value.decode()
        except UnicodeDecodeError:
            continue
    return field.with_metadata(kept or None)
