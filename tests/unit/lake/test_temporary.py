"""The temporary tables of a session keep the contract of engines, and stay the session's own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest

from flight_server.engines.lake.engine import LakeEngine
from flight_server.engines.lake.temporary import LakeTemporaryTables
from flight_server.errors import (
    AlreadyExists,
    Conflict,
    ErrorCode,
    InvalidRequest,
    NotFound,
    PixelflightError,
    Unsupported,
)
from flight_server.model import (
    Author,
    CommitEvery,
    IngestMode,
    IngestRequest,
    ScanRequest,
    SqlRequest,
    TableRef,
    TableSpec,
)
from flight_server.setting_values import Durability
from flight_server.settings import Settings
from flight_server.testing.conformance import EngineTests
from flight_server.testing.conformance.tokens import TokenTests
from tests.fix_lake import OpenLake

AUTHOR = Author("tester")
TABLE = TableRef("temp", "main", "t")
SCHEMA = pa.schema([pa.field("id", pa.int64(), nullable=False), ("name", pa.string())])
ROWS = pa.table({"id": [1, 2, 3], "name": ["a", "b", None]}, schema=SCHEMA)


@pytest.fixture(scope="module")
def lake_of_the_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakeEngine]:
    settings = Settings(
        data=tmp_path_factory.mktemp("lake"),
        durability=Durability.NONE,
        housekeeping_seconds=0,
        threads=2,
    )
    engine = LakeEngine.open(settings)
    yield engine
    engine.close()


class TestTemporaryTables(EngineTests, engine_type=LakeTemporaryTables):
    @pytest.fixture
    def engine(self, lake_of_the_module: LakeEngine) -> Iterator[LakeTemporaryTables]:
        tables = lake_of_the_module.temporary_tables("s_1")
        yield tables
        tables.close()


# Receipts of tokens would outlive the rows: `test_tokens_are_refused` says what happens instead.
_TOKENS = [name for name in vars(TokenTests) if name.startswith("test_")]
# They tell snapshots apart, of which there are none, or count versions and files.
_VERSIONS = ["test_many_rows", "test_a_dropped_table_can_still_be_read_as_it_was", "test_describe"]
for _name in (*_TOKENS, *_VERSIONS):
    assert hasattr(TestTemporaryTables, _name), _name
    setattr(TestTemporaryTables, _name, None)


@pytest.fixture
def temporary(lake: LakeEngine) -> LakeTemporaryTables:
    return lake.temporary_tables("s_1")


def put(
    tables: LakeTemporaryTables, rows: pa.Table, mode: IngestMode = IngestMode.CREATE, **more: Any
) -> Any:
    request = IngestRequest(mode, **more)
    return tables.ingest(TABLE, request, rows.to_reader(), AUTHOR)


def rows_of(tables: LakeTemporaryTables, **request: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        tables.scan(TABLE, ScanRequest(order_by="id", **request)).read_all().to_pylist()
    )
    return found


def select(lake: LakeEngine, sql: str, *parameters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        lake.run_sql(SqlRequest(sql, parameters, temporary=True)).read_all().to_pylist()
    )
    return found


def names(tables: LakeTemporaryTables) -> list[str]:
    return [table.name for table in tables.tables("main")]


def test_the_schema_that_was_sent_comes_back(temporary: LakeTemporaryTables) -> None:
    kind = pa.dictionary(pa.int8(), pa.string())
    schema = pa.schema(
        [pa.field("id", pa.duration("s"), metadata={"k": "v"}), ("d", kind)], metadata={"o": "me"}
    )
    sent = pa.table({"id": [5, None], "d": ["x", None]}, schema=schema)
    put(temporary, sent)
    back = temporary.scan(TABLE, ScanRequest(order_by="id NULLS LAST")).read_all()
    assert back.schema.equals(schema, check_metadata=True)
    assert back.to_pylist() == sent.to_pylist()


def test_describe(temporary: LakeTemporaryTables) -> None:
    put(temporary, ROWS, key=("id",))
    info = temporary.describe(TableRef("temp", "MAIN", "T"))
    assert (info.table, info.rows, info.snapshot) == (TABLE, 3, -1)
    assert (info.bytes, info.files, info.versions) == (0, 0, 1)
    assert info.spec.key == ("id",)
    put(temporary, ROWS, IngestMode.OVERWRITE)
    again = temporary.describe(TABLE)
    assert info.created_at == again.created_at
    assert info.changed_at < again.changed_at


def test_the_lakes_sql_reads_them_beside_its_own(
    lake: LakeEngine, temporary: LakeTemporaryTables
) -> None:
    put(temporary, ROWS)
    own = TableRef("lake", "main", "own")
    lake.ingest(own, IngestRequest(IngestMode.CREATE), ROWS.to_reader(), AUTHOR)
    name = temporary.sql_name(TABLE).sql
    sql = f"SELECT t.name FROM {name} JOIN {own.sql} USING (id) WHERE t.id > $1 ORDER BY id"
    assert select(lake, sql, 1) == [{"name": "b"}, {"name": None}]
    # Written since: the next query sees it.
    temporary.delete(TABLE, "id = 3", AUTHOR)
    assert select(lake, sql, 1) == [{"name": "b"}]


def test_nobody_else_sees_them(lake: LakeEngine, temporary: LakeTemporaryTables) -> None:
    put(temporary, ROWS)
    assert lake.namespaces() == ["main"]
    assert lake.tables("main") == []
    other = lake.temporary_tables("s_2")
    assert names(other) == []
    with pytest.raises(NotFound):
        other.resolve(TABLE)
    put(other, ROWS.slice(0, 1))
    assert len(rows_of(temporary)) == 3


def test_plans_do_not_tell_where_they_are(lake: LakeEngine, temporary: LakeTemporaryTables) -> None:
    put(temporary, ROWS)
    sql = f"SELECT * FROM {temporary.sql_name(TABLE).sql} WHERE id > 1"
    for analyze in (False, True):
        text = lake.explain_sql(SqlRequest(sql, temporary=True), analyze)
        assert "t" in text
        assert "_pixelflight" not in text
        assert "s_1" not in text


def test_errors_do_not_tell_where_they_are(temporary: LakeTemporaryTables) -> None:
    put(temporary, ROWS)
    for wrong in ({"id": "NULL"}, {"name": "nothing"}, {"nothing": "1"}):
        with pytest.raises(PixelflightError) as caught:
            temporary.update(TABLE, wrong, None, AUTHOR)
        assert "_pixelflight" not in caught.value.message


def test_they_do_not_survive_a_restart(open_lake: OpenLake) -> None:
    first = open_lake()
    put(first.temporary_tables("s_1"), ROWS)
    first.close()
    again = open_lake()
    assert names(again.temporary_tables("s_1")) == []


def test_they_end_with_their_session(lake: LakeEngine, temporary: LakeTemporaryTables) -> None:
    put(temporary, ROWS)
    name = temporary.sql_name(TABLE).sql
    temporary.close()
    temporary.close()
    assert names(temporary) == []
    with pytest.raises(InvalidRequest):
        select(lake, f"SELECT * FROM {name}")
    with pytest.raises(NotFound):
        temporary.create_table(TABLE, TableSpec(SCHEMA), AUTHOR)


def test_readers_read_on_while_a_table_is_dropped(
    lake: LakeEngine, temporary: LakeTemporaryTables
) -> None:
    many = pa.table({"id": range(500_000), "name": ["x" * 20] * 500_000}, schema=SCHEMA)
    put(temporary, many)
    with closing(temporary.scan(TABLE, ScanRequest())) as scan:
        sql = f"SELECT * FROM {temporary.sql_name(TABLE).sql}"
        with closing(lake.run_sql(SqlRequest(sql, temporary=True))) as query:
            counts = [next(iter(scan)).num_rows, next(iter(query)).num_rows]
            temporary.drop_table(TABLE, AUTHOR)
            assert names(temporary) == []
            temporary.close()
            counts = [counts[0] + scan.read_all().num_rows, counts[1] + query.read_all().num_rows]
    assert counts == [500_000, 500_000]


def test_a_transaction_of_the_lake_leaves_them_alone(
    lake: LakeEngine, temporary: LakeTemporaryTables
) -> None:
    own = TableRef("lake", "main", "own")
    with lake.transaction(AUTHOR) as transaction:
        transaction.ingest(own, IngestRequest(IngestMode.CREATE), ROWS.to_reader(), AUTHOR)
        put(temporary, ROWS)
        transaction.rollback()
    assert lake.tables("main") == []
    assert len(rows_of(temporary)) == 3


def test_a_table_whose_rows_fail_is_not_made(temporary: LakeTemporaryTables) -> None:
    wrong = pa.table({"id": pa.array([1, None], pa.int64()), "name": ["a", "b"]})
    batches = pa.table(wrong.columns, schema=SCHEMA)
    with pytest.raises(InvalidRequest):
        put(temporary, batches)
    assert names(temporary) == []
    put(temporary, ROWS)


def test_one_of_many_makes_a_table(temporary: LakeTemporaryTables) -> None:
    start = threading.Barrier(4)

    def make(_: int) -> bool:
        start.wait()
        try:
            put(temporary, ROWS)
        except AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(make, range(4))) == 1
    assert len(rows_of(temporary)) == 3


def test_threads_add_rows_and_change_them(temporary: LakeTemporaryTables) -> None:
    put(temporary, ROWS.slice(0, 0))
    collided = []

    def work(worker: int) -> None:
        for turn in range(10):
            number = worker * 100 + turn
            row = pa.table({"id": [number], "name": ["new"]}, schema=SCHEMA)
            put(temporary, row, IngestMode.APPEND)
            try:
                temporary.update(TABLE, {"name": "'seen'"}, f"id = {number}", AUTHOR)
            except Conflict:
                collided.append(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    expected = [
        {"id": number, "name": "new" if number in collided else "seen"}
        for number in (worker * 100 + turn for worker in range(4) for turn in range(10))
    ]
    assert rows_of(temporary) == expected
    assert len(collided) < 40


def test_sessions_end_while_others_work(lake: LakeEngine) -> None:
    def work(number: int) -> int:
        mine = lake.temporary_tables(f"s_{number}")
        put(mine, ROWS)
        count = len(rows_of(mine))
        mine.close()
        return count

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(24))) == [3] * 24


def test_tokens_are_refused(temporary: LakeTemporaryTables) -> None:
    with pytest.raises(Unsupported, match="token"):
        put(temporary, ROWS, token="once")


def test_long_streams_commit_as_they_go(temporary: LakeTemporaryTables) -> None:
    seen: list[int] = []
    request = IngestRequest(IngestMode.CREATE, commit_every=CommitEvery(rows=2))
    batches = pa.RecordBatchReader.from_batches(SCHEMA, ROWS.to_batches(max_chunksize=1))
    commit = temporary.ingest(
        TABLE, request, batches, AUTHOR, lambda done: seen.append(done.offset)
    )
    assert seen == [2, 3]
    assert commit.offset == 3


# SupportsSqlWrites


@pytest.fixture
def rich(temporary: LakeTemporaryTables) -> LakeTemporaryTables:
    """With a column that the lake keeps otherwise, and one with a default."""
    schema = pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),
            ("lasts", pa.duration("s")),
            ("name", pa.string()),
        ]
    )
    temporary.create_table(TABLE, TableSpec(schema, defaults={"name": "'nobody'"}), AUTHOR)
    return temporary


def test_rows_of_a_select_are_inserted(lake: LakeEngine, rich: LakeTemporaryTables) -> None:
    request = SqlRequest("SELECT 1, INTERVAL '1 minute' UNION ALL SELECT $1, NULL -- two", (2,))
    commit = rich.insert_rows(TABLE, ("ID", "lasts"), request, AUTHOR)
    assert (commit.snapshot, commit.rows, commit.rows_inserted) == (-1, 2, 2)
    shown = [(str(row["lasts"]), row["name"]) for row in rows_of(rich)]
    assert shown == [("0:01:00", "nobody"), ("None", "nobody")]
    sql = f"INSERT INTO {rich.sql_name(TABLE).sql} SELECT 1"
    with pytest.raises(PixelflightError):
        select(lake, sql)


def test_values_that_do_not_fit_are_invalid_data(rich: LakeTemporaryTables) -> None:
    for select_text in ("SELECT NULL, NULL", "SELECT 'x', NULL", "SELECT 1, INTERVAL '1 month'"):
        with pytest.raises(InvalidRequest) as caught:
            rich.insert_rows(TABLE, ("id", "lasts"), SqlRequest(select_text), AUTHOR)
        assert caught.value.code is ErrorCode.INVALID_DATA
    assert rows_of(rich) == []


@pytest.mark.parametrize("select_text", ["SELECT 1", "SELECT 1, NULL, 3"])
def test_there_is_a_value_for_each_column(rich: LakeTemporaryTables, select_text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        rich.insert_rows(TABLE, ("id", "lasts"), SqlRequest(select_text), AUTHOR)
    assert caught.value.code is ErrorCode.INVALID_SQL


def test_a_row_of_defaults(temporary: LakeTemporaryTables) -> None:
    schema = pa.schema([("id", pa.int64()), ("name", pa.string())])
    temporary.create_table(TABLE, TableSpec(schema, defaults={"name": "'nobody'"}), AUTHOR)
    temporary.insert_rows(TABLE, (), SqlRequest("SELECT 1"), AUTHOR)
    assert rows_of(temporary) == [{"id": None, "name": "nobody"}]


def test_rows_are_updated_by_their_ids(temporary: LakeTemporaryTables) -> None:
    put(temporary, ROWS)
    name = temporary.sql_name(TABLE).sql
    # Every id twice, under names that are the table's own.
    twice = f"SELECT t.rowid AS id, name || $1 AS name FROM {name}, range(2)"
    commit = temporary.update_rows(
        TABLE, ("name",), SqlRequest(twice, ("!",)), "id < 2 OR name IS NULL", AUTHOR
    )
    assert commit.rows_updated == 2
    assert [row["name"] for row in rows_of(temporary)] == ["a!", "b", None]


def test_rows_are_deleted_by_their_ids(temporary: LakeTemporaryTables) -> None:
    put(temporary, ROWS)
    request = SqlRequest(f"SELECT rowid FROM {temporary.sql_name(TABLE).sql} WHERE id > $1", (1,))
    commit = temporary.delete_rows(TABLE, request, "name IS NOT NULL", AUTHOR)
    assert commit.rows_deleted == 1
    assert [row["id"] for row in rows_of(temporary)] == [1, 3]
    everything = SqlRequest(f"SELECT rowid FROM {temporary.sql_name(TABLE).sql}")
    assert temporary.delete_rows(TABLE, everything, None, AUTHOR).rows_deleted == 2


def test_merge_counts_each_kind(temporary: LakeTemporaryTables) -> None:
    put(temporary, ROWS)
    sql = (
        f"MERGE INTO {temporary.sql_name(TABLE).sql} AS kept "
        "USING (SELECT 1 AS id, $1 AS name UNION ALL SELECT 2, 'gone' UNION ALL SELECT 9, 'new') "
        "AS sent ON kept.id = sent.id "
        "WHEN MATCHED AND sent.name = 'gone' THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET name = sent.name "
        "WHEN NOT MATCHED THEN INSERT (id, name) VALUES (sent.id, sent.name)"
    )
    commit = temporary.merge_rows(TABLE, SqlRequest(sql, ("z",)), AUTHOR)
    counts = (commit.rows, commit.rows_inserted, commit.rows_updated, commit.rows_deleted)
    assert counts == (3, 1, 1, 1)
    assert [row["name"] for row in rows_of(temporary)] == ["z", None, "new"]
