"""Files that somebody else has written become a table's own, and are as if DuckLake had them."""

from __future__ import annotations

import datetime as dt
import decimal
import itertools
import os
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from duckdb_extensions import import_extension

from flight_server.engines.lake.engine import LakeEngine
from flight_server.engines.lake.types import is_plain
from flight_server.errors import Conflict, ErrorCode, InvalidRequest
from flight_server.model import (
    AddColumn,
    ChangesRequest,
    Commit,
    DropColumn,
    IngestMode,
    IngestRequest,
    NamespaceRef,
    RenameColumn,
    RetypeColumn,
    TableSpec,
)
from flight_server.testing.conformance.handles import (
    AUTHOR,
    SCHEMA,
    TableHandle,
    refused,
    table_of,
    table_of_its_own,
)
from tests.fix_lake import EAGER, OpenLake, parquet_files

ROWS = 300
GROUP = 100


@dataclass
class Staging:
    """Writes files into a folder beside the lake, and puts them."""

    folder: Path
    lake: LakeEngine

    def __post_init__(self) -> None:
        self._numbers = itertools.count()

    def write(self, rows: pa.Table, **options: Any) -> Path:
        path = self.folder / f"{next(self._numbers)}.parquet"
        pq.write_table(rows, path, **{"row_group_size": GROUP, "compression": "lz4"} | options)
        return path

    def put(self, table: TableHandle, *files: Path, mode: str = "append", **more: Any) -> Commit:
        schema = more.pop("schema", None) or pq.read_schema(files[0]).remove_metadata()
        request = IngestRequest(IngestMode(mode), create_if_missing=True)
        named = {"token": f"t{next(self._numbers)}", "content": "c"} | more
        return self.lake.ingest_staged(table.ref, replace(request, **named), schema, files, AUTHOR)


@pytest.fixture
def staging(lake: LakeEngine, tmp_path: Path) -> Staging:
    folder = tmp_path / "staged"
    folder.mkdir()
    return Staging(folder, lake)


def rows_of(first: int = 0, count: int = ROWS) -> pa.Table:
    numbers = range(first, first + count)
    return table_of([{"id": n, "name": f"n{n:05}", "amount": n / 2} for n in numbers])


def added(data: Path) -> int:
    """How many of the files of the lake were written elsewhere."""
    return sum(path.name.startswith("import-") for path in parquet_files(data))


def test_files_become_the_tables_own(lake: LakeEngine, staging: Staging, tmp_path: Path) -> None:
    table = TableHandle(lake, "made")
    files = [staging.write(rows_of()), staging.write(rows_of(ROWS))]
    commit = staging.put(table, *files, mode="create", token="a")
    assert (commit.rows, commit.rows_inserted, commit.offset) == (2 * ROWS,) * 3
    assert table.ids() == list(range(2 * ROWS))
    assert added(tmp_path / "data") == 2
    assert not any(path.exists() for path in files)
    [version] = lake.versions(table.ref)
    assert (version.snapshot, version.changes) == (commit.snapshot, ("created", "inserted"))
    again = staging.write(rows_of(count=2 * ROWS))
    assert staging.put(table, again, mode="create", token="a") == replace(commit, duplicate=True)
    for other in ({"content": "other"}, {"mode": "append"}):
        with pytest.raises(Conflict):
            staging.put(table, again, **{"mode": "create", "token": "a"} | other)
    with pytest.raises(Conflict):
        staging.put(table, staging.write(rows_of()), mode="create", token="a")
    assert table.ids() == list(range(2 * ROWS))


