"""Indexes of columns that hold embeddings, and searches that look at every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.search import SCORE_FIELD
from flight_server.errors import AlreadyExists, ErrorCode, InvalidRequest, NotFound, Unsupported
from flight_server.model import (
    Author,
    Commit,
    Index,
    IndexKind,
    Metric,
    ScanRequest,
    SearchRequest,
    Sought,
    TableRef,
)
from flight_server.testing.memory.commits import CommitLog
from flight_server.testing.memory.scans import scanned
from flight_server.testing.memory.state import TableState


class MemorySearches:
    """What the in-memory engine does with indexes. There is no function that makes embeddings."""

    def __init__(self) -> None:
        self._log = CommitLog()
        self._indexes: dict[tuple[int, str], Index] = {}

    def indexes(self, table: TableRef) -> list[Index]:
        """The table's indexes by name."""
        of = self._log.newest.state.table(table).id
        return [index for (id_, _), index in sorted(self._indexes.items()) if id_ == of]

    def create_index(
        self, table: TableRef, index: Index, author: Author, cancellation: Cancellation = NEVER
    ) -> Commit:
        """ALREADY_EXISTS, COLUMN_NOT_FOUND, INVALID_REQUEST, UNSUPPORTED."""
        found = self._log.newest.state.table(table)
        field = found.column(index.column)
        if index.embedders:
            raise Unsupported("No functions make embeddings here.")
        name = index.name or f"idx{len(self._indexes)}"
        made = replace(index, column=field.name, name=name)
        if index.kind is IndexKind.EMBEDDING:
            if not pa.types.is_fixed_size_list(field.type):
                raise InvalidRequest(f"'{field.name}' holds no embeddings.")
            made = replace(made, metric=index.metric or Metric.COSINE)
        if self._indexes.setdefault((found.id, name.lower()), made) is not made:
            raise AlreadyExists(f"The table '{found.ref}' has an index '{name}' already.")
        return Commit(self._log.newest.id)

    def drop_index(self, table: TableRef, name: str, author: Author) -> Commit:
        """INDEX_NOT_FOUND."""
        found = self._log.newest.state.table(table)
        if self._indexes.pop((found.id, name.lower()), None) is None:
            raise _not_found(found, name)
        return Commit(self._log.newest.id)

    def search(
        self, table: TableRef, request: SearchRequest, cancellation: Cancellation = NEVER
    ) -> pa.RecordBatchReader:
        """The nearest rows. INDEX_NOT_FOUND, INVALID_REQUEST, UNSUPPORTED."""
        found = self._log.newest.state.table(table)
        index = self._index(found, request)
        if request.by is not Sought.VECTOR:
            raise Unsupported(f"No function embeds what is sought by {request.by}.")
        rows = scanned(found, ScanRequest(filter=request.filter), cancellation).read_all()
        values = rows.column(index.column).to_pylist()
        here = [at for at, value in enumerate(values) if value is not None]
        sought = np.array(request.sought, np.float64)
        vectors = np.array([values[at] for at in here], np.float64).reshape(-1, _size(found, index))
        if sought.shape != vectors.shape[1:] or not np.isfinite(sought).all():
            raise InvalidRequest("The vector is none of the index's.")
        scores = _scores(vectors, sought, index.metric)
        nearest = np.argsort(scores if index.metric is Metric.L2 else -scores, kind="stable")
        chosen = nearest[: request.limit]
        kept = rows.take(pa.array([here[at] for at in chosen], pa.int64()))
        if request.columns is not None:
            kept = kept.select([found.column(name).name for name in request.columns])
        return kept.append_column(SCORE_FIELD, [pa.array(scores[chosen])]).to_reader()

    def _index(self, table: TableState, request: SearchRequest) -> Index:
        column = table.column(request.column).name
        known: Sequence[Index] = [
            index
            for index in self.indexes(table.ref)
            if index.column == column and index.kind is IndexKind.EMBEDDING
        ]
        named = [one for one in known if request.index in (None, one.name)]
        if not named:
            raise _not_found(table, request.index or column)
        if len(named) > 1:
            raise InvalidRequest(f"The column '{column}' has several indexes: name one.")
        return named[0]


def _scores(
    vectors: npt.NDArray[np.float64], sought: npt.NDArray[np.float64], metric: Metric | None
) -> npt.NDArray[np.float64]:
    if metric is Metric.L2:
        scores: npt.NDArray[np.float64] = np.linalg.norm(vectors - sought, axis=1)
        return scores
    scores = vectors @ sought
    if metric is Metric.COSINE:
        scores /= np.linalg.norm(vectors, axis=1) * np.linalg.norm(sought)
    return scores


def _size(table: TableState, index: Index) -> int:
    size: int = table.column(index.column).type.list_size
    return size


def _not_found(table: TableState, name: str) -> NotFound:
    return NotFound(f"'{table.ref}' has no index '{name}'.", code=ErrorCode.INDEX_NOT_FOUND)
