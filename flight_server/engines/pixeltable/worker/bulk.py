"""Rows copied into a table's storage by PostgreSQL's COPY, some ten times as fast as inserted.

It is done in Pixeltable's own transaction, and what it leaves behind is what Pixeltable's insert
would: rows with ids and the version that they came with, what btree indexes keep of them, and the
version's record. That holds for tables of plain columns, which nothing is computed of; all others
are left to Pixeltable.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pixeltable as pxt
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from pixeltable import exceptions
from pixeltable.catalog import TableVersion, UpdateStatus
from pixeltable.catalog.update_status import RowCountStats
from pixeltable.index import BtreeIndex

from flight_server.arrow_layouts import positions
from flight_server.engines.pixeltable.plain_text import is_plain, lines_of
from flight_server.engines.pixeltable.worker.columns import Column, Shape
from flight_server.engines.pixeltable.worker.incoming import plain_of
from flight_server.engines.pixeltable.worker.own_tables import transaction


class _Place(NamedTuple):
    """A column of the storage: from which one that was sent it comes, and whether cut short."""

    name: str
    source: int
    is_cut: bool


def fits(table: pxt.Table, columns: Sequence[Column]) -> bool:
    """Whether rows of these columns may be copied into the table. A transaction is open."""
    version = _version(table)
    return (
        version.is_data_versioned
        and not version.mutable_views
        and all(isinstance(known.idx, BtreeIndex) for known in version.idxs.values())
        and not any(one.is_computed or one.stores_cellmd for one in version.cols_by_name.values())
        and all(one.shape is Shape.PLAIN and is_plain(one.kept) for one in columns)
    )


def insert(table: pxt.Table, columns: Sequence[Column], parts: Iterable[pa.RecordBatch]) -> int:
    """Copies rows, as one version: how many there were. No rows make none."""
    version, rows = _version(table), 0
    for part in parts:
        if not rows:
            version.bump_version(time.time(), bump_schema_version=False)
        _copy(version, columns, part)
        rows += part.num_rows
    if rows:
        counts = RowCountStats(ins_rows=rows, num_excs=0, computed_values=0)
        version.set_version_update_status(UpdateStatus(row_count_stats=counts))
        version._write_md(new_version=True, new_schema_version=False)
    return rows


def _version(table: pxt.Table) -> TableVersion:
    version: TableVersion = table._tbl_version.get()
    return version


def _copy(version: TableVersion, columns: Sequence[Column], part: pa.RecordBatch) -> None:
    places = _places(version, columns)
    arrays = [plain_of(one, array) for one, array in zip(columns, part.columns, strict=True)]
    ids = pc.add(positions(part.num_rows), version.next_row_id)
    stored = [_cut(arrays[at.source]) if at.is_cut else arrays[at.source] for at in places]
    v_min = pa.repeat(pa.scalar(version.version, pa.int64()), part.num_rows)
    names = ["rowid", "v_min", *(place.name for place in places)]
    rows = pa.RecordBatch.from_arrays([ids, v_min, *stored], names)
    version.next_row_id += part.num_rows
    copy = f"COPY {version.store_tbl.sa_tbl.name} ({', '.join(names)}) FROM STDIN (FORMAT csv)"
    driver = transaction().connection.driver_connection
    assert isinstance(driver, psycopg.Connection), "Pixeltable uses psycopg"
    try:
        with driver.cursor() as cursor, cursor.copy(copy) as copying:
            copying.write(lines_of(rows))
    except psycopg.Error as error:
        raise _as_inserted(error, copy) from error


def _places(version: TableVersion, columns: Sequence[Column]) -> list[_Place]:
    """Where each column is stored, and where its indexes are that keep values of their own."""
    at = {column.name: number for number, column in enumerate(columns)}
    places = [_Place(version.cols_by_name[name].store_name(), at[name], False) for name in at]
    for known in version.idxs.values():
        if known.val_col is not None and known.col.name in at:
            is_cut = known.col.col_type.is_string_type()
            places.append(_Place(known.val_col.store_name(), at[known.col.name], is_cut))
    return places


def _cut(texts: pa.Array) -> pa.Array:
    return pc.utf8_slice_codeunits(texts, 0, BtreeIndex.MAX_STRING_LEN)


def _as_inserted(error: psycopg.Error, statement: str) -> Exception:
    """The error that an insert of Pixeltable's would have met. It quotes no row."""
    if isinstance(error, psycopg.errors.UniqueViolation):
        text = "Duplicate primary key value: it is there already, or was sent twice"
    elif isinstance(error, psycopg.errors.ProgramLimitExceeded):
        text = "A value is too large for an index of the table"
    else:
        # As SQLAlchemy raises it, by which Pixeltable knows what to do again.
        wrapped: Exception = sa.exc.DBAPIError.instance(
            statement, None, error, psycopg.Error, hide_parameters=True
        )
        return wrapped
    refused: Exception = exceptions.RequestError(exceptions.ErrorCode.CONSTRAINT_VIOLATION, text)
    return refused
