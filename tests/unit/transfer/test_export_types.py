"""Every type that tables hold goes out in every format and comes in again; losses are listed."""

from __future__ import annotations

import pytest

from flight_server.transfer.formats import FORMATS
from tests.unit.transfer.export_types import KEPT, LOST, REFUSED, cases, trip

# Spreadsheets count in milliseconds.
FINER_THAN_EXCEL = ("[us", "[ns")


@pytest.mark.parametrize("name", FORMATS)
def test_what_goes_out_comes_in_again(name: str) -> None:
    found = {case.name: trip(case, name) for case in cases()}
    assert REFUSED not in found.values()
    lost = {case for case, told in found.items() if LOST in told}
    finer = {
        case.name
        for case in cases()
        if any(unit in case.name for unit in FINER_THAN_EXCEL)
        and not case.name.startswith("duration")
    }
    assert lost == (finer if name == "excel" else set())
    if name == "arrow":
        # A column that says nothing of itself becomes text.
        assert {case for case, told in found.items() if told != KEPT} == {"null"}
