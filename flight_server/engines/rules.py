"""What an engine may be able to say of rows before they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import pyarrow as pa

from flight_server.model import IngestMode, TableRef, Violation


@runtime_checkable
class SupportsRules(Protocol):
    """Rows can be judged by a table's constraints and checks without being written."""

    def violations(
        self, table: TableRef, mode: IngestMode, batch: pa.RecordBatch
    ) -> Mapping[int, Violation]:
        """By their positions, the rows that `ingest` in this mode would refuse, and why.

        What a merge makes of rows that are there is not foreseen. NotFound; InvalidRequest where
        the columns do not fit.
        """
