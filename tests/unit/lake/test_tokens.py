"""Exactly once: receipts, claims, digests."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server.engines.lake.engine import LakeEngine
from flight_server.engines.lake.tokens import TOKEN_LENGTH_MAX, Digest
from flight_server.errors import Conflict, ErrorCode, InvalidRequest, NotFound, Unavailable
from flight_server.model import Author, CommitEvery, IngestMode, TableRef
from flight_server.settings import Settings
from flight_server.testing.conformance.handles import (
    AUTHOR,
    THREE,
    TableHandle,
    batches_of,
    reader_of,
    refused,
)
from flight_server.testing.types import CASES, TypeCase
from tests.fix_lake import QUIET, OpenLake


def digest(
    lake: LakeEngine,
    *batches: pa.RecordBatch,
    mode: IngestMode = IngestMode.APPEND,
    apart: bool = False,
) -> str:
    """Batches that are small are hashed together, unless the digest is asked for between them."""
    connection = lake._instance.connection()
    found = Digest(connection, batches[0].schema, mode)
    for batch in batches:
        found.update(batch)
        if apart:
            str(found)
    told = str(found)
    connection.close()
    return told


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakeEngine]:
    """A lake whose tables nobody looks at."""
    engine = LakeEngine.open(Settings(data=tmp_path_factory.mktemp("shared"), **QUIET))
    yield engine
    engine.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rows_of_every_type_are_known_again(shared: LakeEngine, case: TypeCase) -> None:
    """Whatever a table takes, also in other batches and from slices."""
    table = TableHandle(shared, f"t{abs(hash(case.name))}")
    whole = case.table(case.values)
    try:
        table.put(whole, "create")
    except InvalidRequest:
        # What no table takes needs no token.
        return
    first = table.put(whole, token="a")
    cut = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    again = table.put(cut, token="a")
    assert again.duplicate
    assert again.snapshot == first.snapshot


@given(
    numbers=st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), max_size=20),
    cut=st.integers(0, 20),
    other=st.lists(st.one_of(st.none(), st.integers(-3, 3)), max_size=20),
)
def test_a_digest_is_of_rows_not_of_batches(
    shared: LakeEngine, numbers: list[int | None], cut: int, other: list[int | None]
) -> None:
    whole = pa.record_batch({"n": pa.array(numbers, pa.int64())})
    for apart in (False, True):
        parts = digest(shared, whole.slice(0, cut), whole.slice(cut), apart=apart)
        assert parts == digest(shared, whole)
    different = pa.record_batch({"n": pa.array(other, pa.int64())})
    assert (digest(shared, whole) == digest(shared, different)) == (numbers == other)


def test_a_digest_knows_columns_types_and_mode(shared: LakeEngine) -> None:
    batch = pa.record_batch({"n": [1, 2]})
    others = [
        digest(shared, pa.record_batch({"m": [1, 2]})),
        digest(shared, pa.record_batch({"n": pa.array([1, 2], pa.int32())})),
        digest(shared, pa.record_batch({"n": [2, 1]})),
        digest(shared, batch, mode=IngestMode.OVERWRITE),
    ]
    assert digest(shared, batch) not in others


@pytest.mark.parametrize("length", [0, TOKEN_LENGTH_MAX + 1])
def test_tokens_have_a_length(lake: LakeEngine, length: int) -> None:
    with pytest.raises(InvalidRequest, match=f"this one has {length}"):
        TableHandle(lake).create().put(THREE, token="x" * length)


def test_tokens_outlive_the_process(open_lake: OpenLake) -> None:
    engine = open_lake()
    table = TableHandle(engine).create(key=("id",))
    first = table.put(THREE, token="a")
    upserted = table.put([{"id": 1}, {"id": 9}], "upsert", token="b")
    engine.close()
    table = TableHandle(open_lake())
    assert table.put(THREE, token="a").snapshot == first.snapshot
    again = table.put([{"id": 1}, {"id": 9}], "upsert", token="b")
    assert again.duplicate
    assert (again.rows_inserted, again.rows_updated) == (1, 1)
    assert (again.snapshot, again.rows) == (upserted.snapshot, upserted.rows)
    with refused(ErrorCode.TOKEN_CONFLICT, "'a'", error=Conflict):
        table.put([{"id": 5}], token="a")
    assert table.ids() == [1, 2, 3, 9]


def test_tokens_belong_to_a_principal_and_a_table(lake: LakeEngine) -> None:
    first, second = (TableHandle(lake, name).create() for name in ("a", "b"))
    first.put(THREE, token="x")
    assert not first.put(THREE, token="x", author=Author("bob")).duplicate
    assert not second.put(THREE, token="x").duplicate
    assert first.put(THREE, token="x").duplicate


def test_tokens_follow_their_table(lake: LakeEngine) -> None:
    table, other = TableHandle(lake).create(), TableHandle(lake, "Other")
    table.put(THREE, token="a")
    lake.rename_table(table.ref, other.ref, AUTHOR)
    assert other.put(THREE, token="a").duplicate
    assert not table.create().put(THREE, token="a").duplicate
    assert other.ids() == table.ids() == [1, 2, 3]


def test_a_new_table_of_an_old_name_starts_afresh(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    table.put(THREE, token="a")
    lake.drop_table(table.ref, AUTHOR)
    assert not table.create().put(THREE, token="a").duplicate
    assert table.ids() == [1, 2, 3]


def test_an_undropped_table_knows_its_tokens(open_lake: OpenLake) -> None:
    engine = open_lake()
    table = TableHandle(engine).create()
    table.put(THREE, token="a")
    lake_tag = engine.create_tag(table.ref, "kept", None, AUTHOR)
    for _ in range(2):
        engine.drop_table(table.ref, AUTHOR)
        with pytest.raises(NotFound):
            table.put(THREE, token="a")
        engine.undrop_table(table.ref, AUTHOR)
        assert table.put(THREE, token="a").duplicate
        assert engine.tagged(table.ref, "kept") == lake_tag.snapshot
    engine.close()
    table = TableHandle(open_lake())
    assert table.put(THREE, token="a").duplicate
    assert table.ids() == [1, 2, 3]


def test_a_put_that_fails_uses_no_token_up(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    with pytest.raises(InvalidRequest):
        table.put({"id": pa.array([1, None], pa.int64())}, token="a")
    assert not table.put(THREE, token="a").duplicate


def test_many_claims_at_once(lake: LakeEngine) -> None:
    """Eight clients send the same forty puts; each is written once."""
    table = TableHandle(lake).create()
    answers: list[tuple[str, int, bool]] = []
    errors: list[Exception] = []

    def send(client: int) -> None:
        try:
            for number in range(40):
                token = f"t{(number * 7 + client * 5) % 40}"
                answer = table.put([{"id": int(token[1:])}], token=token)
                answers.append((token, answer.snapshot, answer.duplicate))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=send, args=(client,)) for client in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert table.ids() == list(range(40))
    assert len({(token, snapshot) for token, snapshot, _ in answers}) == 40
    assert sum(not duplicate for _, _, duplicate in answers) == 40


def test_claims_leave_nothing_behind(lake: LakeEngine) -> None:
    tokens = lake._tokens
    table = TableRef.of("t")
    with tokens.claim("ada", table, "a"), tokens.claim("ada", table, "b"):
        assert len(tokens._claims) == 2
    with pytest.raises(ValueError, match="broken"), tokens.claim("ada", table, "a"):
        raise ValueError("broken")
    assert tokens._claims == {}


def test_a_stream_that_broke_and_was_cut_differently(lake: LakeEngine) -> None:
    """Receipts are met in the middle of batches too."""
    table = TableHandle(lake).create()
    every = CommitEvery(rows=7)
    broken = reader_of(batches_of(range(50), 3), Unavailable("The line is cut."))
    with pytest.raises(Unavailable):
        table.stream(broken, token="a", commit_every=every)
    safe = len(table.ids())
    assert safe % 7 == 0
    assert 0 < safe < 50
    answer = table.stream(
        reader_of(batches_of(range(90), 11)), token="a", commit_every=CommitEvery(rows=13)
    )
    assert answer.offset == 90
    assert table.ids() == list(range(90))
