"""Rows as a result of files: one, or a folder of several, by number of rows or by values.

Rows that are parted by values come sorted by them, so that one file is open at a time, however
many there are. Folders of values are named as Hive does: `origin=JFK/part-00000.parquet`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from flight_server.errors import ErrorCode, InvalidRequest, did_you_mean
from flight_server.formats.csv_rows import simple, texts_of
from flight_server.transfer.formats import FileFormat, ending_of
from flight_server.transfer.writers import WriteOptions, Writer, Written, open_writer

FILES_MAX = 10_000
# A name of a file has 255 bytes at most.
VALUE_BYTES_MAX = 200
NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Layout:
    """How rows become files. `stem` names a single one; `partition_by` columns leave the files."""

    kind: FileFormat
    options: WriteOptions
    stem: str = "rows"
    partition_by: tuple[str, ...] = ()
    rows_per_file: int | None = None

    def __post_init__(self) -> None:
        """InvalidRequest where a dataset, which has files of its own, is to be parted."""
        if self.kind.name == "lance" and (self.partition_by or self.rows_per_file):
            raise InvalidRequest(
                "A Lance dataset has files of its own: it goes without partition_by and "
                "rows_per_file."
            )

    def check(self, schema: pa.Schema) -> None:
        """InvalidRequest where rows of these columns cannot be parted so."""
        _check_partition(schema, self.partition_by)

    @property
    def is_folder(self) -> bool:
        """Whether the result is a folder."""
        return bool(self.partition_by or self.rows_per_file) or self.kind.name == "lance"

    @property
    def name(self) -> str:
        """What a result of one file, or of one dataset, is called."""
        return f"{self.stem}{ending_of(self.kind, self.options.codec)}"


@dataclass(frozen=True)
class OutputFile:
    """One file of a result: its name within it, its rows where they are counted, and its bytes."""

    name: str
    rows: int | None
    bytes: int
    sha256: str


@dataclass
class Output:
    """What has been written into a folder."""

    folder: Path
    schema: pa.Schema
    rows: int = 0
    files: list[OutputFile] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)


def write_output(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    folder: Path,
    layout: Layout,
    on_progress: OnProgress | None = None,
) -> Output:
    """Writes the rows into an empty folder. InvalidRequest; Unsupported.

    `on_progress` is told of rows and bytes so far, and may raise to end it all.
    """
    layout.check(schema)
    columns = layout.partition_by
    rest = [field.name for field in schema if field.name not in layout.partition_by]
    writing = _Writing(folder, layout, pa.schema([schema.field(name) for name in rest]))
    if not columns:
        writing.schema = schema
    try:
        for batch in batches:
            for place, part in _parts(batch, columns):
                writing.write(place, part)
            if on_progress is not None:
                on_progress(writing.rows, writing.bytes)
        return writing.finish(schema)
    except BaseException:
        writing.abandon()
        raise


def _check_partition(schema: pa.Schema, names: tuple[str, ...]) -> None:
    """Each is a column whose values can name a folder. InvalidRequest."""
    for name in names:
        found = schema.get_all_field_indices(name)
        if len(found) != 1:
            raise InvalidRequest(
                f"There is no column '{name[:80]}' to part the rows by."
                f"{did_you_mean(name, schema.names)}",
                code=ErrorCode.COLUMN_NOT_FOUND,
                details={"column": name[:80]},
            )
        kind = schema.field(found[0]).type
        if kinds.is_nested(kind) or isinstance(kind, pa.JsonType) or "binary" in str(kind):
            raise InvalidRequest(
                f"Rows are parted by values that can name a folder; '{name}' is {kind}."
            )
    if names and len(set(names)) == len(schema):
        raise InvalidRequest("A column that rows are not parted by has to be left for the files.")


def _parts(batch: pa.RecordBatch, columns: tuple[str, ...]) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Runs of rows that belong to one folder, with its name."""
    if not columns:
        yield "", batch
        return
    folders = [_folder_names(name, batch.column(name)) for name in columns]
    places = pc.run_end_encode(pc.binary_join_element_wise(*folders, "/"))
    rest = batch.select([name for name in batch.schema.names if name not in columns])
    start = 0
    ends, names = places.run_ends.to_pylist(), places.values.to_pylist()
    for end, place in zip(ends, names, strict=True):
        yield place, rest.slice(start, end - start)
        start = end


