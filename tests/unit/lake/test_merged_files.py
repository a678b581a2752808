"""Files are merged while a transaction is open: what it took out of them is not there again."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from flight_server.engines.base import Transaction
from flight_server.engines.lake.engine import LakeEngine
from flight_server.errors import Conflict
from flight_server.model import IngestMode, IngestRequest, TableRef
from flight_server.testing.conformance.handles import AUTHOR, SCHEMA, TableHandle
from tests.fix_lake import EAGER, OpenLake


@pytest.fixture
def eager(open_lake: OpenLake) -> LakeEngine:
    return open_lake(**EAGER, small_file_bytes=2**26)


@pytest.fixture
def table(eager: LakeEngine) -> TableHandle:
    """So many files that they are merged, with one row in each."""
    table = TableHandle(eager, "t").create()
    for number in range(12):
        table.put(rows(number))
        eager._housekeeper._flush(None)
    return table


def rows(number: int) -> pa.Table:
    return pa.table({"id": [number], "name": ["x"], "amount": [0.0]}, SCHEMA)


def change(inside: Transaction, table: TableRef, what: str) -> None:
    if what == "update":
        inside.update(table, {"name": "'y'"}, "id = 3", AUTHOR)
    else:
        inside.delete(table, "id = 3", AUTHOR)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", ["update", "delete"])
def test_rows_of_files_that_are_merged_meanwhile_are_not_changed(
    eager: LakeEngine, table: TableHandle, when: str, what: str
) -> None:
    """DuckLake would let the transaction commit, and the old rows would be there again."""
    with eager.transaction(AUTHOR) as inside:
        if when == "before":
            assert eager.housekeep().files_merged
        change(inside, table.ref, what)
        if when == "after":
            assert eager.housekeep().files_merged
        with pytest.raises(Conflict, match="has merged files"):
            inside.commit()
    assert table.ids() == list(range(12))
    # The same again, now that nothing comes between.
    with eager.transaction(AUTHOR) as inside:
        change(inside, table.ref, "delete")
    assert sorted(table.ids()) == [number for number in range(12) if number != 3]


def test_files_are_merged_while_a_transaction_only_adds(
    eager: LakeEngine, table: TableHandle
) -> None:
    with eager.transaction(AUTHOR) as inside:
        inside.ingest(table.ref, IngestRequest(), rows(12).to_reader(), AUTHOR)
        assert eager.housekeep().files_merged
    assert sorted(table.ids()) == list(range(13))


def test_other_tables_files_are_nobodys_business(eager: LakeEngine, table: TableHandle) -> None:
    other = TableHandle(eager, "other").create()
    other.put(rows(3))
    with eager.transaction(AUTHOR) as inside:
        change(inside, other.ref, "delete")
        assert eager.housekeep([table.ref]).files_merged
    assert (other.ids(), sorted(table.ids())) == ([], list(range(12)))


def test_a_table_is_made_by_overwriting_it(eager: LakeEngine) -> None:
    request = IngestRequest(IngestMode.OVERWRITE, create_if_missing=True)
    made = TableHandle(eager, "made")
    eager.ingest(made.ref, request, rows(1).to_reader(), AUTHOR)
    assert made.ids() == [1]


def test_rows_that_are_overwritten_do_not_come_back(eager: LakeEngine, table: TableHandle) -> None:
    def while_files_are_merged() -> Iterator[pa.RecordBatch]:
        # The old rows are taken away with the first batches.
        for _ in range(40):
            yield rows(99).to_batches()[0]
        assert eager._housekeeper.do_round([table.ref]).files_merged
        yield rows(99).to_batches()[0]

    flow = pa.RecordBatchReader.from_batches(SCHEMA, while_files_are_merged())
    with pytest.raises(Conflict, match="while it was being overwritten"):
        eager.ingest(table.ref, IngestRequest(IngestMode.OVERWRITE), flow, AUTHOR)
    assert sorted(table.ids()) == list(range(12))
