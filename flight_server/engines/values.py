"""The ability to set columns to values that come as Arrow, with no text of SQL made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import pyarrow as pa

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.model import Author, Commit, TableRef


@runtime_checkable
class SupportsValues(Protocol):
    """Columns can be set to values as they come, and others to expressions, at once."""

    def set_values(
        self,
        table: TableRef,
        values: pa.RecordBatch,
        assignments: Mapping[str, str],
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """`values` is one row of columns that are set to it; otherwise as `SupportsUpdate.update`.

        InvalidRequest (schema_mismatch) besides.
        """