def test_what_is_done_to_their_rows(lake: LakeEngine, staging: Staging, tmp_path: Path) -> None:
    """They are changed, deleted, merged, altered and brought back like all others."""
    table = TableHandle(lake).create()
    table.put([{"id": -1}])
    first = staging.put(table, staging.write(rows_of()))
    staging.put(table, staging.write(rows_of(ROWS)))
    assert added(tmp_path / "data") == 2
    table.update({"name": "'changed'"}, "id = 7")
    deleted = table.delete("id BETWEEN 10 AND 19 OR id = -1")
    assert table.rows(filter="id = 7") == [{"id": 7, "name": "changed", "amount": 3.5}]
    assert len(table.ids()) == 2 * ROWS - 10
    assert table.ids(version=first.snapshot) == list(range(-1, ROWS))
    request = ChangesRequest(first.snapshot - 1, until=first.snapshot)
    with closing(lake.changes(table.ref, request)) as changes:
        seen = changes.read_all().to_pylist()
    assert [(row["_change"], row["id"]) for row in seen] == [("insert", n) for n in range(ROWS)]
    table.alter(RenameColumn("name", "called"), AddColumn(pa.field("more", pa.int64())))
    assert table.rows(filter="id = 250", columns=("called", "more")) == [
        {"called": "n00250", "more": None}
    ]
    for number in range(8):
        new = rows_of(1_000 + number, 1).rename_columns(["id", "called", "amount"])
        columns = new.append_column("more", pa.array([number], pa.int64()))
        staging.put(table, staging.write(columns))
    assert lake.housekeep().files_merged >= 8
    assert len(table.ids()) == 2 * ROWS - 2
    assert table.rows(filter="more = 3", columns=("id",)) == [{"id": 1_003}]
    assert table.ids(version=first.snapshot) == list(range(-1, ROWS))
    lake.restore(table.ref, deleted.snapshot, AUTHOR)
    assert len(table.ids()) == 2 * ROWS - 10


def test_columns_change_around_them(lake: LakeEngine, staging: Staging, tmp_path: Path) -> None:
    """Files are older than some columns, and hold others in a type that was widened since."""
    table = TableHandle(lake, "made")
    rows = pa.table({"n": pa.array(range(ROWS), pa.int32()), "gone": ["x"] * ROWS})
    staging.put(table, staging.write(rows), mode="create")
    table.alter(AddColumn(pa.field("d", pa.int64()), default="5"), DropColumn("gone"))
    table.alter(RetypeColumn("n", pa.int64()))
    staging.put(table, staging.write(pa.table({"n": [2**40], "d": [6]})))
    assert added(tmp_path / "data") == 2
    counts = {"d = 5": ROWS, "d = 6": 1, "n = 299": 1, "n > 299": 1}
    assert {where: table.scan(filter=where).num_rows for where in counts} == counts


def test_rows_are_overwritten(lake: LakeEngine, staging: Staging, tmp_path: Path) -> None:
    table = TableHandle(lake).create()
    table.put([{"id": -1}])
    before = staging.put(table, staging.write(rows_of()))
    staging.put(table, staging.write(rows_of(50, 10)), mode="overwrite")
    assert table.ids() == list(range(50, 60))
    assert table.ids(version=before.snapshot) == list(range(-1, ROWS))
    assert added(tmp_path / "data") == 2


def test_the_lake_is_open_to_others(open_lake: OpenLake, tmp_path: Path) -> None:
    """DuckDB reads it without us, and so it does where the folder was moved."""
    lake = open_lake()
    staging = Staging(tmp_path, lake)
    staging.put(TableHandle(lake, "made"), staging.write(rows_of()), mode="create")
    lake.create_namespace(NamespaceRef(lake.name, "ns-1"), AUTHOR)
    staging.put(TableHandle(lake, "odd name", "ns-1"), staging.write(rows_of()))
    lake.close()
    (tmp_path / "data").rename(tmp_path / "moved")
    catalog, files = (tmp_path / "moved" / "lake" / name for name in ("catalog.duckdb", "files"))
    import_extension("ducklake")
    with duckdb.connect() as connection:
        connection.execute("LOAD ducklake")
        connection.execute(
            f"ATTACH 'ducklake:{catalog}' AS lake (DATA_PATH '{files}/', OVERRIDE_DATA_PATH true)"
        )
        for table in ("made", '"ns-1"."odd name"'):
            found = connection.execute(f"SELECT sum(id), max(name) FROM lake.{table}").fetchall()
            assert found == [(sum(range(ROWS)), f"n{ROWS - 1:05}")]
        assert connection.execute("SELECT id FROM lake.made WHERE name = 'n00042'").fetchall() == [
            (42,)
        ]


def test_nothing_is_left_of_a_put_that_fails(open_lake: OpenLake, tmp_path: Path) -> None:
    lake = open_lake(**EAGER)
    staging = Staging(tmp_path, lake)
    table = TableHandle(lake).create()
    path = staging.write(rows_of())

    def fail(self: object) -> int:
        raise OSError("no commit")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("flight_server.engines.lake.commits.WriteTransaction.commit", fail)
        with pytest.raises(OSError, match="no commit"):
            staging.put(table, path, token="a")
    [left] = parquet_files(tmp_path / "data")
    assert left.name.startswith("import-")
    assert table.ids() == []
    os.utime(left, (0, 0))
    lake.housekeep()
    assert added(tmp_path / "data") == 0
    assert staging.put(table, staging.write(rows_of()), token="a").rows == ROWS


