"""Indexes and searches as the process that holds Pixeltable is told of them, and tells of them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flight_server.model import (
    Embedder,
    Index,
    IndexKind,
    Metric,
    Precision,
    SearchRequest,
    Sought,
    TableRef,
)


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


def wanted(table: TableRef, index: Index) -> dict[str, Any]:
    """What a new index is to be."""
    return {
        "namespace": table.namespace,
        "name": table.name,
        "index": index.name,
        "column": index.column,
        "kind": index.kind,
        "metric": index.metric,
        "precision": index.precision,
        "embedders": [[by, asdict(one)] for by, one in index.embedders.items()],
    }


def index_of(told: Mapping[str, Any]) -> Index:
    """An index that there is."""
    metric, precision = told["metric"], told["precision"]
    return Index(
        told["column"],
        IndexKind(told["kind"]),
        told["name"],
        None if metric is None else Metric(metric),
        None if precision is None else Precision(precision),
        {Sought(by): Embedder(**one) for by, one in told["embedders"].items()},
    )
