"""Scans in parts."""

from __future__ import annotations

from typing import Any

import pytest

from flight_server.errors import InvalidRequest
from flight_server.model import ScanRequest
from flight_server.testing.conformance.handles import EngineCase, TableHandle

ROWS = 60_000


class SliceTests(EngineCase):
    """Parts that make the whole."""

    @pytest.mark.parametrize("condition", [None, "id % 3 = 0"])
    def test_the_parts_make_the_whole(self, engine: Any, condition: str | None) -> None:
        """Each row is in one of them, also after later writes, and in any order of reading."""
        table = _filled(engine)
        version = engine.snapshot()
        request = ScanRequest(filter=condition, version=version)
        parts = engine.slices(table.ref, request, 100_000)
        table.put({"id": [-1]})
        found = [
            table.ids(filter=condition, version=version, slice=part.name)
            for part in reversed(parts)
        ]
        whole = [i for i in range(ROWS) if condition is None or i % 3 == 0]
        assert sorted(i for ids in found for i in ids) == whole

    def test_a_small_table_is_one(self, table: TableHandle) -> None:
        """And is not split."""
        (part,) = table.engine.slices(table.ref, ScanRequest(), 100_000_000)
        assert part.name is None

    def test_a_scan_with_a_limit_is_one(self, engine: Any) -> None:
        """A window cannot be cut without knowing the rest."""
        table = _filled(engine)
        (part,) = engine.slices(table.ref, ScanRequest(order_by="id", limit=10), 1_000)
        assert part.name is None

    @pytest.mark.parametrize("name", ["nonsense", "1;2", ""])
    def test_a_part_that_is_none(self, table: TableHandle, name: str) -> None:
        """Is refused."""
        with pytest.raises(InvalidRequest):
            table.scan(slice=name)


def _filled(engine: Any) -> TableHandle:
    table = TableHandle(engine).create()
    for start in range(0, ROWS, ROWS // 3):
        table.put({"id": range(start, start + ROWS // 3)})
    return table