def _folder_names(name: str, column: pa.Array) -> pa.Array:
    values = texts_of(simple(column))
    known = values.dictionary_encode()
    folders = [
        f"{_escaped(name)}={_folder_value(name, one)}" for one in known.dictionary.to_pylist()
    ]
    null = f"{_escaped(name)}={NULL_PARTITION}"
    found = pa.array(folders, pa.string()).take(known.indices)
    return found.fill_null(null)


def _folder_value(column: str, text: str) -> str:
    found = _escaped(text) if text else NULL_PARTITION
    if len(found) > VALUE_BYTES_MAX:
        raise InvalidRequest(f"A value of '{column}' is too long to name a folder: '{text[:40]}…'.")
    return found


def _escaped(text: str) -> str:
    return quote(text, safe=" ")


class _Writing:
    """The files of one result: at most one of them is open."""

    def __init__(self, folder: Path, layout: Layout, schema: pa.Schema) -> None:
        self._folder, self._layout = folder, layout
        self.schema = schema
        self.rows = 0
        self._done: list[OutputFile] = []
        self._finished_bytes = 0
        self._writer: Writer | None = None
        self._place = self._name = ""
        self._count = 0

    @property
    def bytes(self) -> int:
        """About how many bytes are written."""
        return self._finished_bytes + (self._writer.bytes if self._writer is not None else 0)

    def write(self, place: str, batch: pa.RecordBatch) -> None:
        """Rows that belong to one folder."""
        most = self._layout.rows_per_file
        while batch.num_rows:
            full = most is not None and self._count >= most
            if self._writer is None or place != self._place or full:
                self._begin(place)
            room = batch.num_rows if most is None else most - self._count
            part, batch = batch.slice(0, room), batch.slice(room)
            assert self._writer is not None, "it was begun"
            self._writer.write(part)
            self._count += part.num_rows
            self.rows += part.num_rows

    def finish(self, schema: pa.Schema) -> Output:
        """Ends the last file; one without rows where there is none."""
        if self._writer is None and not self._done and not self._layout.partition_by:
            self._begin("")
        self._end()
        return Output(self._folder, schema, self.rows, self._done)

    def abandon(self) -> None:
        """Stops."""
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None

    def _begin(self, place: str) -> None:
        self._end()
        number = len(self._done)
        if number >= FILES_MAX:
            raise InvalidRequest(
                f"These would be more than {FILES_MAX:,} files: part the rows by fewer values, or "
                "put more rows into each."
            )
        layout = self._layout
        is_parted = bool(layout.partition_by or layout.rows_per_file)
        ending = ending_of(layout.kind, layout.options.codec)
        name = f"part-{number:05}{ending}" if is_parted else layout.name
        self._place, self._count = place, 0
        self._name = f"{place}/{name}" if place else name
        path = self._folder / self._name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = open_writer(layout.kind, path, self.schema, layout.options)

    def _end(self) -> None:
        if self._writer is None:
            return
        written = self._writer.close()
        self._writer = None
        self._done += [self._told(one, len(written) == 1) for one in written]
        self._finished_bytes = sum(file.bytes for file in self._done)

    def _told(self, one: Written, is_alone: bool) -> OutputFile:
        name = one.path.relative_to(self._folder).as_posix()
        counted = self._count if is_alone and self._layout.kind.name != "lance" else None
        return OutputFile(name, counted, one.bytes, one.sha256)
