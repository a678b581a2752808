"""Upserts and merges against a dictionary."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.lake.engine import LakeEngine
from flight_server.errors import Cancelled, ErrorCode
from flight_server.model import CommitEvery, IngestMode, IngestRequest, ScanRequest
from flight_server.settings import Settings
from flight_server.testing.conformance.handles import (
    AUTHOR,
    TableHandle,
    batches_of,
    reader_of,
    refused,
)
from tests.fix_lake import QUIET

NAMES = itertools.count()
KEYED = pa.schema(
    [
        pa.field("k", pa.int64(), nullable=False),
        pa.field("part", pa.string(), nullable=False),
        pa.field("a", pa.int64()),
        pa.field("b", pa.string()),
    ]
)
KEYS = st.tuples(st.integers(0, 6), st.sampled_from(["x", "y'", ""]))
VALUES = st.tuples(st.one_of(st.none(), st.integers(-5, 5)), st.one_of(st.none(), st.text("ab")))
PUTS = st.lists(
    st.tuples(
        st.sampled_from(["upsert", "merge"]),
        st.sets(st.sampled_from(["a", "b"])),
        st.dictionaries(KEYS, VALUES, max_size=12),
        st.integers(1, 5),
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakeEngine]:
    """A lake in which every example has a table of its own."""
    engine = LakeEngine.open(Settings(data=tmp_path_factory.mktemp("shared"), **QUIET))
    yield engine
    engine.close()


@settings(max_examples=30)
@given(puts=PUTS)
def test_against_a_dictionary(shared: LakeEngine, puts: list[Any]) -> None:
    table = TableHandle(shared, f"t{next(NAMES)}").create(KEYED, key=("k", "part"))
    oracle: dict[tuple[int, str], dict[str, Any]] = {}
    for mode, columns, rows, size in puts:
        sent = [
            {"k": k, "part": part} | {c: v for c, v in (("a", a), ("b", b)) if c in columns}
            for (k, part), (a, b) in rows.items()
        ]
        schema = pa.schema([field for field in KEYED if field.name in {"k", "part", *columns}])
        batches = pa.Table.from_pylist(sent, schema).to_batches(max_chunksize=size)
        new = rows.keys() - oracle.keys()
        answer = table.stream(pa.RecordBatchReader.from_batches(schema, batches), mode)
        for row in sent:
            key = row["k"], row["part"]
            kept = oracle.get(key, {}) if mode == "merge" else {}
            oracle[key] = {"a": None, "b": None} | kept | row
        assert answer.rows == len(rows)
        assert answer.rows_inserted == len(new)
        # Where nothing but the key came, a merge has nothing to update.
        updated = 0 if mode == "merge" and not columns else len(rows) - len(new)
        assert answer.rows_updated == updated
    assert sorted(table.scan().to_pylist(), key=repr) == sorted(
        ({name: row[name] for name in KEYED.names} for row in oracle.values()), key=repr
    )


def test_a_stream_of_upserts_commits_as_it_goes(lake: LakeEngine) -> None:
    """Each part meets what the parts before it brought."""
    table = TableHandle(lake).create(key=("id",))
    batches = [*batches_of(range(20), 10), *batches_of(range(10, 30), 10)]
    answers: list[tuple[int, int, int]] = []
    table.stream(
        reader_of(batches),
        "upsert",
        commit_every=CommitEvery(rows=10),
        acknowledge=lambda one: answers.append((one.offset, one.rows_inserted, one.rows_updated)),
    )
    assert answers == [(10, 10, 0), (20, 10, 0), (30, 0, 10), (40, 10, 0)]
    assert table.ids() == list(range(30))


def test_a_key_that_comes_twice_changes_nothing(lake: LakeEngine) -> None:
    table = TableHandle(lake).create(key=("id",))
    table.put([{"id": 1, "name": "one"}])
    with refused(ErrorCode.INVALID_DATA, "'id'", "'7'"):
        table.put([{"id": 1}, {"id": 7}, {"id": 7}], "upsert")
    assert table.rows() == [{"id": 1, "name": "one", "amount": None}]


def test_a_cancelled_upsert_changes_nothing(lake: LakeEngine) -> None:
    table = TableHandle(lake).create(key=("id",))
    table.stream(reader_of(batches_of(range(1_000), 1_000)))
    cancellation = Cancellation()

    def batches() -> Iterator[pa.RecordBatch]:
        yield from batches_of(range(500, 1_500), 500)
        cancellation.cancel()
        yield from batches_of(range(1_500, 2_000), 500)

    with pytest.raises(Cancelled):
        table.stream(reader_of(batches()), "upsert", cancellation=cancellation)
    assert table.ids() == list(range(1_000))
    # Nothing of it is in the way of the next.
    assert table.stream(reader_of(batches_of(range(500, 1_500), 500)), "upsert").rows_updated == 500


def keyed(rows: list[dict[str, Any]]) -> pa.RecordBatchReader:
    return pa.Table.from_pylist(rows, KEYED).to_reader()


@pytest.mark.parametrize("rows", [1, 3_000], ids=["inlined", "in files"])
@pytest.mark.parametrize("first", ["upsert", "merge"])
def test_values_beside_an_upsert_that_brings_only_nulls_are_found(
    lake: LakeEngine, first: str, rows: int
) -> None:
    table = TableHandle(lake).create(KEYED)
    nulls = [{"k": -n, "part": "x", "a": None, "b": None} for n in range(1, rows + 1)]
    zeros = [{"k": n, "part": "x", "a": 0, "b": "zero"} for n in range(rows)]
    with lake.transaction(AUTHOR) as transaction:
        by_key = IngestRequest(IngestMode(first), key=("k", "part"))
        transaction.ingest(table.ref, by_key, keyed(nulls), AUTHOR)
        transaction.ingest(table.ref, IngestRequest(), keyed(zeros), AUTHOR)
        transaction.commit()
    # Whoever knows no bounds of the rows before would take those of this one for the table's.
    one = [{"k": -10_000, "part": "x", "a": 1, "b": "zzz"}]
    lake.ingest(table.ref, IngestRequest(), keyed(one), AUTHOR)
    for version in (None, lake.snapshot() - 1):
        for condition in ("a = 0", "b = 'zero'", "a IS NOT NULL AND a < 1"):
            found = lake.scan(table.ref, ScanRequest(filter=condition, version=version))
            assert found.read_all().num_rows == rows, (version, condition)
        ordered = lake.scan(table.ref, ScanRequest(order_by="a", limit=1, version=version))
        assert ordered.read_all()["a"].to_pylist() == [0]
