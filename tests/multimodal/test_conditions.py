"""Filters, orders and limits that PostgreSQL takes over keep the rows that DuckDB would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.errors import PixelflightError
from flight_server.model import Author, IngestMode, IngestRequest, TableRef, TableSpec
from tests.fix_pixeltable import EVERY_KIND, NUMBERS, copy_of, read_by

ANA = Author("ana", principal_id="ana")
SOME = TableRef("pixeltable", "main", "some")

LANES = ("fast", "plain")
KEYS = {NUMBERS: "id", EVERY_KIND: "n"}
# What the numbers of the rows are called that have come from PostgreSQL: a filter that mentions it
# sees how many those were.
NUMBER = "_pixelflight_number"


class Kind(NamedTuple):
    """What is written of a type's constants, and whether they are compared as more or less."""

    constants: tuple[str, ...]
    is_ordered: bool = True


WHOLE = Kind(
    (
        *("0", "5", "-1", "39", "10", "499", "4.5", "-0.5", "7.0", "1e1", "2.5e0", "'12'", "' 7 '"),
        *("38.999999999999999999", "9223372036854775807", "-9223372036854775808", "1e300", "NULL"),
        *("9223372036854775808", "9007199254740993", "9007199254740993.0", "9.5e15"),
    )
)
FLOATING = Kind(
    (
        *("0", "-1", "-1.0", "0.0", "-0.0", "1e-7", "0.0000001", "12.25", "24.75", "100", "0.1"),
        *("1e400", "-1e400", "'nan'", "'inf'", "'1.5'", "CAST('nan' AS DOUBLE)", "1e-320", "NULL"),
        *("9007199254740993", "0.12345678901234567890123", "12.250000000000000000001"),
    )
)
TEXT = Kind(
    (
        *(
            "''",
            "'Ähre'",
            "'A\u0308hre'",
            "'b%d'",
            "'it''s'",
            "'\"q\"'",
            "'日本'",
            "'a\nb'",
            "'\\'",
        ),
        *("'late'", "'\\\\'", "'5'", "chr(0)", "'%(x)s :y $1'", f"'{'x' * 300}'", "NULL"),
    ),
    is_ordered=False,
)
TRUTH = Kind(("true", "false", "'true'", "'no'", "NULL", "1"), is_ordered=False)
MOMENT = Kind(
    (
        *("'1950-01-01 12:30:00.00001+00'", "'1950-01-01 13:30:00.00001+01'", "'1985-01-01'"),
        *("TIMESTAMP '1905-01-01 12:30:00.000001'", "DATE '2000-01-01'", "'infinity'", "NULL"),
        *("CAST('1925-01-01 12:30:00.000005+00' AS TIMESTAMPTZ)", "'-infinity'", "'1960-02-30'"),
        *("TIMESTAMPTZ '20000-01-01 00:00:00+00'", "'0044-03-15 (BC) 00:00:00'"),
        "TIMESTAMP_NS '1905-01-01 12:30:00.000001'",
    )
)
DAY = Kind(
    (
        *("'0051-02-28'", "DATE '0101-02-28'", "'1000-01-01'", "CAST('1901-02-28' AS DATE)"),
        *("TIMESTAMP '0251-02-28 00:00:01'", "'20000-01-01'", "DATE '0044-03-15 (BC)'"),
        *("'infinity'", "'epoch'", "NULL"),
    )
)
UUIDS = "00000000-0000-0000-0000-0000000000"
UUID = Kind(
    (
        *(f"'{UUIDS}05'", f"UUID '{UUIDS}1F'"),
        *("'{00000000000000000000000000000007}'", "CAST('5' AS UUID)", "NULL"),
    ),
    is_ordered=False,
)
COLUMNS: dict[TableRef, dict[str, Kind]] = {
    NUMBERS: {"id": WHOLE, "x": FLOATING, "name": TEXT, "even": TRUTH, '"TWICE"': FLOATING},
    EVERY_KIND: {
        "n": WHOLE,
        "float": FLOATING,
        "text": TEXT,
        "moment": MOMENT,
        "day": DAY,
        "uuid": UUID,
    },
}
# What only DuckDB can judge.
OTHERS = {
    NUMBERS: ("id % 3 = 0", "name LIKE '%''%'", "x + 1 > twice", "lower(name) = 'ähre'", "true"),
    EVERY_KIND: ("small[1] > 0.5", "json IS NULL", "bits[1]", "n = length(text)", "bytes = ''"),
}


