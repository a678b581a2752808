"""What a column is in a query of Pixeltable's, and the ids of rows, which are columns to us.

Pixeltable gives each row a number, which stays with it through all updates. Rows that an iterator
makes of one have several, and have no id here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pixeltable as pxt
import pyarrow as pa
from pixeltable import type_system as types
from pixeltable.exprs import RowidRef

from flight_server.engines.pixeltable.worker.columns import Column, Shape
from flight_server.errors import Unsupported
from flight_server.model import ROW_ID

ID = Column(pa.field(ROW_ID, pa.int64(), False), Shape.ID, types.IntType())
# As filters and orders call it that have been checked.
_JUDGED_ID = Column(pa.field("rowid", pa.int64(), False), Shape.ID, types.IntType())


def expression(table: pxt.Table, column: Column) -> Any:
    """The expression that gives the values of a column."""
    if column.shape is Shape.ID:
        return RowidRef(table._tbl_path.tbl_version, 0)
    reference = table[column.name]
    if column.shape is not Shape.MEDIA:
        return reference
    if getattr(reference, "perform_validation", False):
        # Nobody has to look into a file, and fail where it is broken, to tell its URL.
        reference = reference.components[0]
    return reference.fileurl


def judged(table: pxt.Table, every: Sequence[Column]) -> list[Column]:
    """The columns that filters and orders may mean: a table's own, and the ids of its rows."""
    taken = any(column.name.lower() == _JUDGED_ID.name for column in every)
    return [*every] if taken or not _has_ids(table) else [*every, _JUDGED_ID]


def check_ids(table: pxt.Table) -> None:
    """Unsupported where rows have no ids of one number."""
    if not _has_ids(table):
        raise Unsupported("The rows of this table or view have no ids of one number.")


def _has_ids(table: pxt.Table) -> bool:
    path = table._tbl_path
    return bool(path.is_data_versioned() and path.num_rowid_columns() == 1)