TEXT, DATE = pa.string(), pa.date32()
DAYS = pa.array([0, 2_933_000, -720_000] * 100, pa.int32()).cast(DATE)
# A column, a row that is put behind it, and a condition with how many rows of both meet it.
UNTOLD: dict[str, tuple[pa.Array, pa.Array, str, int]] = {
    "nulls alone in one group and not in others": (
        pa.array([None] * GROUP + ["a", "b"] * GROUP, TEXT),
        pa.array(["m"]),
        "v = 'a'",
        GROUP,
    ),
    "texts that are too long for statistics": (
        pa.array(["a" * 5_000, "z" * 5_000] * 150),
        pa.array(["m"]),
        "v < 'm'",
        150,
    ),
    "a text that would end a statement": (
        pa.array(["a\0b", "c"] * 150),
        pa.array(["m"]),
        "v < 'b'",
        150,
    ),
    "years of five digits": (
        DAYS,
        pa.array([9], pa.int32()).cast(DATE),
        "v > DATE '9999-1-1'",
        100,
    ),
    "years before the first": (DAYS, pa.array([9], pa.int32()).cast(DATE), "v < DATE '1-1-1'", 100),
}


@pytest.mark.parametrize("kind", UNTOLD)
def test_rows_are_read_where_files_do_not_tell_enough(
    lake: LakeEngine, staging: Staging, tmp_path: Path, kind: str
) -> None:
    """Else conditions would find too little, some of them only after the next commit."""
    values, more, condition, count = UNTOLD[kind]
    table = TableHandle(lake, "made")
    numbers = pa.array(range(ROWS))
    staging.put(table, staging.write(pa.table({"n": numbers, "v": values})), mode="create")
    assert added(tmp_path / "data") == 0
    assert table.scan(order_by="n")["n"].combine_chunks() == numbers
    table.put(pa.table({"n": numbers[:1], "v": more}))
    assert table.scan(filter=condition, columns=("n",)).num_rows == count


def test_columns_of_nulls_and_of_nan(lake: LakeEngine, staging: Staging, tmp_path: Path) -> None:
    """Of floating-point numbers a file need not tell; where one has NaN it must not."""
    table = TableHandle(lake, "made")
    values = [float("nan") if n == 7 else float(n) for n in range(ROWS)]
    rows = pa.table({"v": values, "nothing": pa.nulls(ROWS, pa.int64())})
    told = ["nothing"]
    staging.put(table, staging.write(rows, write_statistics=told), mode="create")
    few = pa.table({"v": [50.0, 60.0], "nothing": pa.array([5, 6], pa.int64())})
    table.put(few)
    assert added(tmp_path / "data") == 1
    for condition, count in {"v > 1e300": 1, "v < 10": 9, "nothing = 5": 1, "v = 299": 1}.items():
        assert table.scan(filter=condition).num_rows == count, condition


