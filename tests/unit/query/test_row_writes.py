"""The pieces of INSERT, UPDATE, DELETE and MERGE, run as engines run them, do what DuckDB does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server.errors import PixelflightError, Unsupported
from flight_server.model import TableRef, quoted
from flight_server.query import (
    Delete,
    Insert,
    Merge,
    Source,
    Statement,
    TableUse,
    Update,
    Write,
    check_expression,
    check_predicate,
    merge_source,
    parse,
    parse_any,
    rewrite,
    rewrite_merge,
)

SETUP = """
CREATE TABLE t (id INTEGER, v INTEGER, s VARCHAR, f STRUCT(x INTEGER, y VARCHAR));
INSERT INTO t VALUES (1, 10, 'a', {'x': 1, 'y': 'p'}), (2, 20, 'b', NULL), (3, NULL, 'c', NULL),
    (4, 40, NULL, {'x': 4, 'y': NULL});
CREATE TABLE u (id INTEGER, w INTEGER, z STRUCT(v INTEGER));
INSERT INTO u VALUES (1, 100, {'v': 7}), (3, 300, NULL), (5, 500, NULL);
CREATE SCHEMA other;
CREATE TABLE other.t AS FROM (VALUES (1, 'other')) o(id, v);
"""
COLUMNS = ("id", "v", "s", "f")


@pytest.fixture
def databases() -> Iterator[tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection]]:
    with duckdb.connect(":memory:") as one, duckdb.connect(":memory:") as other:
        one.execute(SETUP)
        other.execute(SETUP)
        yield one, other


def whole(use: TableUse) -> Source:
    return Source(use.table)


def used(statement: Statement, parameters: Any) -> dict[str, Any]:
    named = (
        parameters
        if isinstance(parameters, dict)
        else {str(place): value for place, value in enumerate(parameters, 1)}
    )
    return {name: named[name] for name in statement.parameters}


def run(connection: duckdb.DuckDBPyConnection, write: Write, parameters: Any = ()) -> None:
    """Runs a statement from its parts."""
    match write:
        case Insert(target, columns, by_name, query):
            assert query is not None
            named = f" ({', '.join(map(quoted, columns))})" if columns else ""
            how = " BY NAME" if by_name else ""
            rows = f"FROM ({rewrite(query, whole)})"
            sql = f"INSERT INTO {target.table.sql}{how}{named} {rows}"
            connection.execute(sql, used(query, parameters))
        case Update(target, columns, rows):
            names = ", ".join(f"c{place}" for place in range(len(columns)))
            sets = ", ".join(f"{quoted(one)} = c{place}" for place, one in enumerate(columns))
            connection.execute(
                f"UPDATE {target.table.sql} AS target SET {sets} "
                f"FROM ({rewrite(rows, whole)}) AS given (id_of_row, {names}) "
                "WHERE target.rowid = given.id_of_row",
                used(rows, parameters),
            )
        case Delete(target, rows):
            connection.execute(
                f"DELETE FROM {target.table.sql} WHERE rowid IN ({rewrite(rows, whole)})",
                used(rows, parameters),
            )
        case Merge(target, statement):
            sql = rewrite_merge(write, whole, target.table)
            connection.execute(sql, used(statement, parameters))
        case _:
            raise AssertionError(write)


def read(sql: str) -> Write:
    found = parse_any(sql, default_catalog="memory")
    assert not isinstance(found, Statement)
    return found


def contents(connection: duckdb.DuckDBPyConnection) -> list[Any]:
    tables = ("t", "u", "other.t")
    return [connection.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in tables]


STATEMENTS: list[tuple[str, Any]] = [
    ("INSERT INTO t VALUES (5, 50, 'e', NULL), (6, 60, 'f', {'x': 1, 'y': 'z'})", ()),
    # Each value is cast by itself to the type of its column.
    ("INSERT INTO t (s) VALUES (1), ('abc'), (DATE '2020-01-01')", ()),
    ("INSERT INTO t (v, s) VALUES ('7', true), (8.5, 'x'), (NULL, 1e3), (?, ?)", (1, "y")),
    ("INSERT INTO other.t VALUES (1, ['a', 'b']::VARCHAR), ('2', 'x' || 1), (3, NULL)", ()),
    ("INSERT INTO t (v, s, id) VALUES (DEFAULT, 'x', 1), (default, ',', ?)", (3,)),
    ("INSERT INTO t (s, id) SELECT 'x', id + 10 FROM t WHERE v > 10 ORDER BY id LIMIT 1", ()),
    ("INSERT INTO t BY NAME SELECT 'x' AS s, 9 AS id", ()),
    ("WITH x AS (FROM u) INSERT INTO t (id) SELECT id FROM x", ()),
    ("WITH x AS (FROM u) INSERT INTO t (id) WITH y AS (FROM x) SELECT id + 1 FROM y", ()),
    ("INSERT INTO t (id, s) VALUES (?, ?), (?, 'x')", (7, "q", 8)),
    ("INSERT INTO t (s) SELECT $b || $a", {"a": "1", "b": "2"}),
    ("INSERT INTO other.t SELECT id, s FROM main.t", ()),
    ("UPDATE t SET v = v + 1", ()),
    ("UPDATE t SET v = id, id = v", ()),
    ("UPDATE t SET v = 0 WHERE s IN ('a', 'b') OR s IS NULL", ()),
    ("UPDATE t SET s = s || f.y, v = t.f.x WHERE f.x > 0", ()),
    ("UPDATE t SET v = ? WHERE id = ?", (5, 2)),
    ("UPDATE t SET v = $2 WHERE id = $1", (2, 5)),
    ("UPDATE t AS a SET v = u.w FROM u WHERE a.id = u.id", ()),
    ("UPDATE t SET v = (SELECT max(w) FROM u WHERE u.id = t.id)", ()),
    ("UPDATE t SET v = b.v FROM t AS b WHERE b.id = t.id + 1", ()),
    ("UPDATE t SET v = u.w FROM u JOIN other.t AS o ON o.id = u.id WHERE u.id = main.t.id", ()),
    ("UPDATE other.t SET v = 'x' WHERE t.id IN (SELECT id FROM main.t)", ()),
    ("UPDATE t SET v = CASE WHEN id = 1 THEN 0 ELSE v END, s = NULL WHERE id < 3", ()),
    ("UPDATE u SET w = t.v FROM t WHERE u.id = t.id", ()),
    ("WITH m AS (SELECT max(w) AS w FROM u) UPDATE t SET v = m.w FROM m", ()),
    ("UPDATE t SET v = (v IS DISTINCT FROM 10)::INT, s = 'x' || 'FROM' -- WHERE false", ()),
    ("UPDATE t SET v = 1 WHERE rowid = 2", ()),
    ("DELETE FROM t", ()),
    ("TRUNCATE t", ()),
    ("DELETE FROM t WHERE v IS NULL OR id = ?", (1,)),
    ("DELETE FROM t USING u WHERE t.id = u.id", ()),
    ("DELETE FROM t AS a USING u, other.t AS o WHERE a.id = u.id AND o.id = a.id", ()),
    ("DELETE FROM t WHERE EXISTS (FROM u WHERE u.id = t.id)", ()),
    ("WITH x AS (SELECT id FROM u) DELETE FROM t WHERE id IN (FROM x)", ()),
    (
        "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN UPDATE SET v = u.w, s = s || 'x' "
        "WHEN NOT MATCHED THEN INSERT (id, v) VALUES (u.id, u.w)",
        (),
    ),
    (
        "MERGE INTO t AS a USING (SELECT id, w AS v FROM u) AS b USING (id) "
        "WHEN MATCHED AND b.v > ? THEN DELETE WHEN MATCHED THEN UPDATE BY NAME "
        "WHEN NOT MATCHED THEN INSERT BY NAME WHEN NOT MATCHED BY SOURCE AND a.v = ? THEN "
        "UPDATE SET v = CASE WHEN a.id > 1 THEN a.id END",
        (200, 20),
    ),
    (
        "WITH x AS (SELECT 1 AS id) MERGE INTO t USING u JOIN x ON u.id = x.id ON t.id = u.id "
        "WHEN MATCHED THEN UPDATE SET v = (SELECT count(*) FROM u) WHEN NOT MATCHED BY SOURCE "
        "THEN DO NOTHING",
        (),
    ),
    (
        "MERGE INTO u USING t ON u.id = t.id WHEN MATCHED AND false THEN ERROR 'no' || t.id "
        "WHEN MATCHED THEN UPDATE SET w = t.v WHEN NOT MATCHED BY TARGET THEN "
        "INSERT VALUES (t.id, t.v, NULL)",
        (),
    ),
    (
        "MERGE INTO other.t AS o USING (VALUES (1, 'x'), (2, 'y')) AS s (id, v) ON o.id = s.id "
        "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *",
        (),
    ),
]


@pytest.mark.parametrize(("sql", "parameters"), STATEMENTS, ids=[sql for sql, _ in STATEMENTS])
def test_the_parts_do_what_the_statement_does(
    databases: tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection],
    sql: str,
    parameters: Any,
) -> None:
    ours, theirs = databases
    before = contents(ours)
    theirs.execute(sql, parameters)
    run(ours, read(sql), parameters)
    assert contents(ours) == contents(theirs) != before


@pytest.mark.parametrize("sql", [sql for sql, _ in STATEMENTS if sql.startswith("UPDATE t SET")])
def test_plain_updates_do_the_same(
    databases: tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection], sql: str
) -> None:
    """Where the pieces are accepted as expressions, they may run by themselves."""
    ours, theirs = databases
    write = read(sql)
    assert isinstance(write, Update)
    parameters = {"1": 2, "2": 5}
    theirs.execute(sql, used(write.rows, parameters))
    run_plain(ours, write, parameters)
    assert contents(ours) == contents(theirs)


def run_plain(connection: duckdb.DuckDBPyConnection, write: Update, parameters: Any) -> None:
    if write.plain is None:
        return run(connection, write, parameters)
    texts, where = write.plain
    try:
        values = [check_expression(text, COLUMNS, parameters=True) for text in texts]
        condition = check_predicate(where or "true", COLUMNS, parameters=True)
    except PixelflightError:
        return run(connection, write, parameters)
    sets = ", ".join(f"{quoted(n)} = {v}" for n, v in zip(write.columns, values, strict=True))
    connection.execute(
        f"UPDATE {write.target.table.sql} SET {sets} WHERE {condition}",
        used(write.rows, parameters),
    )
    return None


def test_hidden_rows_and_columns_are_not_reached(
    databases: tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection],
) -> None:
    connection, _ = databases
    write = read("DELETE FROM t WHERE id > 0")
    assert isinstance(write, Delete)
    sql = rewrite(write.rows, lambda use: Source(use.table, ("id",), "v >= 20"))
    assert connection.execute(sql).fetchall() == [(1,), (3,)]
    hidden = read("DELETE FROM t WHERE s = 'a'")
    assert isinstance(hidden, Delete)
    with pytest.raises(duckdb.BinderException):
        connection.execute(rewrite(hidden.rows, lambda use: Source(use.table, ("id",))))


def test_stars_do_not_show_the_row_ids_of_narrowed_tables(
    databases: tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection],
) -> None:
    connection, _ = databases
    write = read("UPDATE u SET w = (SELECT count(COLUMNS(*)) FROM t AS x WHERE x.id = 1)")
    assert isinstance(write, Update)
    sql = rewrite(write.rows, lambda use: Source(use.table, ("id",)))
    assert connection.execute(sql).fetchall() == [(0, 1), (1, 1), (2, 1)]


def test_a_merge_into_a_table_of_another_name() -> None:
    merge = parse_any("MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE")
    assert isinstance(merge, Merge)
    written = rewrite_merge(merge, whole, TableRef("lake", "_temporary", "t1"))
    assert written.startswith('MERGE INTO "lake"."_temporary"."t1" AS "t" USING ')


def test_insert_by_name_in_a_merge_gives_defaults() -> None:
    merge = parse_any(
        "MERGE INTO t USING (SELECT 1 AS id) AS u ON t.id = u.id "
        "WHEN NOT MATCHED THEN INSERT BY NAME"
    )
    assert isinstance(merge, Merge)
    assert merge_source(merge, whole) == "SELECT * FROM (SELECT 1 AS id) AS u"
    plain = rewrite_merge(merge, whole, merge.target.table)
    assert plain.endswith("THEN INSERT BY NAME")
    filled = rewrite_merge(merge, whole, merge.target.table, {"v": "7", "ID": "8"}, ("id",))
    assert filled.endswith('THEN INSERT ("id", "v") VALUES ("id", 7)')
    with pytest.raises(Unsupported):
        rewrite_merge(merge, whole, merge.target.table, {"v": "7"})


def test_a_merge_into_a_real_lake(lake: duckdb.DuckDBPyConnection) -> None:
    sql = (
        "WITH s AS (SELECT symbol, max(bid) AS bid FROM quotes GROUP BY ALL) "
        "MERGE INTO merged AS m USING (FROM s) AS s ON m.symbol = s.symbol "
        "WHEN MATCHED AND s.bid > $least THEN UPDATE SET bid = s.bid + m.bid "
        "WHEN NOT MATCHED THEN INSERT (symbol) VALUES (s.symbol)"
    )
    lake.execute("CREATE OR REPLACE TABLE merged AS SELECT 'A' AS symbol, 1 AS bid, 0 AS extra")
    merge = parse_any(sql)
    assert isinstance(merge, Merge)
    found = {"symbol": "'none'", "extra": "CAST('7' AS INTEGER)"}
    written = rewrite_merge(merge, whole, TableRef.of("merged"), found)
    lake.execute(written, {"least": 9})
    rows = lake.execute("FROM merged ORDER BY symbol").fetchall()
    lake.execute("DROP TABLE merged")
    assert rows == [("A", 12, 0), ("B", None, 7)]


LEAVES = ("1", ".5", "id", "'x, WHERE'", "$$ FROM ; $$", "f.from", 'f."WHERE"', "E'\\', '", "NULL")
WRAPPERS = st.sampled_from(
    [
        "({} + {})",
        "{} IS NOT DISTINCT FROM {}",
        "CASE WHEN {} THEN {} END",
        "CASE {} WHEN 1 THEN 2 ELSE {} END",
        "[{}, {}]",
        "{{'k': {}, 'FROM': {}}}",
        "extract(year FROM {}) || {}",
        "CAST({} AS VARCHAR) || {}",
        "{} IN (1, {})",
        "{} /* , FROM WHERE ( */ || {}",
        "{} -- , WHERE (\n || {}",
        "-{} || {}",
        "{}::DECIMAL(4, 2) || {}",
    ]
)


def wrapped(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """One of the wrappers around two expressions, in parentheses unless short."""
    part = inner.map(lambda text: text if text in LEAVES else f"({text}\n)")
    return st.builds(lambda wrapper, one, two: wrapper.format(one, two), WRAPPERS, part, part)


EXPRESSIONS = st.recursive(st.sampled_from(LEAVES), wrapped, max_leaves=5)


@given(st.lists(EXPRESSIONS, min_size=1, max_size=3), st.none() | EXPRESSIONS)
def test_pieces_are_cut_where_they_end(texts: list[str], where: str | None) -> None:
    sets = ", ".join(f"c{place} = {text}" for place, text in enumerate(texts))
    write = read(f"UPDATE t SET {sets}" + (f" WHERE {where}" if where else ""))
    assert isinstance(write, Update)
    assert write.plain is not None
    assert [text.strip() for text in write.plain[0]] == texts
    assert write.plain[1] == where
    values = ", ".join(f"({text})" for text in texts)
    condition = f" WHERE ({where})" if where else ""
    same = parse(f'SELECT "t".rowid, {values} FROM t{condition}', default_catalog="memory")
    assert rewrite(write.rows, whole) == rewrite(same, whole)


@given(EXPRESSIONS, EXPRESSIONS, EXPRESSIONS)
def test_pieces_of_a_merge_are_cut_where_they_end(on: str, when: str, value: str) -> None:
    write = read(
        f"MERGE INTO t USING u ON {on} WHEN MATCHED AND {when} THEN UPDATE SET v = {value}, s = 1 "
        f"WHEN NOT MATCHED THEN INSERT (v, s) VALUES ({value}, {when})"
    )
    assert isinstance(write, Merge)
    expected = f"SELECT 1, ({when}), ({value}), (1), ({value}), ({when}) FROM t JOIN u ON ({on})"
    same = parse(expected, default_catalog="memory")
    assert rewrite(write.statement, whole) == rewrite(same, whole)