@st.composite
def comparisons(draw: st.DrawFn, table: TableRef) -> str:
    """One column against constants; now and then something else."""
    if draw(st.integers(0, 7)) == 7:
        return draw(st.sampled_from(OTHERS[table]))
    name = draw(st.sampled_from(sorted(COLUMNS[table])))
    kind = COLUMNS[table][name]
    constant = st.sampled_from(kind.constants)
    equal = ("=", "<>", "IS DISTINCT FROM", "IS NOT DISTINCT FROM")
    symbols = (*equal, "<", "<=", ">", ">=") if kind.is_ordered else equal
    forms = [
        st.builds("{} {} {}".format, st.just(name), st.sampled_from(symbols), constant),
        st.builds("{} {} {}".format, constant, st.sampled_from(symbols), st.just(name)),
        st.builds(
            "{} {} ({})".format,
            st.just(name),
            st.sampled_from(["IN", "NOT IN"]),
            st.lists(constant, min_size=1, max_size=4).map(", ".join),
        ),
        st.builds("{} IS {}".format, st.just(name), st.sampled_from(["NULL", "NOT NULL"])),
    ]
    if kind.is_ordered:
        words = st.sampled_from(["BETWEEN", "NOT BETWEEN"])
        forms.append(st.builds("{} {} {} AND {}".format, st.just(name), words, constant, constant))
    if kind is TRUTH:
        words = st.sampled_from(["", " IS TRUE", " IS NOT TRUE", " IS NOT FALSE"])
        forms.append(words.map(lambda ending: name + ending))
    return draw(st.one_of(forms))


def filters(table: TableRef) -> st.SearchStrategy[str]:
    """Comparisons, and what is made of them."""
    return st.recursive(
        comparisons(table),
        lambda inner: st.one_of(
            st.builds("({} AND {})".format, inner, inner),
            st.builds("({} OR {})".format, inner, inner),
            st.builds("NOT ({})".format, inner),
        ),
        max_leaves=5,
    )


@pytest.fixture(scope="module")
def judge(pixeltable: PixeltableEngine) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with both tables whole, and the numbers of their rows as they are read unfiltered."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table in COLUMNS:
            rows = read_by(pixeltable, "fast", table)
            numbers = pa.array(range(rows.num_rows))
            connection.register("rows", rows.append_column(NUMBER, numbers))
            # Over tables of its own DuckDB judges all by itself, and nothing is left to Arrow.
            connection.execute(f"CREATE TABLE {table.name} AS SELECT * FROM rows")
        yield connection


def kept(
    judge: duckdb.DuckDBPyConnection, table: TableRef, filter_: str
) -> list[tuple[int, int]] | None:
    """The keys and the numbers of the rows that a filter keeps. None where it is no filter."""
    sql = f"SELECT {KEYS[table]}, {NUMBER} FROM {table.name} WHERE {filter_} ORDER BY 1"
    try:
        return judge.execute(sql).fetchall()
    except duckdb.Error:
        return None


def among_first(engine: PixeltableEngine, table: TableRef, filter_: str, count: int) -> int:
    """How many of the rows that a filter keeps are among the first that come to be judged."""
    filter_ = f"({filter_}) AND {NUMBER} < {count}"
    read = read_by(engine, "fast", table, columns=[KEYS[table]], filter=filter_)
    return int(read.num_rows)