def value(kind: pa.DataType, number: int) -> Any:
    """A value of a type, the larger the larger the number is."""
    if pa.types.is_boolean(kind):
        return number > 150
    if pa.types.is_integer(kind):
        return number % 100 if kind.bit_width == 8 else number
    if pa.types.is_floating(kind):
        return float(number)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        zone = dt.UTC if pa.types.is_timestamp(kind) and kind.tz else None
        moment = dt.datetime(1969, 12, 1, tzinfo=zone) + dt.timedelta(days=number)
        return moment.date() if pa.types.is_date(kind) else moment
    if pa.types.is_time(kind):
        return dt.time(number // 60, number % 60)
    if pa.types.is_decimal(kind):
        return decimal.Decimal(number - 100).scaleb(-kind.scale)
    return f"{number:05}" if kind in (pa.string(), pa.large_string()) else b"%05d" % number


PLAIN = [
    *(pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float32(), pa.float64()),
    *(pa.string(), pa.large_string(), pa.binary(), pa.large_binary()),
    *(pa.date32(), pa.time64("us"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns")),
    *(pa.timestamp("us", "Europe/Paris"), pa.timestamp("ms", "UTC")),
    *(pa.decimal128(4, 2), pa.decimal128(18, 3), pa.decimal128(38, 10)),
]


def test_every_type_that_is_kept_as_it_is(
    lake: LakeEngine, staging: Staging, tmp_path: Path
) -> None:
    """Values come back, and conditions find the same as where DuckDB had written all of it."""
    schema = pa.schema([pa.field(f"c{at}", kind) for at, kind in enumerate(PLAIN)])
    assert all(is_plain(field) for field in schema)

    def rows(numbers: range) -> pa.Table:
        columns = [[value(field.type, n) for n in numbers] for field in schema]
        return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema)

    files, streamed = TableHandle(lake, "files"), TableHandle(lake, "streamed")
    staging.put(files, staging.write(rows(range(ROWS))), mode="create")
    assert added(tmp_path / "data") == 1
    streamed.put(rows(range(ROWS)), "create")
    assert files.scan() == rows(range(ROWS))
    for table in (files, streamed):
        table.put(rows(range(100, 110)))
    one = rows(range(180, 181))
    for field, sign in itertools.product(schema, ("=", "<", ">")):
        condition = f"{field.name} {sign} '{one[field.name].cast(pa.string())[0]}'"
        counts = [t.scan(filter=condition, columns=("c4",)).num_rows for t in (files, streamed)]
        assert counts[0] == counts[1], (field, condition)


READ: dict[str, tuple[dict[str, Any], pa.Table]] = {
    "a check": ({"checks": {"small": "amount < 1000"}}, rows_of()),
    "partitions": ({"partition_by": ("name",)}, rows_of(count=3)),
    "a default": ({"defaults": {"amount": "2.5"}}, rows_of().drop_columns("amount")),
    "a column in another type": ({}, rows_of().set_column(0, "id", pa.array(range(ROWS), "int32"))),
    "a column that is left out": ({}, rows_of().drop_columns("name")),
}


@pytest.mark.parametrize("what", READ)
def test_rows_are_read_where_the_table_asks_for_it(
    lake: LakeEngine, staging: Staging, tmp_path: Path, what: str
) -> None:
    spec, rows = READ[what]
    table = TableHandle(lake).create(**spec)
    assert staging.put(table, staging.write(rows)).rows == rows.num_rows
    assert added(tmp_path / "data") == 0
    assert table.ids() == list(range(rows.num_rows))
    if what == "a default":
        assert {row["amount"] for row in table.rows()} == {2.5}
    if what == "a check":
        with refused(ErrorCode.CHECK_VIOLATION):
            staging.put(table, staging.write(rows_of(2_000)))
        assert len(table.ids()) == ROWS


def test_what_is_refused(lake: LakeEngine, staging: Staging) -> None:
    table = TableHandle(lake).create()
    nulls = rows_of(count=3).set_column(0, "id", pa.array([1, None, 2], pa.int64()))
    with refused(ErrorCode.INVALID_DATA, "'id' is declared not null"):
        staging.put(table, staging.write(nulls))
    with refused(ErrorCode.SCHEMA_MISMATCH, "no column 'other'"):
        staging.put(table, staging.write(pa.table({"id": [1], "other": [2]})))
    with refused(ErrorCode.SCHEMA_MISMATCH, "other columns than its schema says"):
        staging.put(table, staging.write(pa.table({"id": [1]})), schema=SCHEMA)
    empty = staging.folder / "empty.parquet"
    for path in (empty, staging.folder / "none.parquet"):
        with refused(ErrorCode.INVALID_DATA, "not there any more, or is no Parquet"):
            staging.put(table, path, schema=SCHEMA)
        empty.touch()
    for wrong in ({"mode": "upsert"}, {"content": None}, {"token": ""}):
        with pytest.raises(InvalidRequest):
            staging.put(table, staging.write(rows_of()), **wrong)
    assert table.ids() == []


def test_lakes_that_take_no_files(open_lake: OpenLake, tmp_path: Path) -> None:
    lake = open_lake(lake_encrypted=True)
    table = table_of_its_own(lake)
    lake.create_table(table.ref, TableSpec(SCHEMA), AUTHOR)
    staging = Staging(tmp_path, lake)
    staging.put(table, staging.write(rows_of()))
    assert added(tmp_path / "data") == 0
    assert table.ids() == list(range(ROWS))
