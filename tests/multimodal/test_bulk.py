"""Rows that are copied into a table are what Pixeltable's own insert would have made of them."""

from __future__ import annotations

import datetime as dt
import json
import math
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.errors import InvalidRequest
from flight_server.model import Derivation, Index, IndexKind, TableRef, TableSpec
from tests.fix_pixeltable import ANA, EVERY_KIND, NUMBERS, put, read
from tests.multimodal import copied_rows

KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "n": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "x": (pa.float64(), st.floats()),
    "yes": (pa.bool_(), st.booleans()),
    "text": (
        pa.string(),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    ),
    "moment": (
        pa.timestamp("us", "UTC"),
        st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=st.just(dt.UTC)),
    ),
    "day": (pa.date32(), st.dates()),
    "uuid": (pa.uuid(), st.uuids()),
}
SCHEMA = pa.schema({name: arrow for name, (arrow, _) in KINDS.items()})
ODD = ["", '"', "a\r\n\\.\n", "\\N", "NULL", ",", "\t", "é" * 300, "😀" * 257, " a ", "'"]
LANES = [TableRef("pixeltable", "main", name) for name in ("inserted", "copied")]
INDEXED = ("n", "text", "moment")


def test_what_is_stored_is_the_same(
    writable: PixeltableEngine, stored: Callable[[TableRef], list[Any]], twins: Any
) -> None:
    @settings(max_examples=8)
    @example([pa.table({"text": pa.array([*ODD, None]), "n": range(len(ODD) + 1)})])
    @example([pa.table({"x": pa.array([math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1, None])})])
    @given(st.lists(sent(), min_size=1, max_size=3))
    def same(puts: list[pa.Table]) -> None:
        for lane, table in enumerate(LANES):
            writable._bulk_writes = bool(lane)
            for rows in puts:
                put(writable, table, rows)
        writable._bulk_writes = False
        inserted, copied = (stored(table) for table in LANES)
        assert [pair for pair in zip(copied, inserted, strict=True) if pair[0] != pair[1]] == []

    same()


