"""What an engine may be able to do with indexes, and with what is near to something.

A part of the abilities of `base`, in a file of their own for their length.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import pyarrow as pa

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.stream import Batches
from flight_server.model import SCORE, Author, Commit, Index, SearchRequest, TableRef

SCORE_FIELD = pa.field(SCORE, pa.float64())


@runtime_checkable
class SupportsIndexes(Protocol):
    """Columns can have indexes."""

    def indexes(self, table: TableRef) -> list[Index]:
        """The table's own, by name. NotFound."""

    def create_index(
        self, table: TableRef, index: Index, author: Author, cancellation: Cancellation = NEVER
    ) -> Commit:
        """Makes one, of all the rows that there are. NotFound; AlreadyExists; InvalidRequest."""

    def drop_index(self, table: TableRef, name: str, author: Author) -> Commit:
        """NotFound (index_not_found)."""


@runtime_checkable
class SupportsSearch(Protocol):
    """Rows can be found by how near they are to something, by an index of embeddings."""

    def search(
        self, table: TableRef, request: SearchRequest, cancellation: Cancellation = NEVER
    ) -> Batches:
        """The nearest rows of the newest version, with the column `_score` behind the others.

        Rows whose column has no embedding are in no answer. NotFound (index_not_found) where the
        column has no index of embeddings; Unsupported where it has none for what is sought.
        """