@pytest.mark.parametrize("table", COLUMNS, ids=str)
def test_filters_keep_the_rows_that_duckdb_does(
    pixeltable: PixeltableEngine, judge: duckdb.DuckDBPyConnection, table: TableRef
) -> None:
    spared = 0

    @given(filters(table))
    @example(f"{KEYS[table]} > 30 AND {OTHERS[table][0]}")
    def check(filter_: str) -> None:
        nonlocal spared
        rows = kept(judge, table, filter_)
        if rows is None:
            return
        for lane in LANES:
            read = read_by(pixeltable, lane, table, columns=[KEYS[table]], filter=filter_)
            assert sorted(read[KEYS[table]].to_pylist()) == [key for key, _ in rows]
        # Where others were left out, more of those that are kept are among the first.
        unaided = sum(number < len(rows) for _, number in rows)
        if unaided < len(rows):
            spared += among_first(pixeltable, table, filter_, len(rows)) > unaided

    check()
    assert spared, "PostgreSQL has left out no row of any filter"


@pytest.mark.parametrize(
    ("table", "filter_"),
    [
        (NUMBERS, "id = 77"),
        (NUMBERS, "77 < id AND 80 >= id"),
        (NUMBERS, "id > 77.5 AND id < 8e1"),
        (NUMBERS, "id IN (77, -5, 499) OR id BETWEEN 300 AND 302"),
        (NUMBERS, "NOT (id NOT BETWEEN 300 AND 302)"),
        (NUMBERS, "id NOT IN (0, 1) AND NOT even"),
        (NUMBERS, "even IS TRUE AND name <> 'b%d'"),
        (NUMBERS, "NAME IN ('it''s', 'late') AND x IS NOT NULL"),
        (NUMBERS, "x IS DISTINCT FROM -1 AND \"Twice\" <= 30.5"),
        (NUMBERS, "x = 19.5"),
        (EVERY_KIND, "text = '\\'"),
        (EVERY_KIND, "float > 1"),
        (EVERY_KIND, "float = 0"),
        (EVERY_KIND, "moment > '1990-01-01' AND moment <= TIMESTAMPTZ '2080-01-01 12:30:00.1+00'"),
        (EVERY_KIND, "day >= '1000-01-01' AND day < DATE '1500-01-01'"),
        (EVERY_KIND, f"uuid = '{UUIDS}1f' OR uuid = CAST('{UUIDS}07' AS UUID)"),
    ],
)  # fmt: skip
def test_what_postgresql_judges(
    pixeltable: PixeltableEngine, judge: duckdb.DuckDBPyConnection, table: TableRef, filter_: str
) -> None:
    rows = kept(judge, table, filter_)
    assert rows, "a filter that keeps none shows nothing"
    assert sum(number < len(rows) for _, number in rows) < len(rows)
    assert among_first(pixeltable, table, filter_, len(rows)) == len(rows)


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize(
    ("name", "filter_", "version"),
    [
        ("views.few", "cube > 1000 AND id < 40 AND even", None),
        ("views.halves", "id BETWEEN 10 AND 20 OR x IS NULL", None),
        ("views.then", "x >= 5 AND id <= 30 AND name = ''", None),
        ("views.tiles", "n > 0 AND pos = 1 AND width >= 17", None),
        ("main.pictures", "width > 16 AND NOT n = 3", None),
        ("main.numbers", "id < 5 AND x IS NOT NULL", 1),
        ("main.numbers", "id < 5 AND x = -1", 2),
        ("main.numbers", "id IN (3, 4)", 3),
    ],
)
def test_of_views_snapshots_and_versions(
    pixeltable: PixeltableEngine, lane: str, name: str, filter_: str, version: int | None
) -> None:
    table = TableRef("pixeltable", *name.split("."))
    stored = [
        field.name
        for field in pixeltable.resolve(table, version).schema
        if field.name not in ("picture", "kept", "fleeting", "tile")
    ]
    request = {"columns": stored, "version": version}
    rows = read_by(pixeltable, lane, table, **request)
    expected = duckdb.sql(f"SELECT * FROM rows WHERE {filter_}").to_arrow_table()
    found = read_by(pixeltable, lane, table, filter=filter_, **request)
    assert 0 < found.num_rows < rows.num_rows
    assert sorted(map(repr, found.to_pylist())) == sorted(map(repr, expected.to_pylist()))


