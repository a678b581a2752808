"""Indexes and searches as the process that holds Pixeltable is told of them, and tells of them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.pixeltable.asking import Asking
from flight_server.model import (
    Author,
    Commit,
    Embedder,
    Index,
    IndexKind,
    Metric,
    Precision,
    SearchRequest,
    Sought,
    TableRef,
)


class Indexes(Asking):
    """The engine's methods for indexes."""

    def indexes(self, table: TableRef) -> list[Index]:
        """The table's own indexes, by name."""
        return [_index_of(one) for one in self._of(table, "indexes")["indexes"]]

    def create_index(
        self, table: TableRef, index: Index, author: Author, cancellation: Cancellation = NEVER
    ) -> Commit:
        """An index. UNSUPPORTED of a snapshot; INVALID_REQUEST of a column that can have none."""
        told = self._of(table, "create_index", cancellation, **_wanted(index))
        return Commit(told["snapshot"])

    def drop_index(self, table: TableRef, name: str, author: Author) -> Commit:
        """INDEX_NOT_FOUND."""
        return Commit(self._of(table, "drop_index", index=name)["snapshot"])


def sought(table: TableRef, request: SearchRequest) -> dict[str, Any]:
    """What a search asks for."""
    by = request.sought
    return {
        "namespace": table.namespace,
        "name": table.name,
        "column": request.column,
        "by": request.by,
        "sought": base64.b64encode(by).decode() if isinstance(by, bytes) else by,
        "index": request.index,
        "columns": None if request.columns is None else list(request.columns),
        "filter": request.filter,
        "limit": request.limit,
    }


def _wanted(index: Index) -> dict[str, Any]:
    return {
        "index": index.name,
        "column": index.column,
        "kind": index.kind,
        "metric": index.metric,
        "precision": index.precision,
        "embedders": [[by, asdict(one)] for by, one in index.embedders.items()],
    }


def _index_of(told: Mapping[str, Any]) -> Index:
    metric, precision = told["metric"], told["precision"]
    return Index(
        told["column"],
        IndexKind(told["kind"]),
        told["name"],
        None if metric is None else Metric(metric),
        None if precision is None else Precision(precision),
        {Sought(by): Embedder(**one) for by, one in told["embedders"].items()},
    )
