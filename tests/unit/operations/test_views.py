"""Views: what their readers see, what is refused, and what is told of what is in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flight_server.assemble import assemble
from flight_server.auth import BUILT_IN_ROLES, Access, Action, Grant, fixed
from flight_server.auth.access import ANONYMOUS
from flight_server.errors import (
    AlreadyExists,
    Conflict,
    ErrorCode,
    Forbidden,
    InvalidRequest,
    NotFound,
    PixelflightError,
    Unsupported,
)
from flight_server.model import Kind, NamespaceRef, Principal, ScanRequest, SqlRequest, TableRef
from flight_server.operations import (
    Call,
    Services,
    create_tag,
    describe_table,
    describe_view,
    diff,
    drop_table,
    execute,
    list_tables,
    list_versions,
    list_views,
    newest_snapshot,
    optimize,
    plan_scan,
    query,
    rename_table,
    scan,
)
from flight_server.operations.tables import table_specs
from flight_server.setting_values import Durability
from flight_server.settings import Settings

READ = frozenset({Action.READ})
LIMITED = [
    Grant("limited", READ, table="shown"),
    Grant("limited", READ, table="deeper"),
    Grant("limited", READ, table="secrets"),
    Grant("limited", READ, table="people", columns=frozenset({"id", "name"}), rows="id < 3"),
    Grant("blind", READ, table="shown"),
    Grant("part", READ, table="shown", columns=frozenset({"id"}), rows="id > 1"),
    Grant("part", READ, table="people"),
    Grant("below", READ, table="people"),
    Grant("maker", frozenset({Action.READ, Action.CREATE})),
    Grant("makes", frozenset({Action.CREATE})),
]
ROOT = Call(ANONYMOUS, "r")
SHOWN = TableRef.of("shown")
PEOPLE = [
    {"id": 1, "name": "ann", "pay": 10},
    {"id": 2, "name": "bob", "pay": 20},
    {"id": 3, "name": "cay", "pay": 30},
]


def somebody(*roles: str) -> Call:
    return Call(Principal(f"key:{roles[0]}", roles[0], frozenset(roles)), "r")


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    quiet = Settings(data=tmp_path, durability=Durability.NONE, housekeeping_seconds=0, threads=1)
    roles = {**BUILT_IN_ROLES}
    for grant in LIMITED:
        roles[grant.role] = (*roles.get(grant.role, ()), grant)
    with closing(assemble(quiet)) as opened:
        services = replace(opened, access=Access(fixed(roles)))
        run = runner(services)
        run("CREATE TABLE people (id INTEGER, name VARCHAR, pay INTEGER)")
        run("INSERT INTO people VALUES (1, 'ann', 10), (2, 'bob', 20), (3, 'cay', 30)")
        run("CREATE VIEW shown AS SELECT * FROM people")
        run("CREATE VIEW deeper (number, title) AS SELECT id * 2, upper(name) FROM shown")
        run("CREATE VIEW secrets AS SELECT id, pay FROM people")
        yield services


def runner(services: Services, call: Call = ROOT) -> Callable[[str], Any]:
    return lambda sql: execute(services, call, SqlRequest(sql))


def rows(services: Services, sql: str, call: Call = ROOT, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        query(services, call, SqlRequest(sql, **options)).read_all().to_pylist()
    )
    return found


def unreadable(error: PixelflightError) -> bool:
    return error.code is ErrorCode.VIEW_UNREADABLE


def test_a_view_shows_what_it_says(services: Services) -> None:
    assert rows(services, "SELECT * FROM shown ORDER BY id") == PEOPLE
    assert rows(services, "SELECT title FROM deeper WHERE number = 4") == [{"title": "BOB"}]
    joined = "SELECT s.id, d.title FROM shown s JOIN deeper d ON d.number = s.id * 2 WHERE s.id = 1"
    assert rows(services, joined) == [{"id": 1, "title": "ANN"}]
    assert rows(services, "SELECT lake.main.shown.id FROM shown LIMIT 1") == [{"id": 1}]
    assert rows(services, "WITH shown AS (SELECT 7 AS n) SELECT n FROM shown") == [{"n": 7}]


def test_a_view_hands_nobody_a_right(services: Services) -> None:
    limited = somebody("limited")
    assert rows(services, "SELECT * FROM shown", limited) == [
        {"id": 1, "name": "ann"},
        {"id": 2, "name": "bob"},
    ]
    assert rows(services, "SELECT * FROM deeper WHERE number > 2", limited) == [
        {"number": 4, "title": "BOB"}
    ]
    with pytest.raises(InvalidRequest, match='"pay" not found'):
        rows(services, "SELECT pay FROM shown", limited)
    with pytest.raises(Conflict, match="'secrets' cannot be read") as refused:
        rows(services, "SELECT * FROM secrets", limited)
    assert unreadable(refused.value)
    assert "pay" not in refused.value.message


def test_a_view_is_read_by_whoever_may_read_its_own_name(services: Services) -> None:
    with pytest.raises(NotFound, match="no table 'shown'"):
        rows(services, "SELECT * FROM shown", somebody("below"))
    part = somebody("part")
    assert rows(services, "SELECT * FROM shown ORDER BY id", part) == [{"id": 2}, {"id": 3}]
    assert scan(services, part, SHOWN, ScanRequest()).read_all().to_pylist() == [
        {"id": 2},
        {"id": 3},
    ]


def test_what_is_hidden_below_is_told_like_what_is_missing(services: Services) -> None:
    blind = somebody("blind")
    with pytest.raises(Conflict) as hidden:
        rows(services, "SELECT * FROM shown", blind)
    runner(services)("DROP TABLE people")
    with pytest.raises(Conflict) as missing:
        rows(services, "SELECT * FROM shown", blind)
    assert hidden.value.message == missing.value.message
    assert "people" not in hidden.value.message
    assert unreadable(hidden.value)


def test_of_an_old_version_it_is_what_it_said_over_what_was_there(services: Services) -> None:
    run = runner(services)
    old = newest_snapshot(services, "lake")
    run("CREATE OR REPLACE VIEW shown AS SELECT id FROM people WHERE id > 1")
    run("DELETE FROM people WHERE id = 2")
    assert rows(services, "SELECT * FROM shown") == [{"id": 3}]
    assert rows(services, f"SELECT * FROM shown AT (VERSION => {old}) ORDER BY id") == PEOPLE
    assert rows(services, "SELECT * FROM shown ORDER BY id", version=old) == PEOPLE
    assert rows(services, f"SELECT count(*) AS n FROM deeper AT (VERSION => {old})") == [{"n": 3}]
    asked = ScanRequest(version=old, order_by="id")
    assert scan(services, ROOT, SHOWN, asked).read_all().to_pylist() == PEOPLE


def test_a_view_keeps_its_columns(services: Services) -> None:
    run = runner(services)
    run("ALTER TABLE people ADD COLUMN more INTEGER")
    assert list(rows(services, "SELECT * FROM shown")[0]) == ["id", "name", "pay"]
    run("ALTER TABLE people ALTER COLUMN pay TYPE BIGINT")
    plan = plan_scan(services, ROOT, SHOWN, ScanRequest())
    assert str(plan.schema.field("pay").type) == "int64"
    assert scan(services, ROOT, SHOWN, ScanRequest()).schema.equals(plan.schema)
    run("ALTER TABLE people DROP COLUMN pay")
    with pytest.raises(Conflict, match="The view 'shown' cannot be read"):
        rows(services, "SELECT * FROM shown")
    with pytest.raises(Conflict, match="'deeper' cannot be read: the view 'shown' cannot"):
        rows(services, "SELECT * FROM deeper")


def test_a_broken_view_is_described_to_those_who_may_mend_it(services: Services) -> None:
    runner(services)("DROP TABLE people")
    info = describe_table(services, ROOT, SHOWN)
    assert (info.spec.kind, info.spec.schema.names) == (Kind.VIEW, ["id", "name", "pay"])
    assert info.spec.definition is not None
    assert info.spec.definition.sql == "SELECT * FROM people"
    with pytest.raises(Conflict):
        describe_table(services, somebody("limited"), SHOWN)
    specs = table_specs(services, ROOT, NamespaceRef("lake", "main"))
    assert {str(table): spec.schema.names for table, spec in specs}["shown"] == []


def test_what_a_view_says_is_told_to_those_who_may_read_it_all(services: Services) -> None:
    info = describe_table(services, somebody("limited"), SHOWN)
    assert info.spec.schema.names == ["id", "name"]
    assert info.spec.definition is not None
    assert (info.rows, info.bytes, info.versions) == (-1, -1, 1)
    with pytest.raises(Conflict):
        describe_table(services, somebody("blind"), SHOWN)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO shown VALUES (1, 'x', 2)",
        "UPDATE shown SET id = 1",
        "DELETE FROM shown",
        "TRUNCATE shown",
        "MERGE INTO shown USING people p ON p.id = shown.id WHEN MATCHED THEN DELETE",
    ],
)
def test_rows_are_not_written_to_a_view(services: Services, sql: str) -> None:
    with pytest.raises(Unsupported, match="'shown' is a view"):
        runner(services)(sql)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("DROP TABLE shown", "'shown' is a view and no table"),
        ("ALTER TABLE shown ADD COLUMN x INT", "'shown' is a view and no table"),
        ("ALTER TABLE shown RENAME TO other", "'shown' is a view and no table"),
        ("CREATE OR REPLACE TABLE shown (a INT)", "'shown' is a view and no table"),
        ("DROP VIEW people", "'people' is a table and no view"),
        ("ALTER VIEW people RENAME TO other", "'people' is a table and no view"),
        ("CREATE VIEW v AS SELECT $1", "parameter '1'"),
        ("CREATE VIEW v AS SELECT 1; SELECT 2", "2 statements"),
        ("CREATE VIEW v (a) AS SELECT * FROM people", "without a *"),
        ("CREATE VIEW v (a, b) AS SELECT id FROM people", "names 2 columns"),
        ("CREATE VIEW v (a, A) AS SELECT 1, 2", "twice"),
        ("CREATE VIEW v AS SELECT nothing FROM people", '"nothing" not found'),
    ],
)
def test_what_is_wrong_is_said(services: Services, sql: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        runner(services)(sql)
    assert says in refused.value.message


def test_a_view_is_of_what_there_is(services: Services) -> None:
    run = runner(services)
    with pytest.raises(NotFound, match="no table 'nowhere'"):
        run("CREATE VIEW v AS SELECT * FROM nowhere")
    with pytest.raises(AlreadyExists):
        run("CREATE VIEW shown AS SELECT 1 AS n")
    with pytest.raises(AlreadyExists):
        run("CREATE OR REPLACE VIEW people AS SELECT 1 AS n")
    assert run("CREATE VIEW IF NOT EXISTS shown AS SELECT 1 AS n").commit is None
    with pytest.raises(AlreadyExists):
        run("CREATE TABLE shown (a INT)")


def test_a_view_that_reads_itself_is_refused(services: Services) -> None:
    run = runner(services)
    for sql in ("shown", "deeper"):
        with pytest.raises(Conflict, match="it reads itself") as refused:
            run(f"CREATE OR REPLACE VIEW shown AS SELECT * FROM {sql}")
        assert unreadable(refused.value)
    run("CREATE VIEW a AS SELECT 1 AS n")
    run("CREATE VIEW b AS SELECT n FROM a")
    run("DROP VIEW a")
    run("CREATE VIEW c AS SELECT 2 AS n")
    run("ALTER VIEW c RENAME TO a")
    assert rows(services, "SELECT n FROM b") == [{"n": 2}]
    run("DROP VIEW a")
    run("ALTER VIEW b RENAME TO a")
    with pytest.raises(Conflict, match="it reads itself"):
        rows(services, "SELECT n FROM a")


def test_views_are_so_deep_and_no_deeper(services: Services) -> None:
    run = runner(services)
    run("CREATE VIEW v0 AS SELECT id FROM people")
    for depth in range(1, 16):
        run(f"CREATE VIEW v{depth} AS SELECT id FROM v{depth - 1}")
    assert len(rows(services, "SELECT id FROM v15")) == 3
    with pytest.raises(Conflict, match="more than 16 views"):
        run("CREATE VIEW v16 AS SELECT id FROM v15")


def test_a_plan_is_for_those_who_may_read_all_of_it(services: Services) -> None:
    assert "people" in rows(services, "EXPLAIN SELECT * FROM deeper")[0]["plan"]
    with pytest.raises(Forbidden, match="a part of 'deeper' only"):
        rows(services, "EXPLAIN SELECT * FROM deeper", somebody("limited"))


def test_views_are_listed_among_tables(services: Services) -> None:
    assert [str(view) for view in list_views(services, ROOT)] == ["deeper", "secrets", "shown"]
    assert [str(table) for table in list_tables(services, somebody("blind"))] == ["shown"]
    assert describe_view(services, ROOT, SHOWN).spec.kind is Kind.VIEW
    with pytest.raises(InvalidRequest, match="a table and no view"):
        describe_view(services, ROOT, TableRef.of("people"))


def test_what_a_view_does_not_have_is_said(services: Services) -> None:
    refused: list[Callable[[], object]] = [
        lambda: create_tag(services, ROOT, SHOWN, "tag"),
        lambda: diff(services, ROOT, SHOWN, 1),
        lambda: optimize(services, ROOT, SHOWN),
        lambda: scan(services, ROOT, SHOWN, ScanRequest(with_row_id=True)),
    ]
    for call in refused:
        with pytest.raises(Unsupported, match=r"[Vv]iew"):
            call()
    with pytest.raises(InvalidRequest, match="is a view"):
        drop_table(services, ROOT, SHOWN)
    with pytest.raises(InvalidRequest, match="is a view"):
        rename_table(services, ROOT, SHOWN, TableRef.of("other"))


def test_a_view_has_a_history(services: Services) -> None:
    runner(services)("CREATE OR REPLACE VIEW shown AS SELECT id FROM people")
    newest, first = list_versions(services, ROOT, SHOWN)
    assert (newest.changes, first.changes) == (("altered",), ("created",))
    assert (newest.author, newest.reason) == ("anonymous", "create view")
    assert [one.snapshot for one in list_versions(services, ROOT, SHOWN, 1)] == [newest.snapshot]


def test_making_one_takes_the_right_to_and_replacing_one_that_to_drop_it(
    services: Services,
) -> None:
    with pytest.raises(Forbidden):
        runner(services, somebody("reader"))("CREATE VIEW mine AS SELECT 1 AS n")
    maker = runner(services, somebody("maker"))
    maker("CREATE VIEW mine AS SELECT 1 AS n")
    with pytest.raises(Forbidden):
        maker("CREATE OR REPLACE VIEW mine AS SELECT 2 AS n")
    with pytest.raises(Forbidden):
        maker("DROP VIEW mine")


def test_a_view_of_a_limited_maker_has_the_columns_of_that(services: Services) -> None:
    runner(services, somebody("limited", "makes"))("CREATE VIEW part AS SELECT * FROM people")
    assert list(rows(services, "SELECT * FROM part")[0]) == ["id", "name"]
    lake: Any = services.engines["lake"]
    assert lake._instance.rows("FROM lake.main.part WHERE id = 3") == [(3, "cay")]


def test_a_schema_goes_with_its_views(services: Services) -> None:
    run = runner(services)
    run("CREATE SCHEMA s")
    run("CREATE VIEW s.v AS SELECT 1 AS n")
    with pytest.raises(Conflict):
        run("DROP SCHEMA s")
    run("DROP SCHEMA s CASCADE")
    assert list_views(services, ROOT, "lake", "main") == list_views(services, ROOT)


def test_plain_duckdb_reads_views_too(services: Services) -> None:
    lake: Any = services.engines["lake"]
    found = lake._instance.rows("SELECT number, title FROM lake.main.deeper ORDER BY number")
    assert found == [(2, "ANN"), (4, "BOB"), (6, "CAY")]


def test_a_transaction_sees_its_own_views_and_rows(services: Services) -> None:
    lake: Any = services.engines["lake"]
    with lake.transaction(ROOT.author("test")) as transaction:
        inside = replace(ROOT, transaction=transaction)
        run = runner(services, inside)
        run("INSERT INTO people VALUES (4, 'dan', 40)")
        run("CREATE VIEW many AS SELECT count(*) AS n FROM shown")
        assert rows(services, "SELECT n FROM many", inside) == [{"n": 4}]
        assert scan(services, inside, TableRef.of("many"), ScanRequest()).read_all().num_rows == 1
        transaction.rollback()
    with pytest.raises(NotFound):
        rows(services, "SELECT n FROM many")


def test_a_scan_of_a_view_is_filtered_ordered_and_cut(services: Services) -> None:
    asked = ScanRequest(("name",), "pay > 10", "pay DESC", 1, 1)
    assert scan(services, ROOT, SHOWN, asked).read_all().to_pylist() == [{"name": "bob"}]
    plan = plan_scan(services, ROOT, SHOWN, asked)
    assert (plan.rows, plan.bytes, plan.schema.names) == (-1, -1, ["name"])
    with pytest.raises(InvalidRequest, match="no column 'nope'"):
        scan(services, ROOT, SHOWN, ScanRequest(("nope",)))
