"""Temporary tables and an open transaction: each statement sees what both hold by then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flight_server.assemble import assemble
from flight_server.auth.access import ANONYMOUS
from flight_server.errors import InvalidRequest, NotFound, Unsupported
from flight_server.model import Author, SqlRequest
from flight_server.operations import Call, Services
from flight_server.operations.query import explain, query
from flight_server.operations.sessions import Session
from flight_server.operations.statements import execute
from flight_server.setting_values import Durability
from flight_server.settings import Settings

Ask = Callable[[str], list[tuple[Any, ...]]]
Run = Callable[[str], int | None]


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    settings = Settings(
        data=tmp_path, durability=Durability.NONE, housekeeping_seconds=0, threads=1
    )
    with closing(assemble(settings)) as services:
        yield services


@pytest.fixture
def call(services: Services) -> Iterator[Call]:
    """A call in a transaction. The lake has `kept`, the session `mine`: a row of 1 in each."""
    lake: Any = services.engines["lake"]
    session = Session(ANONYMOUS.id)
    before = Call(ANONYMOUS, "r", session=session)
    for sql in (
        "CREATE TABLE kept AS SELECT 1 AS a, INTERVAL '1 day' AS d, uuid() AS u",
        "CREATE TEMP TABLE mine AS SELECT 1 AS a, INTERVAL '1 day' AS d, uuid() AS u",
    ):
        execute(services, before, SqlRequest(sql))
    with lake.transaction(Author("me")) as transaction:
        yield replace(before, transaction=transaction)
    session.close()


@pytest.fixture
def ask(services: Services, call: Call) -> Ask:
    def asked(sql: str) -> list[tuple[Any, ...]]:
        rows = query(services, call, SqlRequest(sql)).read_all().to_pylist()
        return [tuple(row.values()) for row in rows]

    return asked


@pytest.fixture
def run(services: Services, call: Call) -> Run:
    return lambda sql: execute(services, call, SqlRequest(sql)).rows


JOINED = "SELECT count(*) FROM mine JOIN main.kept USING (a) WHERE mine.d = kept.d"


def test_a_query_sees_what_was_written_to_either(ask: Ask, run: Run) -> None:
    assert ask(JOINED) == [(1,)]
    run("INSERT INTO mine SELECT a, d, u FROM mine")
    assert ask(JOINED) == [(2,)]
    run("INSERT INTO kept SELECT a, d, u FROM kept")
    assert ask(JOINED) == [(4,)]
    run("UPDATE mine SET d = d * 2")
    assert ask(JOINED) == [(0,)]
    run("DELETE FROM mine")
    assert ask("SELECT count(*) FROM mine x, mine y") == [(0,)]


def test_tables_made_and_dropped_meanwhile(ask: Ask, run: Run) -> None:
    assert ask(JOINED) == [(1,)]
    run("CREATE TEMP TABLE other AS SELECT a FROM mine")
    assert ask("SELECT other.a + kept.a FROM other, kept") == [(2,)]
    run("ALTER TABLE other RENAME TO another")
    assert ask("SELECT another.a + kept.a FROM another, kept") == [(2,)]
    run("DROP TABLE another")
    with pytest.raises(NotFound):
        ask("SELECT another.a + 1 FROM another")
    run("CREATE TEMP TABLE other AS SELECT 'x' AS b")
    assert ask("SELECT b || 'y' FROM other") == [("xy",)]


def test_the_lake_is_filled_from_them(ask: Ask, run: Run) -> None:
    run("INSERT INTO mine SELECT a + 1, d, u FROM mine")
    assert run("INSERT INTO kept SELECT * FROM mine") == 2
    assert run("UPDATE kept SET a = 7 FROM mine WHERE kept.u = mine.u AND mine.a = 2") == 2
    assert sorted(ask("SELECT a FROM kept")) == [(1,), (7,), (7,)]


def test_they_are_filled_from_what_is_not_committed(ask: Ask, run: Run) -> None:
    run("INSERT INTO kept SELECT a + 1, d, u FROM kept")
    assert run("INSERT INTO mine (a, u) SELECT a, u FROM kept WHERE a > 1") == 1
    run("CREATE TEMP TABLE other AS SELECT * FROM kept")
    assert ask("SELECT sum(a) FROM other") == [(3,)]
    assert sorted(ask("SELECT a FROM mine")) == [(1,), (2,)]


def test_they_are_not_changed_by_what_is_not_committed(ask: Ask, run: Run) -> None:
    changes = (
        "UPDATE mine SET a = kept.a FROM kept",
        "DELETE FROM mine USING kept WHERE mine.a = kept.a",
        "MERGE INTO mine USING kept ON mine.a = kept.a WHEN MATCHED THEN DELETE",
    )
    run("INSERT INTO kept SELECT a + 1, d, u FROM kept")
    for sql in changes:
        with pytest.raises(Unsupported, match="open transaction"):
            run(sql)
    assert run("UPDATE mine SET a = other.a + 1 FROM mine other") == 1
    assert ask("SELECT a FROM mine WHERE a > 1") == [(2,)]


def test_plans_and_errors_do_not_tell_of_copies(services: Services, call: Call, ask: Ask) -> None:
    text = explain(services, call, SqlRequest(f"EXPLAIN {JOINED}"))
    assert "temp.mine" in text
    assert "_pixelflight" not in text
    with pytest.raises(InvalidRequest) as caught:
        ask("SELECT nothing + 1 FROM mine")
    assert "_pixelflight" not in caught.value.message
