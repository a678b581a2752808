"""Files of Parquet that somebody else has written, on their way to being a table's own.

DuckLake can be told of such files, and reads their footers only. What it makes of the statistics
in them is not right for every file, as was found on 1.5.5:

- of groups of rows it compares dates and times as text, so that the year 10000 comes before 1970;
- where a column has a smallest and a largest value in some groups and none in others, being null in
  all their rows or too long, the table seems to have none at all, and the next commit takes its own
  for those of all rows: conditions then find no others;
- Arrow's smallest and largest floating-point number leave out NaN, which DuckDB sorts behind all.

So each footer is looked at here. Whoever writes the files sees to it that columns which hold NaN
have no statistics: of floating-point numbers DuckLake can do without, since it does not know
whether there is a NaN among them.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as kinds

from flight_server.engines.lake.checks import rules_of
from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.inbound import EARLIEST_NANOSECONDS
from flight_server.engines.lake.instance import CATALOG, METADATA, Instance, literal
from flight_server.engines.lake.types import is_plain
from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.model import TableRef, TableVersion

# Names of which DuckLake makes folders; of others it makes up something.
_NAMES_FOLDER = re.compile(r"[A-Za-z0-9_]+")
_GLOBBED = re.compile(r"[*?\[\]{}]")
# Of these DuckLake needs to know no smallest and no largest value.
_UNTOLD = (kinds.is_boolean, kinds.is_floating, kinds.is_binary, kinds.is_large_binary)
_FOLDERS = (
    "SELECT s.path, s.path_is_relative, t.path, t.path_is_relative "
    f"FROM {METADATA}.ducklake_schema s LEFT JOIN {METADATA}.ducklake_table t ON "
    "t.schema_id = s.schema_id AND t.end_snapshot IS NULL AND lower(t.table_name) = lower($1) "
    "WHERE s.end_snapshot IS NULL AND lower(s.schema_name) = lower($2)"
)


class StagedFiles:
    """The files of one put, opened: their footers are read, and rows only by `batches`."""

    def __init__(self, paths: Sequence[Path], schema: pa.Schema) -> None:
        """InvalidRequest where one of them has other columns than the put says, or is no file."""
        self.paths = tuple(paths)
        self._schema = schema
        self._opened = ExitStack()
        self._files: list[pq.ParquetFile] = []
        with self._opened:
            for path in paths:
                self._files.append(self._opened.enter_context(_opened(path)))
                self._check(self._files[-1])
            self._opened = self._opened.pop_all()

    def __enter__(self) -> StagedFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(file.metadata.num_rows for file in self._files)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows."""
        for file in self._files:
            for batch in file.iter_batches():
                yield pa.RecordBatch.from_arrays(batch.columns, schema=self._schema)

    def may_be_added(self, instance: Instance, found: TableVersion) -> bool:
        """Whether they can become the table's as they are: DuckLake reads what is in them right.

        Columns that do not come in have defaults, rules are judged row by row, files of a
        partition hold rows of no other: for all of these the rows have to be read.
        """
        spec, settings = found.spec, instance.settings
        return (
            instance.is_local
            and not settings.lake_encrypted
            and not spec.partition_by
            and not rules_of(spec)
            and sorted(self._schema.names) == sorted(found.schema.names)
            and all(self._is_told(field) for field in found.schema)
            and all(os.stat(path).st_dev == os.stat(instance.files).st_dev for path in self.paths)
        )

    def _check(self, file: pq.ParquetFile) -> None:
        if not _bare(file.schema_arrow).equals(_bare(self._schema)):
            raise InvalidRequest(
                "A file of the put has other columns than its schema says.",
                code=ErrorCode.SCHEMA_MISMATCH,
            )

    def _is_told(self, field: pa.Field) -> bool:
        """Whether what the footers say of a column is enough, and none of it is misread."""
        if not is_plain(field) or not self._schema.field(field.name).type.equals(field.type):
            return False
        column = self._schema.get_field_index(field.name)
        return all(_is_told(file.metadata, column, field) for file in self._files)


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException):
        raise InvalidRequest(
            "A file of the put is not there any more, or is no Parquet.",
            code=ErrorCode.INVALID_DATA,
        ) from None


def folder_of(instance: Instance, table: TableRef) -> Path | None:
    """Where DuckLake keeps the files of a table; None where nobody else can tell.

    What is only being made has no folder yet, but one by its name where that is a plain one.
    """
    rows = instance.rows(_FOLDERS, [table.name, table.namespace])
    if not rows:
        return None
    space, is_space_relative, own, is_own_relative = rows[0]
    if own is None:
        if not _NAMES_FOLDER.fullmatch(table.name):
            return None
        own, is_own_relative = f"{table.name}/", True
    folder = Path(instance.files, space) if is_space_relative else Path(space)
    folder = folder / own if is_own_relative else Path(own)
    return None if _GLOBBED.search(str(folder)) else folder


def add_files(
    transaction: WriteTransaction, found: TableVersion, files: StagedFiles, folder: Path
) -> int:
    """Makes them the table's in a transaction; how many rows they have.

    Where it comes to nothing, they are left as files that no commit names: when a commit fails it
    is not always sure that it did. Housekeeping knows, and removes them.
    """
    table, paths = found.table, []
    folder.mkdir(parents=True, exist_ok=True)
    for staged in files.paths:
        # What is older than the transaction would be taken for left over from another one.
        os.utime(staged)
        paths.append(folder / f"import-{uuid.uuid4()}.parquet")
        staged.rename(paths[-1])
    listed = ", ".join(literal(str(path)) for path in paths)
    transaction.run(
        f"CALL ducklake_add_data_files({literal(CATALOG)}, {literal(table.name)}, [{listed}], "
        f"schema => {literal(table.namespace)}, hive_partitioning => false)"
    )
    transaction.local_rows.inserted(table, files.rows)
    return files.rows


def _is_told(metadata: pq.FileMetaData, column: int, field: pa.Field) -> bool:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    told = [group.column(column).statistics for group in groups]
    if not field.nullable and any(_may_be_null(one) for one in told):
        return False
    if any(test(field.type) for test in _UNTOLD):
        return True
    if any(one is None or not one.has_null_count for one in told):
        return False
    if all(one.null_count == group.num_rows for one, group in zip(told, groups, strict=True)):
        return True
    return all(one.has_min_max and _is_read_right(one, field.type) for one in told)


def _may_be_null(told: pq.Statistics | None) -> bool:
    return told is None or not told.has_null_count or told.null_count > 0


def _is_read_right(told: pq.Statistics, data_type: pa.DataType) -> bool:
    """Whether the text that DuckLake makes of the smallest and largest value says what they are."""
    if kinds.is_string(data_type) or kinds.is_large_string(data_type):
        # The text of a statement ends there.
        return b"\0" not in told.min_raw and b"\0" not in told.max_raw
    if kinds.is_timestamp(data_type) and data_type.unit == "ns":
        return bool(told.min_raw >= EARLIEST_NANOSECONDS)
    if kinds.is_date(data_type) or kinds.is_timestamp(data_type):
        try:
            # Python's own have years of four digits, as DuckLake's need.
            return bool(told.min <= told.max)
        except (OverflowError, ValueError):
            return False
    return True


def _bare(schema: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(field.name, field.type) for field in schema])
