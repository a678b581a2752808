"""Reading: which columns, which rows, in which order."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest

from flight_server.engines.cancellation import Cancellation
from flight_server.errors import Cancelled, ErrorCode, InvalidRequest, NotFound, TimedOut
from flight_server.model import ScanRequest
from flight_server.testing.conformance.handles import (
    THREE,
    EngineCase,
    TableHandle,
    refused,
    unordered,
)

FILTERS: tuple[tuple[str, list[int]], ...] = (
    ("id = 2", [2]),
    ("id <> 2", [1, 3]),
    ("id >= 2 AND amount IS NULL", [2]),
    ("name IS NULL OR name = 'one'", [1, 3]),
    ("name LIKE 't%'", [2]),
    ("id IN (1, 3, 5)", [1, 3]),
    ("id BETWEEN 2 AND 9", [2, 3]),
    ("NOT (amount > 0)", [3]),
    ("amount * 2 = 3.0", [1]),
    ("\"name\" = 'two'", [2]),
    ("id + 1 > 3 OR id < 2", [1, 3]),
    ("upper(name) = 'ONE'", [1]),
    ("true", [1, 2, 3]),
    ("id > 100", []),
)

ORDERS = (
    ("id", [1, 2, 3]),
    ("id DESC", [3, 2, 1]),
    ("name", [1, 2, 3]),
    ("name DESC", [2, 1, 3]),
    ("name NULLS FIRST", [3, 1, 2]),
    ("amount DESC, id", [1, 3, 2]),
    ('"amount" asc nulls first', [2, 3, 1]),
    ("-id", [3, 2, 1]),
    ("coalesce(amount, 0.0), id", [3, 2, 1]),
)


class ScanTests(EngineCase):
    """Scans."""

    def test_everything(self, table: TableHandle) -> None:
        """Is what comes without a wish."""
        assert table.rows() == unordered(THREE)

    @pytest.mark.parametrize("columns", [("amount",), ("name", "id"), ("amount", "name", "id")])
    def test_columns(self, table: TableHandle, columns: tuple[str, ...]) -> None:
        """Those asked for, in the order asked for."""
        answer = table.scan(columns=columns)
        assert answer.column_names == list(columns)
        expected = [{name: row[name] for name in columns} for row in THREE]
        assert unordered(answer.to_pylist()) == unordered(expected)

    @pytest.mark.parametrize(("condition", "ids"), FILTERS)
    def test_filter(self, table: TableHandle, condition: str, ids: list[int]) -> None:
        """Rows where the condition is true; where it is null it is not."""
        assert table.ids(filter=condition) == ids
        assert table.rows(filter=condition) == unordered([r for r in THREE if r["id"] in ids])

    def test_filter_on_a_column_that_is_not_asked_for(self, table: TableHandle) -> None:
        """Works, and so does an order by one."""
        answer = table.scan(columns=("name",), filter="id > 1", order_by="id DESC")
        assert answer.to_pylist() == [{"name": None}, {"name": "two"}]

    @pytest.mark.parametrize(("order", "ids"), ORDERS)
    def test_order(self, table: TableHandle, order: str, ids: list[int]) -> None:
        """As asked for; nulls come last where nothing else is said."""
        assert table.ids(order_by=order) == ids

    def test_limit_and_offset(self, engine: Any) -> None:
        """A window of the ordered rows, also one that reaches over their end."""
        table = TableHandle(engine).create()
        table.put({"id": range(100)})
        for offset, limit, expected in (
            (0, 5, range(5)),
            (10, 5, range(10, 15)),
            (98, 5, range(98, 100)),
            (100, 5, range(0)),
            (97, None, range(97, 100)),
            (0, 0, range(0)),
        ):
            window = table.ids(order_by="id", limit=limit, offset=offset)
            assert window == list(expected)
        assert len(table.ids(limit=7)) == 7
        assert table.ids(order_by="id DESC", filter="id < 50", limit=2, offset=1) == [48, 47]

    def test_row_ids(self, table: TableHandle) -> None:
        """Come last, of their own type, one each, and stay when rows are updated or added."""
        answer = table.scan(with_row_id=True)
        assert answer.column_names == ["id", "name", "amount", "_row_id"]
        assert answer.schema.field("_row_id").type == pa.int64()
        before = {row["id"]: row["_row_id"] for row in answer.to_pylist()}
        assert len(set(before.values())) == 3
        table.put([{"id": 4}])
        found = table.scan(columns=("id",), with_row_id=True).to_pylist()
        after = {row["id"]: row["_row_id"] for row in found}
        assert {i: after[i] for i in before} == before
        assert len(set(after.values())) == 4

    def test_an_unknown_column(self, table: TableHandle) -> None:
        """Is named, with the one that may have been meant."""
        with refused(ErrorCode.COLUMN_NOT_FOUND, "'nmae'", "Did you mean 'name'?"):
            table.scan(columns=("id", "nmae"))

    @pytest.mark.parametrize("request_", [{"filter": "nope = 1"}, {"order_by": "nope"}])
    def test_an_unknown_column_in_sql(self, table: TableHandle, request_: dict[str, str]) -> None:
        """Is named too."""
        with pytest.raises(InvalidRequest) as caught:
            table.scan(**request_)
        assert caught.value.code in (ErrorCode.COLUMN_NOT_FOUND, ErrorCode.INVALID_SQL)
        assert "nope" in caught.value.message

    @pytest.mark.parametrize("wrong", ["id = ", "id = 'a' AND (", "((", "id ? 3"])
    def test_sql_that_does_not_parse(self, table: TableHandle, wrong: str) -> None:
        """Is refused."""
        with refused(ErrorCode.INVALID_SQL):
            table.scan(filter=wrong)

    def test_an_unknown_version(self, table: TableHandle) -> None:
        """Is named."""
        with refused(ErrorCode.VERSION_NOT_FOUND, "987654", error=NotFound):
            table.scan(version=987654)

    def test_an_empty_table(self, engine: Any) -> None:
        """Has its schema and no rows, whatever is asked."""
        table = TableHandle(engine).create()
        assert table.rows() == []
        assert table.rows(filter="id > 1", order_by="name", limit=3) == []
        assert table.scan(columns=("name",), with_row_id=True).num_rows == 0

    def test_the_schema_comes_before_the_rows(self, engine: Any, table: TableHandle) -> None:
        """A reader can be closed without reading it."""
        with closing(engine.scan(table.ref, ScanRequest())) as reader:
            assert reader.schema.names == ["id", "name", "amount"]
        assert table.rows() == unordered(THREE)

    def test_a_scan_sees_one_moment(self, engine: Any) -> None:
        """Writes while it is read do not show."""
        table = TableHandle(engine).create()
        table.put({"id": range(50_000)})
        with closing(engine.scan(table.ref, ScanRequest(columns=("id",)))) as reader:
            table.put({"id": [-1]})
            table.put({"id": [-2]}, "overwrite")
            ids = reader.read_all().column("id").to_pylist()
        assert sorted(ids) == list(range(50_000))

    def test_cancellation(self, engine: Any, table: TableHandle) -> None:
        """A request that has ended reads nothing."""
        gone = Cancellation()
        gone.cancel()
        with pytest.raises(Cancelled):
            engine.scan(table.ref, ScanRequest(), gone).read_all()
        with pytest.raises(TimedOut):
            engine.scan(table.ref, ScanRequest(), Cancellation(deadline=0.0)).read_all()
