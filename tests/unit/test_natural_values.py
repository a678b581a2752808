"""SQL sees natural values of columns that the lake keeps otherwise, wherever it meets them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flight_server.assemble import assemble
from flight_server.auth import Access, Action, Grant, fixed
from flight_server.auth.access import ANONYMOUS
from flight_server.errors import ErrorCode, InvalidRequest, PixelflightError
from flight_server.model import (
    Author,
    IngestMode,
    IngestRequest,
    Principal,
    SqlRequest,
    TableRef,
)
from flight_server.operations import Call, Services
from flight_server.operations.query import query
from flight_server.operations.sessions import Session
from flight_server.operations.statements import execute
from flight_server.setting_values import Durability
from flight_server.settings import Settings

AUTHOR = Author("tester")
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("lasts", pa.duration("s")),
        ("every", pa.month_day_nano_interval()),
        ("clock", pa.time64("ns")),
        ("place", pa.list_(pa.float32(), 2)),
        ("code", pa.binary(2)),
        ("name", pa.string()),
    ]
)
ROWS = pa.table(
    {
        "id": [1, 2, 3],
        "lasts": pa.array([60, 3600, None], pa.duration("s")),
        "every": pa.array([(1, 2, 3_000), (0, 1, 0), None], pa.month_day_nano_interval()),
        "clock": pa.array([1, 2, None], pa.time64("ns")),
        "place": [[1.0, 2.0], [0.0, 0.0], None],
        "code": pa.array([b"ab", b"cd", None], pa.binary(2)),
        "name": ["a", "b", "c"],
    },
    schema=SCHEMA,
)

Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    settings = Settings(
        data=tmp_path, durability=Durability.NONE, housekeeping_seconds=0, threads=1
    )
    with closing(assemble(settings)) as services:
        yield services


@pytest.fixture(params=["lake", "temporary"])
def call(request: pytest.FixtureRequest, services: Services) -> Iterator[Call]:
    """A call that finds the table `t`: in the lake, or among its session's own."""
    lake: Any = services.engines["lake"]
    session = Session(ANONYMOUS.id)
    engine, catalog = lake, "lake"
    if request.param == "temporary":
        engine, catalog = session.temporary_tables(lake), "temp"
    wanted = IngestRequest(IngestMode.CREATE)
    engine.ingest(TableRef(catalog, "main", "t"), wanted, ROWS.to_reader(), AUTHOR)
    yield Call(ANONYMOUS, "r", session=session)
    session.close()


