"""What each statement that writes is read as, and what each that is refused says."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server.errors import PixelflightError
from flight_server.model import (
    AddColumn,
    DropColumn,
    NamespaceRef,
    RenameColumn,
    RetypeColumn,
    SetComment,
    SetDefault,
    SetKey,
    SetNullable,
    SetPartitioning,
    TableRef,
)
from flight_server.query import (
    AlterTable,
    Column,
    Control,
    CreateNamespace,
    CreateTable,
    Delete,
    DropNamespace,
    DropTable,
    Insert,
    RenameTable,
    Source,
    Statement,
    TableUse,
    Update,
    Use,
    parameters_of,
    parse_any,
    rewrite,
)

T = TableUse(TableRef.of("t"), bare=True)
SALES = TableUse(TableRef.of("sales", "daily"))


def rewritten(statement: Statement | None) -> str:
    assert statement is not None
    return rewrite(statement, lambda use: Source(use.table))


def inserted(sql: str) -> Insert:
    found = parse_any(sql)
    assert isinstance(found, Insert)
    return found


def updated(sql: str) -> Update:
    found = parse_any(sql)
    assert isinstance(found, Update)
    return found


def deleted(sql: str) -> Delete:
    found = parse_any(sql)
    assert isinstance(found, Delete)
    return found


def altered(*changes: Any, **more: bool) -> AlterTable:
    return AlterTable(T, changes, **more)


WHOLE: list[tuple[str, Any]] = [
    ("CREATE TABLE t (a INT)", CreateTable(T, (Column("a", pa.int32()),))),
    (
        "create or replace table sales.daily (\"a b\" VARCHAR NOT NULL DEFAULT 'it''s', c INT[])",
        CreateTable(
            SALES,
            (
                Column("a b", pa.string(), False, "'it''s'"),
                Column("c", pa.list_(pa.int32())),
            ),
            or_replace=True,
        ),
    ),
    (
        "CREATE TABLE IF NOT EXISTS t (a INT PRIMARY KEY, b INT DEFAULT -1 NULL)",
        CreateTable(
            T,
            (Column("a", pa.int32(), False), Column("b", pa.int32(), True, "-1")),
            ("a",),
            if_not_exists=True,
        ),
    ),
    (
        "CREATE TABLE t (a INT, b TIMESTAMP DEFAULT now(), CONSTRAINT k PRIMARY KEY (B, a))",
        CreateTable(
            T,
            (
                Column("a", pa.int32(), False),
                Column("b", pa.timestamp("us"), False, "now()"),
            ),
            ("B", "a"),
        ),
    ),
    (
        "CREATE TABLE t (a INT DEFAULT NULL, b BOOL DEFAULT CAST('true' AS BOOL) NOT NULL)",
        CreateTable(
            T,
            (
                Column("a", pa.int32(), True, "NULL"),
                Column("b", pa.bool_(), False, "CAST('true' AS BOOL)"),
            ),
        ),
    ),
    (
        "CREATE TEMP TABLE t (a INT)",
        CreateTable(
            TableUse(TableRef("temp", "main", "t")),
            (Column("a", pa.int32()),),
            temporary=True,
        ),
    ),
    (
        "CREATE TABLE temp.t (a INT)",
        CreateTable(
            TableUse(TableRef("temp", "main", "t")),
            (Column("a", pa.int32()),),
            temporary=True,
        ),
    ),
    ("DROP TABLE t", DropTable(T)),
    ("DROP TABLE IF EXISTS sales.daily CASCADE;", DropTable(SALES, True)),
    ("CREATE SCHEMA s", CreateNamespace(NamespaceRef("lake", "s"))),
    (
        'CREATE SCHEMA IF NOT EXISTS other."a/b"',
        CreateNamespace(NamespaceRef("other", "a/b"), True),
    ),
    ("DROP SCHEMA s RESTRICT", DropNamespace(NamespaceRef("lake", "s"))),
    ("DROP SCHEMA IF EXISTS s CASCADE", DropNamespace(NamespaceRef("lake", "s"), True, True)),
    (
        "ALTER TABLE t ADD COLUMN IF NOT EXISTS c INT DEFAULT 5",
        altered(AddColumn(pa.field("c", pa.int32()), "5"), if_column=True),
    ),
    (
        "ALTER TABLE IF EXISTS t ADD c DOUBLE PRECISION",
        altered(AddColumn(pa.field("c", pa.float64())), if_exists=True),
    ),
    (
        "ALTER TABLE t ADD c TIMESTAMP DEFAULT now()",
        altered(AddColumn(pa.field("c", pa.timestamp("us")), "now()")),
    ),
    (
        "ALTER TABLE t ADD c INT DEFAULT 5 NOT NULL;",
        altered(AddColumn(pa.field("c", pa.int32(), nullable=False), "5")),
    ),
    ("ALTER TABLE t DROP c", altered(DropColumn("c"))),
    ("ALTER TABLE t DROP COLUMN IF EXISTS c", altered(DropColumn("c"), if_column=True)),
    ('ALTER TABLE t RENAME a TO "b ""c"', altered(RenameColumn("a", 'b "c'))),
    ("ALTER TABLE t RENAME COLUMN a TO b", altered(RenameColumn("a", "b"))),
    ("ALTER TABLE t ALTER a TYPE BIGINT", altered(RetypeColumn("a", pa.int64()))),
    (
        "ALTER TABLE t ALTER COLUMN a SET DATA TYPE DECIMAL(9, 2)",
        altered(RetypeColumn("a", pa.decimal128(9, 2))),
    ),
    ("ALTER TABLE t ALTER a SET DEFAULT 'x'", altered(SetDefault("a", "'x'"))),
    ("ALTER TABLE t ALTER a DROP DEFAULT", altered(SetDefault("a", None))),
    ("ALTER TABLE t ALTER a SET NOT NULL", altered(SetNullable("a", False))),
    ("ALTER TABLE t ALTER a DROP NOT NULL", altered(SetNullable("a", True))),
    ("ALTER TABLE t ADD PRIMARY KEY (a, b)", altered(SetKey(("a", "b")))),
    (
        "ALTER TABLE t SET PARTITIONED BY (a, YEAR(b))",
        altered(SetPartitioning(("a", "year(b)"))),
    ),
    ("ALTER TABLE t RESET PARTITIONED BY", altered(SetPartitioning(()))),
    ("ALTER TABLE t RENAME TO u", RenameTable(T, "u")),
    ("ALTER TABLE IF EXISTS sales.daily RENAME TO u", RenameTable(SALES, "u", True)),
    ("COMMENT ON TABLE t IS 'it''s'", altered(SetComment("it's"))),
    ("COMMENT ON TABLE t IS $$a 'b'$$", altered(SetComment("a 'b'"))),
    ("COMMENT ON TABLE t IS NULL", altered(SetComment(""))),
    *(
        (sql, Control(verb))
        for verb, texts in {
            "begin": ("BEGIN", "begin;", "BEGIN TRANSACTION", "START TRANSACTION", "/* x */BEGIN"),
            "commit": ("COMMIT", "END", "COMMIT TRANSACTION", "END WORK"),
            "rollback": ("ROLLBACK", "ABORT", "ROLLBACK TRANSACTION", "ROLLBACK -- x"),
        }.items()
        for sql in texts
    ),
    ("USE sales", Use("sales")),
    ('USE lake."a/b"', Use("lake", "a/b")),
    ("SET SCHEMA 'sales'", Use("sales")),
    ("SET SCHEMA = 'lake.sales'", Use("lake", "sales")),
]


@pytest.mark.parametrize(("sql", "expected"), WHOLE, ids=[sql for sql, _ in WHOLE])
def test_what_it_is_read_as(sql: str, expected: Any) -> None:
    assert parse_any(sql) == expected
    assert parameters_of(parse_any(sql)) == ()


INSERTS = [
    (
        "INSERT INTO t VALUES (1, 'a'), ('x', NULL)",
        None,
        "VALUES (CAST(1 AS VARCHAR), 'a'), ('x', NULL)",
    ),
    ('INSERT INTO t AS u (a, "b c") SELECT 1, 2', ("a", "b c"), "SELECT 1, 2"),
    ("INSERT INTO t (SELECT 1)", None, "SELECT 1"),
    ("INSERT INTO t (a) (SELECT 1)", ("a",), "SELECT 1"),
    ("INSERT INTO t FROM s", None, "SELECT * FROM lake.main.s"),
    ("INSERT INTO t TABLE s", None, "SELECT * FROM lake.main.s"),
    ("INSERT INTO t BY POSITION FROM s", None, "SELECT * FROM lake.main.s"),
    (
        "WITH x AS (FROM s) INSERT INTO t FROM x",
        None,
        'WITH "x #1" AS (SELECT * FROM lake.main.s)SELECT * FROM "x #1" AS x',
    ),
    (
        "INSERT INTO t WITH x AS (FROM s) FROM x",
        None,
        'WITH "x #1" AS (SELECT * FROM lake.main.s)SELECT * FROM "x #1" AS x',
    ),
    ("INSERT INTO t SELECT a AS returning FROM s", None, "SELECT a AS returning FROM lake.main.s"),
]


@pytest.mark.parametrize(("sql", "columns", "query"), INSERTS)
def test_inserts(sql: str, columns: tuple[str, ...] | None, query: str) -> None:
    found = inserted(sql)
    assert (found.target, found.columns, found.by_name) == (T, columns, False)
    assert rewritten(found.query).replace('AS "returning"', "AS returning") == query


def test_an_insert_by_name_and_one_of_defaults() -> None:
    assert inserted("INSERT INTO t BY NAME SELECT 1 AS a").by_name
    assert inserted("INSERT INTO t DEFAULT VALUES") == Insert(T, None, False, None)


def test_a_with_before_an_insert_is_known_in_a_query_with_one_of_its_own() -> None:
    sql = "WITH x AS (SELECT 1) INSERT INTO t WITH y AS (SELECT 2) SELECT * FROM x, y"
    assert '"x #1" AS x , "y #2" AS y' in rewritten(inserted(sql).query)


UPDATES = [
    ("UPDATE t SET a = 1", ("a",), ("1",), None),
    ("UPDATE t SET a = b + 1, c = 'x, WHERE' WHERE d", ("a", "c"), ("b + 1", "'x, WHERE'"), "d"),
    ("UPDATE t SET a = b IS DISTINCT FROM c", ("a",), ("b IS DISTINCT FROM c",), None),
    ("UPDATE t SET a = s.from WHERE s.where", ("a",), ("s.from",), "s.where"),
    ("UPDATE t SET a = CASE WHEN b THEN 1 END", ("a",), ("CASE WHEN b THEN 1 END",), None),
    ("UPDATE t SET a = .5, b = 1. WHERE c", ("a", "b"), (".5", "1."), "c"),
    ("UPDATE t SET a = extract(year FROM b)", ("a",), ("extract(year FROM b)",), None),
    ("UPDATE t SET a = [1, 2], b = {'x': 1, 'y': 2}", ("a", "b"), None, None),
    ("UPDATE t SET a = 1, b = 2, WHERE c", ("a", "b"), ("1", "2"), "c"),
    ("UPDATE t SET a = -1 -- end", ("a",), ("-1 -- end",), None),
    ("UPDATE t SET a = /* , b = 2 */ 3", ("a",), ("3",), None),
]


@pytest.mark.parametrize(("sql", "columns", "texts", "where"), UPDATES)
def test_updates(
    sql: str, columns: tuple[str, ...], texts: tuple[str, ...] | None, where: str | None
) -> None:
    found = updated(sql)
    assert (found.target, found.columns) == (T, columns)
    assert found.plain is not None
    assert found.plain[1] == where
    if texts is not None:
        assert tuple(text.strip() for text in found.plain[0]) == texts


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE t AS x SET a = 1",
        "UPDATE t x SET a = 1",
        "UPDATE t SET a = b FROM s",
        "UPDATE t SET a = t.b",
        "UPDATE t SET a = main.t.b",
        "UPDATE t SET a = (SELECT 1 FROM s)",
        "WITH x AS (SELECT 1) UPDATE t SET a = 1",
    ],
)
def test_what_needs_more_than_the_table_is_not_plain(sql: str) -> None:
    assert updated(sql).plain is None


def test_the_rows_of_an_update() -> None:
    found = updated("UPDATE sales.daily AS d SET a = s.b FROM s WHERE d.id = s.id")
    assert found.target == SALES
    assert rewritten(found.rows) == (
        "SELECT d.rowid, s.b FROM lake.sales.daily AS d , lake.main.s WHERE (d.id = s.id)"
    )


def test_narrowed_targets_show_their_row_ids_and_other_tables_do_not() -> None:
    found = updated("UPDATE t SET a = t2.a FROM t AS t2")
    sql = rewrite(found.rows, lambda use: Source(use.table, ("a",)))
    assert sql == (
        "SELECT t.rowid, t2.a FROM (SELECT a, rowid AS rowid FROM lake.main.t) AS t , "
        "(SELECT a FROM lake.main.t) AS t2"
    )


def test_columns_are_null_in_rows_that_are_hidden() -> None:
    found = updated("UPDATE t SET a = 1 FROM s")
    limited = {"t": "b > 0", "s": None}
    sql = rewrite(found.rows, lambda use: Source(use.table, ("a",), limited[use.table.name]))
    assert " ".join(sql.split()) == (
        "SELECT t.rowid, 1 FROM (SELECT CASE WHEN ((b > 0)) THEN (a) ELSE NULL END AS a, "
        "CASE WHEN ((b > 0)) THEN (rowid) ELSE NULL END AS rowid "
        "FROM lake.main.t WHERE (b > 0)) AS t , (SELECT a FROM lake.main.s) AS s"
    )


def test_deletes() -> None:
    assert deleted("DELETE FROM t").every
    assert deleted("TRUNCATE TABLE sales.daily").every
    assert deleted("TRUNCATE t").target == T
    assert deleted("DELETE FROM t WHERE a > 1").plain == "a > 1"
    using = deleted("DELETE FROM t AS x USING s, u WHERE x.a = s.a")
    assert (using.plain, using.every) == (None, False)
    assert rewritten(using.rows) == (
        "SELECT x.rowid FROM lake.main.t AS x , lake.main.s , lake.main.u WHERE (x.a = s.a)"
    )
    assert not deleted("DELETE FROM t USING s").every


def test_tables_from_queries() -> None:
    found = parse_any("CREATE TABLE t AS SELECT 1 AS a WITH NO DATA")
    assert isinstance(found, CreateTable)
    assert (found.columns, found.with_data) == ((), False)
    assert rewritten(found.query) == "SELECT 1 AS a"
    other = parse_any("CREATE TEMP TABLE t (a, b) AS WITH x AS (SELECT 1, 2) FROM x WITH DATA")
    assert isinstance(other, CreateTable)
    assert (other.with_data, other.temporary) == (True, True)
    assert rewritten(other.query).endswith("AS query(a, b)")


def test_queries_are_read_as_before() -> None:
    for sql in ("SELECT 1", "EXPLAIN SELECT 1", "WITH x AS (SELECT 1) FROM x", "(FROM t)"):
        assert isinstance(parse_any(sql), Statement)


def test_names_are_completed_by_the_defaults() -> None:
    found = parse_any("DROP TABLE t", default_catalog="c", default_namespace="n")
    assert found == DropTable(TableUse(TableRef("c", "n", "t"), bare=True))
    made = parse_any("CREATE SCHEMA s", default_catalog="c", default_namespace="n")
    assert made == CreateNamespace(NamespaceRef("c", "s"))


def test_names_of_any_script_and_spaces_of_any_kind() -> None:
    found = updated("UPDATE\u00a0\"日 本\".größe\u2003SET\u3000é🦆 = 'a\u00a0b'")
    assert found.target.table == TableRef("lake", "日 本", "größe")
    assert found.columns == ("é🦆",)
    assert "'a\u00a0b'" in rewritten(found.rows)


PARAMETERS = [
    ("INSERT INTO t VALUES (?, ?)", ("1", "2"), "VALUES ($1, $2)"),
    ("UPDATE t SET a = ?, b = '?' WHERE c = ? -- ?", ("1", "2"), "$1"),
    ("UPDATE t SET a = $b WHERE c = $a", ("a", "b"), "$b"),
    ("DELETE FROM t WHERE a = $2 AND b = $1", ("1", "2"), "$2"),
    ("WITH x AS (SELECT ?) UPDATE t SET a = ?", ("1", "2"), "SELECT $1"),
    ("CREATE TABLE t AS SELECT ?::INT AS a", ("1",), "CAST($1 AS INTEGER)"),
    (f"INSERT INTO t VALUES ({', '.join('?' * 11)})", tuple(map(str, range(1, 12))), "$11)"),
]


@pytest.mark.parametrize(("sql", "names", "part"), PARAMETERS)
def test_parameters(sql: str, names: tuple[str, ...], part: str) -> None:
    found = parse_any(sql)
    assert parameters_of(found) == names
    statement = found.query if isinstance(found, (Insert, CreateTable)) else found.rows  # type: ignore[union-attr]
    assert part in rewritten(statement)


PIECES = """
INSERT INTO t VALUES ( 1 , ) UPDATE SET a = WHERE FROM s DELETE USING MERGE ON WHEN MATCHED THEN
NOT CREATE TABLE AS SELECT WITH x DROP ALTER ADD COLUMN INT DEFAULT NULL ; ? $1 'x' "q" CASE END
. DISTINCT RETURNING -- /* */ ' " TEMP SCHEMA PRIMARY KEY BEGIN USE MATCHED DO NOTHING *
"""


@given(st.lists(st.sampled_from(PIECES.split()), max_size=14).map(" ".join))
def test_any_words_are_read_or_refused_as_ours(text: str) -> None:
    with suppress(PixelflightError):
        parse_any(text)