ORDERS = ["x", "x DESC, id", "x NULLS FIRST, id DESC", "x DESC NULLS FIRST, id", "even DESC, id"]


@pytest.mark.parametrize("order", [*ORDERS, "name, id", "-id", "twice / 2, 1"])
@pytest.mark.parametrize("filter_", [None, "id > 400", "id % 3 = 0"])
def test_limits_come_after_orders(
    pixeltable: PixeltableEngine,
    judge: duckdb.DuckDBPyConnection,
    order: str,
    filter_: str | None,
) -> None:
    page = f"ORDER BY {order} LIMIT 60 OFFSET 40"
    expected = judge.execute(f"SELECT x FROM numbers WHERE {filter_ or 'true'} {page}").fetchall()
    assert len(expected) == 60
    for lane in LANES:
        request = {"filter": filter_, "order_by": order, "limit": 60, "offset": 40}
        read = read_by(pixeltable, lane, NUMBERS, columns=["x"], **request)
        assert read["x"].to_pylist() == [x for (x,) in expected]


@pytest.fixture(scope="module")
def home(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that is written to."""
    return copy_of(made_home, tmp_path_factory.mktemp("judged"))


@pytest.fixture(scope="module")
def own(home: Path) -> Iterator[PixeltableEngine]:
    """The engine over it, with a table of some numbers."""
    with closing(PixeltableEngine.at(home)) as engine:
        columns = {"id": pa.int64(), "x": pa.float64(), "large": pa.list_(pa.float32(), 200)}
        engine.create_table(SOME, TableSpec(pa.schema(columns)), ANA)
        numbers: tuple[float | None, ...] = (float("nan"), 1.0, 2.0, None)
        # Each with a file of its own, where it has a large array at all.
        for id_, x in enumerate(numbers):
            large = pa.array([[0.5] * 200 if id_ == 2 else None], columns["large"])
            rows = pa.table({"id": [id_], "x": pa.array([x], pa.float64()), "large": large})
            engine.ingest(SOME, IngestRequest(IngestMode("append")), rows.to_reader(), ANA)
        yield engine


@pytest.mark.parametrize("lane", LANES)
def test_rows_that_are_not_asked_for_are_not_read(
    own: PixeltableEngine, home: Path, lane: str
) -> None:
    with away(home / "media"):
        # Whoever reads the row 2 does not find its array.
        with pytest.raises(PixelflightError):
            read_by(own, lane, SOME)
        requests: list[tuple[dict[str, Any], list[int]]] = [
            ({"filter": "id = 3"}, [3]),
            ({"filter": "id % 2 = 1 AND id > 2"}, [3]),
            ({"order_by": "id", "limit": 2}, [0, 1]),
            ({"order_by": "id DESC", "limit": 1}, [3]),
            ({"order_by": "x DESC, id", "limit": 1}, [0]),
            ({"order_by": "x NULLS FIRST, id", "limit": 2}, [3, 1]),
            ({"filter": "id NOT IN (0, 3)", "order_by": "id", "limit": 1}, [1]),
            ({"filter": "id <> 1", "order_by": "id DESC", "limit": 5, "offset": 2}, [0]),
            ({"filter": "id <= 2", "limit": 2}, [0, 1]),
        ]
        for request, found in requests:
            read = read_by(own, lane, SOME, **request)
            assert sorted(read["id"].to_pylist()) == sorted(found), request


@contextmanager
def away(folder: Path) -> Iterator[None]:
    """While the block runs, a folder is not where it belongs."""
    elsewhere = folder.with_name("elsewhere")
    folder.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(folder)


@pytest.mark.parametrize("filter_", ["x > 1", "x > 1 AND id + 1 > 0", "NOT (x <= 1) OR id < 0"])
def test_nan_is_the_largest_number_where_rows_are_changed(
    own: PixeltableEngine, filter_: str
) -> None:
    assert sorted(read_by(own, "fast", SOME, filter=filter_)["id"].to_pylist()) == [0, 2]
    assert own.update(SOME, {"id": "id + 0"}, filter_, ANA).rows_updated == 2
