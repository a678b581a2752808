"""Tables of another catalog in SQL, alone and with those of the lake, over real gRPC."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from flight_server.model import AddColumn, Author, TableRef
from flight_server.testing.server import LocalServer
from tests.fix_client import Client, refusal
from tests.fix_flight_sql import SqlClient
from tests.fix_foreign import ROWS, WatchedEngine


def tuples(sql: SqlClient, text: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in sql.rows(text)]


READS = [
    ("SELECT w.id, name FROM {w} AS w JOIN {l} USING (id) ORDER BY 1", [(1, "one"), (2, "two")]),
    ("SELECT count(*), sum(id) FROM {w} WHERE word IS NULL", [(1, 4)]),
    ("SELECT id FROM {w} WHERE x > 2 ORDER BY 1", [(2,), (3,)]),
    (
        "SELECT a.id, b.id AS other FROM {w} a, {w} b WHERE a.id = b.id + 2 ORDER BY 1",
        [(3, 1), (4, 2)],
    ),
    ("WITH c AS (FROM {w}) SELECT count(*) FROM c JOIN c AS d USING (id)", [(4,)]),
    (
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT r.n + 1 FROM r JOIN {w} w ON w.id = r.n)"
        " SELECT max(n) FROM r",
        [(5,)],
    ),
    ("SELECT id FROM {l} WHERE id NOT IN (SELECT id FROM {w})", [(9,)]),
    ("SELECT {w}.id FROM {w} WHERE {w}.id + 0 = 3", [(3,)]),
    ("SELECT l.id FROM {l} l LEFT JOIN {w} w USING (id) WHERE w.id IS NULL", [(9,)]),
    ("SELECT word FROM (PIVOT {w} ON id IN (1, 2) USING count(*)) ORDER BY 1 LIMIT 1", [("a",)]),
    ("SELECT count(*) FROM {w} UNION ALL SELECT count(*) FROM {l}", [(4,), (3,)]),
    ("SELECT array_distance(v, [1, 2]::FLOAT[2]) FROM {w} WHERE id = 1", [(0.0,)]),
    ("SELECT id FROM {w} ORDER BY x DESC NULLS LAST LIMIT 1", [(2,)]),
]


@pytest.mark.parametrize(("text", "wanted"), READS)
@pytest.mark.parametrize("catalog", ["memory", "plain"])
def test_a_select_reads_it_as_it_reads_the_lake(
    sql: SqlClient,
    memory: WatchedEngine,
    words: str,
    named: str,
    catalog: str,
    text: str,
    wanted: Any,
) -> None:
    text = text.format(w=words.replace("memory", catalog), l=named)
    assert tuples(sql, text) == wanted
    assert memory.asked


@pytest.mark.parametrize("catalog", ["memory", "plain"])
@pytest.mark.parametrize("text", ["SELECT * FROM {w}", "SELECT * EXCLUDE (x) FROM {w}"])
def test_a_prepared_statement_sees_what_has_become_of_it(
    sql: SqlClient, memory: WatchedEngine, words: str, catalog: str, text: str
) -> None:
    prepared = sql.prepare(text.format(w=words.replace("memory", catalog)))
    assert prepared.query().num_rows == 4
    table = TableRef("memory", "main", words.rsplit(".", 1)[1])
    memory.delete(table, "id > 1", Author("test"))
    memory.alter_table(table, [AddColumn(pa.field("more", pa.int8()))], Author("test"))
    assert prepared.query()["id"].to_pylist() == [1]
    assert "more" in prepared.schema().names
    prepared.close()


def test_versions_of_an_engine_without_a_history(sql: SqlClient, words: str) -> None:
    plain = words.replace("memory", "plain")
    assert tuples(sql, f"SELECT count(*) FROM {plain}") == [(4,)]
    refused = refusal(lambda: sql.rows(f"FROM {plain} AT (TIMESTAMP => '2020-01-01')"))
    assert refused.code == "unsupported"
    for text in ("INSERT INTO {t} SELECT 1", "CREATE TABLE {t} AS SELECT 1", "DELETE FROM {t}"):
        assert refusal(lambda: sql.update(text.format(t=plain))).code == "unsupported"  # noqa: B023


def test_nothing_is_scanned_for_a_schema_or_a_plan(
    sql: SqlClient, client: Client, memory: WatchedEngine, words: str
) -> None:
    text = f"SELECT id + 1 AS n FROM {words}"
    assert sql.schema("CommandStatementQuery", query=text) == pa.schema([("n", pa.int64())])
    sql.info("CommandStatementQuery", query=text)
    sql.rows(f"EXPLAIN {text}")
    assert tuples(sql, f"DESCRIBE {words}")[0][:2] == ("id", "BIGINT")
    assert memory.asked == []
    sql.rows(f"EXPLAIN ANALYZE {text}")
    assert len(memory.asked) == 1


ASKED = [
    ("SELECT sum(id) FROM {w}", ("id",), None),
    ("SELECT count(*) FROM {w} WHERE id BETWEEN 2 AND 3 AND x > 0", ("id", "x"), "id BETWEEN"),
    ("SELECT x + 1 FROM {w} AS w WHERE w.word IN ('a', 'b') OR w.id = 4", None, "IN ('a', 'b')"),
    ("SELECT name FROM {w} w JOIN {l} l ON w.id = l.id WHERE w.id <= 1", ("id",), "id <= 1"),
    ("SELECT name FROM {l} l LEFT JOIN {w} w ON w.id = l.id WHERE w.id = 1", ("id",), None),
    ("SELECT sum(id) FROM {w} WHERE word < 'b'", ("id", "word"), None),
    ("SELECT sum(id) FROM {w} WHERE x = 1", ("id", "x"), None),
    ("SELECT sum(id) FROM {w} WHERE word = 1", ("id", "word"), None),
    ("SELECT id FROM {w} WHERE id = 3", ("id",), "id = 3"),
]


@pytest.mark.parametrize(("text", "columns", "condition"), ASKED)
def test_only_what_is_needed_is_asked_for(
    sql: SqlClient,
    memory: WatchedEngine,
    words: str,
    named: str,
    text: str,
    columns: tuple[str, ...] | None,
    condition: str | None,
) -> None:
    if "word = 1" in text:
        assert refusal(lambda: sql.rows(text.format(w=words))).code == "invalid_data"
    else:
        sql.rows(text.format(w=words, l=named))
    (asked,) = memory.asked
    assert columns is None or asked.columns is None or set(asked.columns) == set(columns)
    assert (condition or "") in (asked.filter or "").replace('"', "")
    assert (asked.filter is None) == (condition is None)


WRITES = [
    ("INSERT INTO {l} SELECT id, word FROM {w} WHERE id > 2", 2),
    ("UPDATE {l} SET name = w.word FROM {w} w WHERE w.id = {l}.id", 2),
    ("DELETE FROM {l} USING {w} w WHERE w.id = {l}.id", 2),
    (
        "MERGE INTO {l} USING {w} w ON w.id = {l}.id WHEN MATCHED THEN UPDATE SET name = w.word "
        "WHEN NOT MATCHED THEN INSERT VALUES (w.id, w.word)",
        4,
    ),
    ("CREATE TABLE {l}_copy AS SELECT * FROM {w}", 4),
    ("CREATE TABLE {l}_old AS SELECT * FROM {w} AT (VERSION => {v}) WHERE id < 0", 0),
    ("CREATE TEMP TABLE {l}_mine AS SELECT id FROM {w}", 4),
]


@pytest.mark.parametrize(("text", "rows"), WRITES)
def test_rows_go_from_it_into_the_lake(
    sql: SqlClient, memory: WatchedEngine, words: str, named: str, text: str, rows: int
) -> None:
    statement = text.format(w=words, l=named, v=memory.snapshot())
    assert sql.update(statement) == rows
    assert len(memory.asked) == 1


def test_a_copy_has_the_same_values(sql: SqlClient, words: str, name: str) -> None:
    sql.update(f"CREATE TABLE {name} AS SELECT * FROM {words}")
    assert sql.query(f"SELECT * FROM {name} ORDER BY id").to_pylist().__repr__() == repr(
        ROWS.to_pylist()
    )
    temporary = f"mine_{name}"
    sql.update(f"CREATE TEMP TABLE {temporary} AS SELECT id FROM {words} WHERE id < 3")
    assert sql.update(f"INSERT INTO {temporary} SELECT id + 10 FROM {words} WHERE id = 4") == 1
    assert sql.update(f"UPDATE {temporary} t SET id = w.id FROM {words} w WHERE t.id = w.id") == 2
    assert sql.update(f"DELETE FROM {temporary} t USING {words} w WHERE t.id = w.id") == 2
    merge = f"MERGE INTO {temporary} t USING {words} w ON t.id = w.id + 10"
    assert sql.update(f"{merge} WHEN MATCHED THEN DELETE") == 1


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO {w} VALUES (1, 'a', 1, NULL)",
        "INSERT INTO {w} SELECT * FROM {w}",
        "UPDATE {w} SET id = 1 WHERE id IN (SELECT max(id) FROM {w})",
        "DELETE FROM {w} WHERE id IN (SELECT max(id) FROM {w})",
        "MERGE INTO {w} t USING (SELECT 1 AS id) s ON t.id = s.id WHEN MATCHED THEN DELETE",
        "CREATE TABLE {w}_new AS SELECT 1 AS a",
    ],
)
def test_sql_writes_nothing_to_it(sql: SqlClient, words: str, text: str) -> None:
    refused = refusal(lambda: sql.update(text.format(w=words)))
    assert refused.code == "unsupported"
    assert "does not write to tables of the catalog 'memory'" in refused.message


def test_its_own_columns_are_changed_by_its_engine(sql: SqlClient, words: str) -> None:
    assert sql.update(f"UPDATE {words} SET word = 'z' WHERE id > 2") == 2
    assert sql.update(f"DELETE FROM {words} WHERE word <> 'z'") == 2
    assert tuples(sql, f"SELECT id + 0 AS id, word FROM {words} ORDER BY 1") == [(3, "z"), (4, "z")]


def test_a_view_of_the_lake_reads_the_lake(sql: SqlClient, words: str, name: str) -> None:
    refused = refusal(lambda: sql.update(f"CREATE VIEW {name} AS SELECT id FROM {words}"))
    assert refused.code == "unsupported"
    assert "a view reads tables of the catalog 'lake' only" in refused.message


def test_parameters_are_bound(sql: SqlClient, memory: WatchedEngine, words: str) -> None:
    prepared = sql.prepare(f"SELECT word FROM {words} WHERE id = ? AND id + 0 > 0")
    assert memory.asked == []
    prepared.bind(pa.table({"0": [1, 3]}))
    assert prepared.query().to_pydict() == {"word": ["a", "c"]}
    assert [asked.filter for asked in memory.asked] == ["((id = 1))", "((id = 3))"]
    prepared.close()


GIVEN = [
    ("id = $1", [3], "(id = 3)", 1),
    ("id IN ($1, $2)", [3, 4], "(id IN (3, 4))", 2),
    ("word = $w", {"w": "it's b"}, "(word = 'it''s b')", 0),
    ("word = $w OR id = $i", {"w": "b", "i": 1}, "((word = 'b') OR (id = 1))", 2),
    ("id = $1", [None], None, 0),
    ("id = $1", [True], None, 1),
    ("id = $1", [2.0], None, 1),
    ("id = $1", ["2"], None, 1),
    ("id = $1", [2**70], None, 0),
    ("word > $1", ["a"], None, 2),
]


@pytest.mark.parametrize(("where", "values", "condition", "rows"), GIVEN)
def test_parameters_are_asked_for(
    client: Client,
    memory: WatchedEngine,
    words: str,
    where: str,
    values: Any,
    condition: str | None,
    rows: int,
) -> None:
    found = client.read(sql=f"SELECT id + 0 FROM {words} WHERE {where}", parameters=values)
    assert found.num_rows == rows
    # Where nothing can be found, nothing is looked for.
    told = memory.asked[0].filter if memory.asked else None
    assert (told and told.replace('"', "")) == (condition and f"({condition})")


def test_adbc_and_a_json_ticket_read_it(adbc: Any, client: Client, words: str, named: str) -> None:
    text = f"SELECT name FROM {words} w JOIN {named} USING (id) WHERE id = $1"
    with adbc.cursor() as cursor:
        cursor.execute(text, (2,))
        assert cursor.fetchall() == [("two",)]
    assert client.read(sql=text, parameters=[2]).to_pydict() == {"name": ["two"]}


def test_versions_are_its_own(
    sql: SqlClient, client: Client, memory: WatchedEngine, words: str
) -> None:
    table = TableRef("memory", "main", words.rsplit(".", 1)[1])
    before = memory.snapshot()
    moment = memory.versions(table)[0].committed_at.isoformat()
    memory.delete(table, "id > 1", Author("test"))
    count = f"SELECT count(*) + 0 FROM {words}"
    assert tuples(sql, count) == [(1,)]
    assert tuples(sql, f"{count} AT (VERSION => {before})") == [(4,)]
    assert tuples(sql, f"{count} AT (TIMESTAMP => '{moment}')") == [(4,)]
    assert tuples(sql, f"SELECT * FROM {words} AT (VERSION => {before}) WHERE id = 2")
    assert client.read(sql=count, as_of=moment).to_pydict().popitem()[1] == [4]
    assert client.get(sql=count, as_of=moment).to_pydict().popitem()[1] == [4]
    assert client.get(sql=f"SELECT id FROM {words}", as_of=moment).num_rows == 4
    missing = refusal(lambda: sql.rows(f"{count} AT (VERSION => 999)"))
    assert missing.code == "version_not_found"
    assert sql.set_options(as_of=moment) == {}
    assert tuples(sql, count) == [(4,)]
    assert sql.query(f"SELECT id FROM {words}").num_rows == 4
    sql.set_options(as_of=None)
    assert tuples(sql, count) == [(1,)]


def test_all_uses_in_a_statement_are_of_one_version(
    sql: SqlClient, memory: WatchedEngine, words: str
) -> None:
    sql.rows(f"SELECT count(*) FROM {words} a, {words} b")
    assert {asked.version for asked in memory.asked} == {memory.snapshot()}


def test_in_a_transaction_it_is_read_as_it_is(
    sql: SqlClient, memory: WatchedEngine, words: str, named: str
) -> None:
    begun = sql.begin()
    assert sql.update(f"INSERT INTO {named} SELECT id + 100, word FROM {words}", begun) == 4
    join = f"SELECT count(*) AS n FROM {named} l JOIN {words} w ON l.id = w.id + 100"
    assert sql.rows(join, begun) == [{"n": 4}]
    memory.delete(TableRef("memory", "main", words.rsplit(".", 1)[1]), "id = 1", Author("test"))
    assert sql.rows(join, begun) == [{"n": 3}]
    assert sql.rows(f"EXPLAIN {join}", begun)
    sql.rollback(begun)
    assert sql.count(named) == 3


def test_a_limit_is_asked_for(sql: SqlClient, memory: WatchedEngine, words: str) -> None:
    text = f"SELECT id + 1 AS n FROM {words} WHERE id <> 2 LIMIT 1 OFFSET 1"
    assert tuples(sql, text) == [(4,)]
    assert [asked.limit for asked in memory.asked] == [2]


def test_listings_show_it(sql: SqlClient, client: Client, words: str) -> None:
    name = words.rsplit(".", 1)[1]
    found = sql.get(
        "CommandGetTables", catalog="memory", table_name_filter_pattern=name
    ).to_pylist()
    assert [(row["catalog_name"], row["db_schema_name"]) for row in found] == [("memory", "main")]
    assert {"lake", "memory"} <= set(sql.get("CommandGetCatalogs")["catalog_name"].to_pylist())
    schemas = sql.get("CommandGetDbSchemas", catalog="memory")
    assert schemas.to_pylist() == [{"catalog_name": "memory", "db_schema_name": "main"}]


def test_the_servers_of_both_catalogs_are_one_session(
    sql: SqlClient, server: LocalServer, words: str, named: str
) -> None:
    name = words.rsplit(".", 1)[1]
    sql.update("USE memory.main")
    assert tuples(sql, f"SELECT count(*) + 0 FROM {name}") == [(4,)]
    assert tuples(sql, f"SELECT count(*) FROM {name} JOIN lake.main.{named} USING (id)") == [(2,)]