def test_plain_pixeltable_goes_on_with_it_as_with_its_own(
    written_home: Path, copying: PixeltableEngine, stored: Callable[[TableRef], list[Any]]
) -> None:
    ours, theirs = (TableRef("pixeltable", "main", name) for name in ("ours", "theirs"))
    fields = [pa.field("id", pa.int64(), False), ("x", pa.float64()), ("text", pa.string())]
    copying.create_table(ours, TableSpec(pa.schema(fields), key=("id",)), ANA)
    copying.create_index(ours, Index("text", name="by_text", kind=IndexKind.BTREE), ANA)
    put(copying, ours, pa.table(copied_rows.rows()))
    program = [sys.executable, "-m", copied_rows.__name__, str(written_home)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    of_theirs, of_ours = json.loads(done.stdout.splitlines()[-1])
    assert of_ours == of_theirs
    assert stored(ours) == stored(theirs)


def test_a_stream_is_copied_as_one_version_and_once(
    copying: PixeltableEngine,
    new_table: Callable[..., TableRef],
    ask: Callable[[str], list[Any]],
) -> None:
    table = new_table({"id": pa.int64(), "text": pa.string()}, key=("id",))
    before = copying.resolve(table).snapshot
    rows = pa.table({"id": range(45_000), "text": ["of a stream"] * 45_000})
    first, again = (put(copying, table, rows, token="t") for _ in range(2))
    assert (first.snapshot, first.rows_inserted) == (before + 1, 45_000)
    assert (again.snapshot, again.duplicate) == (first.snapshot, True)
    # Rows of one COPY have one command in common, and Pixeltable inserts each by one of its own.
    [(id_,)] = ask(
        f"SELECT replace(id::text, '-', '') FROM tables WHERE md->>'name' = '{table.name}'"
    )
    [(commands,)] = ask(f"SELECT count(DISTINCT cmin::text) FROM tbl_{id_.strip(chr(39))}")
    assert int(commands) == 3
    with pytest.raises(InvalidRequest, match="Duplicate primary key value") as told:
        put(copying, table, pa.table({"id": [45_001, 17], "text": ["secret", "secret"]}))
    assert "17" not in told.value.message
    assert read(copying, table).num_rows == 45_000
    overwritten = put(copying, table, rows.slice(0, 1), "overwrite")
    assert (overwritten.rows_deleted, overwritten.rows_inserted) == (45_000, 1)


def test_what_is_more_than_plain_columns_is_left_to_pixeltable(
    copying: PixeltableEngine, new_table: Callable[..., TableRef]
) -> None:
    computed = pa.table({"id": [9_000], "x": [2.0], "name": ["n"], "even": [True]})
    put(copying, NUMBERS, computed)
    assert read(copying, NUMBERS, filter="id = 9000")["twice"].to_pylist() == [4.0]
    table = new_table({"id": pa.int64()})
    view = TableRef("pixeltable", "main", "of_copied")
    copying.create_derived(view, Derivation(table, filter="id > 1"), ANA)
    put(copying, table, pa.table({"id": [1, 2, 3]}))
    assert sorted(read(copying, view)["id"].to_pylist()) == [2, 3]
    put(copying, EVERY_KIND, pa.table({"n": [9_000], "json": ['{"a": [1]}']}))
    assert read(copying, EVERY_KIND, filter="n = 9000")["json"].to_pylist() == ['{"a": [1]}']


@pytest.mark.parametrize("is_copied", [False, True])
def test_values_that_pixeltable_could_not_read_again(
    writable: PixeltableEngine,
    monkeypatch: pytest.MonkeyPatch,
    new_table: Callable[..., TableRef],
    is_copied: bool,
) -> None:
    monkeypatch.setattr(writable, "_bulk_writes", is_copied)
    table = new_table({"day": pa.date32(), "text": pa.string()})
    for rows, said in (
        ({"day": pa.array([3_000_000], pa.date32())}, "'day' is of no year from 1 to 9999"),
        ({"text": ["a\0"]}, "'text' holds a NUL"),
    ):
        with pytest.raises(InvalidRequest, match=said):
            put(writable, table, pa.table(rows))
    assert read(writable, table).num_rows == 0


@st.composite
def sent(draw: st.DrawFn) -> pa.Table:
    """Rows of some of the columns, in batches."""
    names = draw(st.lists(st.sampled_from([*KINDS]), min_size=1, unique=True))
    count = draw(st.integers(0, 12))
    columns = {}
    for name in names:
        arrow, values = KINDS[name]
        drawn = draw(st.lists(st.none() | values, min_size=count, max_size=count))
        plain = [one.bytes if isinstance(one, uuid.UUID) else one for one in drawn]
        columns[name] = pa.array(plain, arrow)
    rows = pa.table(columns)
    cut = draw(st.integers(0, count))
    return pa.concat_tables([rows.slice(0, cut), rows.slice(cut)])


@pytest.fixture(scope="module")
def twins(writable: PixeltableEngine) -> Iterator[None]:
    """Two tables that differ by name alone, with indexes that keep values of their own."""
    for table in LANES:
        writable.create_table(table, TableSpec(SCHEMA), ANA)
        for column in INDEXED:
            index = Index(column, name=f"by_{column}", kind=IndexKind.BTREE)
            writable.create_index(table, index, ANA)
    yield
    writable._bulk_writes = False


@pytest.fixture
def copying(writable: PixeltableEngine, monkeypatch: pytest.MonkeyPatch) -> PixeltableEngine:
    monkeypatch.setattr(writable, "_bulk_writes", True)
    return writable


@pytest.fixture(scope="module")
def ask(written_home: Path, writable: PixeltableEngine) -> Iterator[Callable[[str], list[Any]]]:
    """Asks Pixeltable's own database."""
    writable.namespaces()
    _, _, _, port, folder, *_ = (written_home / "pgdata/postmaster.pid").read_text().splitlines()
    uri = f"postgresql:///pixeltable?user=postgres&host={folder}&port={port}"
    with (
        adbc.connect(uri, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):

        def asked(sql: str) -> list[Any]:
            cursor.execute(sql)
            return [tuple(map(repr, row)) for row in cursor.fetchall()]

        yield asked


@pytest.fixture
def stored(ask: Callable[[str], list[Any]]) -> Callable[[TableRef], list[Any]]:
    """All that Pixeltable keeps of a table's rows and versions, but for moments and its id."""

    def kept(table: TableRef) -> list[Any]:
        [(told,)] = ask(f"SELECT id::text FROM tables WHERE md->>'name' = '{table.name}'")
        id_ = told.strip("'")
        told_of = f"replace((md - 'name' - 'created_at')::text, '{id_}', '')"
        return [
            *ask(f"SELECT * FROM tbl_{id_.replace('-', '')} ORDER BY rowid, v_min"),
            *ask(
                f"SELECT version, {told_of} FROM tableversions "
                f"WHERE tbl_id = '{id_}' ORDER BY version"
            ),
            *ask(f"SELECT {told_of} FROM tables WHERE id = '{id_}'"),
        ]

    return kept
