"""What an engine may be able to do with rows that lie in files already.

A part of the abilities of `base`, in a file of its own for its length.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import pyarrow as pa

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.model import Author, Commit, IngestRequest, TableRef


@runtime_checkable
class SupportsStaging(Protocol):
    """Files of Parquet can become a table's own."""

    def ingest_staged(
        self,
        table: TableRef,
        request: IngestRequest,
        schema: pa.Schema,
        files: Sequence[Path],
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """As `SupportsIngest.ingest` of the rows in the files, which are of the schema.

        In one commit, under the request's token, whose content is named. Files that become the
        table's are taken from where they lie; the others stay.
        """
