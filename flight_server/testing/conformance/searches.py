"""Indexes of columns that hold embeddings, and the rows that are near to one."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from flight_server.errors import ErrorCode, PixelflightError
from flight_server.model import Index, IndexKind, Metric, SearchRequest, Sought
from flight_server.testing.conformance.handles import (
    AUTHOR,
    EngineCase,
    TableHandle,
    refused,
    table_of_its_own,
)

POINTS = pa.schema([pa.field("id", pa.int64()), pa.field("v", pa.list_(pa.float32(), 2))])
ROWS: list[dict[str, Any]] = [
    {"id": 1, "v": [1.0, 0.0]},
    {"id": 2, "v": [0.5, 2.0]},
    {"id": 3, "v": [0.0, 4.0]},
    {"id": 4, "v": None},
    {"id": 5, "v": [-8.0, 0.5]},
]
# By each metric from (0, 1): the nearest first.
NEAREST = {Metric.COSINE: [3, 2, 5, 1], Metric.INNER_PRODUCT: [3, 2, 5, 1], Metric.L2: [2, 1, 3, 5]}


def _near(table: TableHandle, **more: Any) -> pa.Table:
    request = SearchRequest("v", Sought.VECTOR, (0.0, 1.0), **more)
    return table.engine.search(table.ref, request).read_all()


class SearchTests(EngineCase):
    """What is near, and by what it is found."""

    @pytest.fixture
    def points(self, engine: Any) -> TableHandle:
        """A table of points, without an index."""
        table = table_of_its_own(engine).create(POINTS)
        table.put(pa.Table.from_pylist(ROWS, schema=POINTS))
        return table

    @pytest.mark.parametrize("metric", Metric)
    def test_the_nearest_come_first(self, points: TableHandle, metric: Metric) -> None:
        """All columns, the score behind them; rows without an embedding are not there."""
        points.engine.create_index(points.ref, Index("v", metric=metric), AUTHOR)
        found = _near(points)
        assert found.schema.names == ["id", "v", "_score"]
        assert found["id"].to_pylist() == NEAREST[metric]
        scores = found["_score"].to_pylist()
        assert scores == sorted(scores, reverse=metric is not Metric.L2)

    def test_columns_filter_and_limit_of_a_search(self, points: TableHandle) -> None:
        """A filter leaves rows out before the nearest are taken."""
        points.engine.create_index(points.ref, Index("V", metric=Metric.L2), AUTHOR)
        assert _near(points, columns=("ID",), limit=1).column_names == ["id", "_score"]
        assert _near(points, filter="id <> 2", limit=2)["id"].to_pylist() == [1, 3]
        assert _near(points, limit=0).num_rows == 0

    def test_an_index_follows_its_table(self, points: TableHandle) -> None:
        """Rows that come are found, and rows that went are not."""
        points.engine.create_index(points.ref, Index("v", metric=Metric.L2), AUTHOR)
        points.put(pa.Table.from_pylist([{"id": 6, "v": [0.0, 1.0]}], schema=POINTS))
        points.delete("id = 2")
        assert _near(points, limit=2)["id"].to_pylist() == [6, 1]

    def test_indexes_are_listed_and_dropped(self, points: TableHandle) -> None:
        """By their names; what is found by one is not found without it."""
        points.engine.create_index(points.ref, Index("v", name="by_v"), AUTHOR)
        points.engine.create_index(points.ref, Index("id", IndexKind.BTREE, "by_id"), AUTHOR)
        listed = points.engine.indexes(points.ref)
        assert [(one.name, one.column) for one in listed] == [("by_id", "id"), ("by_v", "v")]
        assert listed[1].metric is Metric.COSINE
        with refused(ErrorCode.ALREADY_EXISTS, error=PixelflightError):
            points.engine.create_index(points.ref, Index("v", name="by_v"), AUTHOR)
        points.engine.drop_index(points.ref, "by_v", AUTHOR)
        with refused(ErrorCode.INDEX_NOT_FOUND, error=PixelflightError):
            points.engine.drop_index(points.ref, "by_v", AUTHOR)
        with refused(ErrorCode.INDEX_NOT_FOUND, error=PixelflightError):
            _near(points)

    def test_what_cannot_be_sought(self, points: TableHandle) -> None:
        """Is told why."""
        with refused(ErrorCode.COLUMN_NOT_FOUND):
            points.engine.create_index(points.ref, Index("w"), AUTHOR)
        with refused(ErrorCode.INVALID_REQUEST):
            points.engine.create_index(points.ref, Index("id"), AUTHOR)
        points.engine.create_index(points.ref, Index("v", name="a"), AUTHOR)
        for vector in ((1.0,), (1.0, float("nan"))):
            with refused(ErrorCode.INVALID_REQUEST):
                request = SearchRequest("v", Sought.VECTOR, vector)
                points.engine.search(points.ref, request).read_all()
        with refused(ErrorCode.UNSUPPORTED, error=PixelflightError):
            points.engine.search(points.ref, SearchRequest("v", Sought.TEXT, "one")).read_all()