@pytest.fixture
def ask(services: Services, call: Call) -> Ask:
    """Asks a SELECT; its rows."""

    def asked(sql: str, *parameters: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (
            query(services, call, SqlRequest(sql, parameters)).read_all().to_pylist()
        )
        return rows

    return asked


@pytest.fixture
def run(services: Services, call: Call) -> Callable[..., int | None]:
    """Runs a statement that writes; how many rows it touched."""

    def done(sql: str, *parameters: Any) -> int | None:
        return execute(services, call, SqlRequest(sql, parameters)).rows

    return done


def test_types_are_natural(ask: Ask) -> None:
    columns = ("lasts", "every", "clock", "place")
    kinds = ", ".join(f"typeof({name}) AS {name}" for name in columns)
    (row,) = ask(f"SELECT {kinds} FROM t LIMIT 1")
    assert tuple(row.values()) == ("INTERVAL", "INTERVAL", "TIME_NS", "FLOAT[2]")


def test_a_plain_scan_has_the_tables_own_types(services: Services, call: Call) -> None:
    scanned = query(services, call, SqlRequest("SELECT * FROM t")).read_all()
    assert scanned.schema.equals(SCHEMA)
    assert scanned.sort_by("id").column("every").equals(ROWS.column("every"))


CONDITIONS = [
    ("lasts > INTERVAL '2 minutes'", [2]),
    ("lasts > $1", [2]),
    ("every = INTERVAL '1 month 2 days 3 microseconds'", [1]),
    ("clock < TIME_NS '00:00:00.000000002'", [1]),
    ("array_distance(place, [1, 2]::FLOAT[2]) = 0", [1]),
    ("t.lasts IS NULL", [3]),
    ("code = 'ab'::BLOB", [1]),
]


@pytest.mark.parametrize(("condition", "ids"), CONDITIONS, ids=[one for one, _ in CONDITIONS])
def test_conditions_speak_of_natural_values(ask: Ask, condition: str, ids: list[int]) -> None:
    given = [pa.scalar(120, pa.duration("s"))] if "$1" in condition else []
    rows = ask(f"SELECT id FROM t WHERE {condition} ORDER BY id", *given)
    assert [row["id"] for row in rows] == ids


def test_order_and_aggregates(ask: Ask) -> None:
    rows = ask("SELECT id FROM t ORDER BY lasts DESC NULLS LAST, id")
    assert [row["id"] for row in rows] == [2, 1, 3]
    (row,) = ask(
        "SELECT max(y.lasts) + INTERVAL '1 second' AS most FROM t x JOIN t y USING (clock)"
    )
    assert row["most"].nanoseconds == 3601 * 10**9


@pytest.mark.parametrize("parameters", [(), (pa.scalar(60, pa.duration("s")),)], ids=["text", "$1"])
def test_update_by_natural_values(
    ask: Ask, run: Callable[..., int | None], parameters: tuple[Any, ...]
) -> None:
    added = "$1" if parameters else "INTERVAL '1 minute'"
    assert run(f"UPDATE t SET lasts = lasts + {added}, name = 'x' WHERE id < 3", *parameters) == 2
    rows = ask("SELECT lasts FROM t")
    seconds = [None if row["lasts"] is None else row["lasts"].total_seconds() for row in rows]
    assert sorted(seconds, key=str) == [120.0, 3660.0, None]


def test_update_of_a_column_by_a_natural_value(ask: Ask, run: Callable[..., int | None]) -> None:
    assert run("UPDATE t SET clock = TIME '10:00:00', every = INTERVAL '1 year' WHERE id = 1") == 1
    (row,) = (row for row in ask("SELECT * FROM t") if row["id"] == 1)
    assert row["clock"] == dt.time(10)
    assert tuple(row["every"]) == (12, 0, 0)


def test_delete_by_natural_values(ask: Ask, run: Callable[..., int | None]) -> None:
    assert run("DELETE FROM t WHERE lasts = INTERVAL '1 hour'") == 1
    assert [row["id"] for row in ask("SELECT id FROM t ORDER BY id")] == [1, 3]


def test_a_table_is_filled_from_itself(ask: Ask, run: Callable[..., int | None]) -> None:
    assert run("INSERT INTO t SELECT * REPLACE (id + 10 AS id) FROM t") == 3
    rows = ask("SELECT * FROM t")
    kept = {row["id"]: row for row in rows}
    for number in (1, 2, 3):
        assert kept[number] | {"id": 0} == kept[number + 10] | {"id": 0}


def test_what_does_not_fit_is_refused(ask: Ask, run: Callable[..., int | None]) -> None:
    for column, value in (("lasts", "INTERVAL '1 month'"), ("clock", "-1"), ("code", "'abc'")):
        for sql in (
            f"INSERT INTO t (id, {column}) VALUES (9, {value})",
            f"UPDATE t SET {column} = {value}",
            f"UPDATE t SET {column} = {value} FROM range(1)",
        ):
            with pytest.raises(InvalidRequest) as caught:
                run(sql)
            assert caught.value.code is ErrorCode.INVALID_DATA
    assert len(ask("SELECT * FROM t")) == 3


def test_parts_of_a_table_are_natural_too(services: Services) -> None:
    lake: Any = services.engines["lake"]
    table = TableRef("lake", "main", "t")
    lake.ingest(table, IngestRequest(IngestMode.CREATE), ROWS.to_reader(), AUTHOR)
    part = Grant(
        "some", frozenset({Action.READ}), columns=frozenset({"id", "lasts"}), rows="id < 3"
    )
    limited = replace(services, access=Access(fixed({"some": (part,)})))
    somebody = Call(Principal("key:1", "ann", frozenset({"some"})), "r")
    sql = (
        "SELECT lasts > INTERVAL '2 minutes' AS is_long, * FROM main.t "
        "WHERE main.t.id > 0 ORDER BY id"
    )
    rows = query(limited, somebody, SqlRequest(sql)).read_all().to_pylist()
    assert [(row["is_long"], row["id"]) for row in rows] == [(False, 1), (True, 2)]
    assert list(rows[0]) == ["is_long", "id", "lasts"]


def test_merge_assigns_natural_values(ask: Ask, run: Callable[..., int | None]) -> None:
    values = "SELECT 1 AS id, INTERVAL '5 seconds' AS lasts UNION ALL SELECT 9, NULL"
    sql = (
        f"MERGE INTO t USING ({values}) AS s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET lasts = s.lasts, clock = TIME '01:00:00' "
        "WHEN NOT MATCHED THEN INSERT (id, lasts, every) VALUES (s.id, '1 minute', '1 year')"
    )
    assert run(sql) == 2
    rows = {row["id"]: row for row in ask("SELECT * FROM t")}
    assert (rows[1]["lasts"], rows[1]["clock"]) == (dt.timedelta(seconds=5), dt.time(1))
    assert (rows[9]["lasts"], tuple(rows[9]["every"])) == (dt.timedelta(minutes=1), (12, 0, 0))


@pytest.mark.parametrize(("value", "code"), [("-1", "invalid_data"), ("*", "unsupported")])
def test_merge_stores_nothing_unfit(
    ask: Ask, run: Callable[..., int | None], value: str, code: str
) -> None:
    sets = "*" if value == "*" else f"clock = {value}"
    with pytest.raises(PixelflightError) as caught:
        run(
            "MERGE INTO t USING (SELECT 1 AS id) AS s USING (id) "
            f"WHEN MATCHED THEN UPDATE SET {sets}"
        )
    assert caught.value.code.text == code
    assert len(ask("SELECT * FROM t")) == 3
