"""What each statement that writes and is refused says."""

import pytest

from flight_server.errors import ErrorCode, PixelflightError, Unsupported
from flight_server.query import parse_any

REFUSED = [
    ("INSERT OR REPLACE INTO t VALUES (1)", "mode upsert"),
    ("INSERT OR IGNORE INTO t VALUES (1)", "mode upsert"),
    ("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "MERGE INTO"),
    ("INSERT INTO t SELECT * FROM a JOIN b ON a.x = b.x ON CONFLICT DO NOTHING", "MERGE INTO"),
    ("INSERT INTO t VALUES (1) RETURNING a", "RETURNING"),
    ("INSERT INTO t VALUES (1, DEFAULT) UNION VALUES (1, 2)", "left out get their defaults"),
    ("MERGE INTO t USING s USING (a) WHEN MATCHED THEN UPDATE SET a = DEFAULT", "DEFAULT"),
    ("UPDATE t SET (a, b) = (SELECT 1, 2)", "SET a = …, b = …"),
    ("UPDATE t SET (a, b) = ROW(1, 2)", "SET a = …, b = …"),
    ("UPDATE t SET (a, b) = (1, 2) + 1", "+ 1"),
    ("UPDATE t SET a = 1 RETURNING *", "RETURNING"),
    ("UPDATE t SET a = row_number() OVER ()", "window function"),
    ("UPDATE t SET a = unnest([1])", "UNNEST"),
    ("DELETE FROM t RETURNING *", "RETURNING"),
    ("CREATE TABLE t (a INT UNIQUE)", "UNIQUE"),
    ("CREATE TABLE t (a INT, UNIQUE (a))", "UNIQUE"),
    ("ALTER TABLE t ADD CHECK (a > 1)", "ADD CONSTRAINT name"),
    ("ALTER TABLE t ADD CONSTRAINT x CHECK (a > 1); DROP TABLE t", "; DROP"),
    ("ALTER TABLE t ADD CONSTRAINT x FOREIGN KEY (a) REFERENCES s (a)", "FOREIGN"),
    ("CREATE TABLE t (a INT REFERENCES s (a))", "REFERENCES"),
    ("CREATE TABLE t (a INT, FOREIGN KEY (a) REFERENCES s (a))", "FOREIGN"),
    ("CREATE TABLE t (a INT GENERATED ALWAYS AS (1))", "GENERATED"),
    ("CREATE TABLE t (a INT AS (1))", "AS"),
    ("CREATE TABLE t (a VARCHAR COLLATE NOCASE)", "COLLATE"),
    ("CREATE TEMP VIEW v AS SELECT 1", "not temporary"),
    ("CREATE OR REPLACE MACRO m(x) AS x", "MACRO"),
    ("CREATE FUNCTION m(x) AS x", "FUNCTION"),
    ("CREATE TYPE m AS ENUM ('a')", "TYPE"),
    ("CREATE INDEX i ON t (a)", "INDEX"),
    ("CREATE UNIQUE INDEX i ON t (a)", "INDEX"),
    ("CREATE SEQUENCE s", "SEQUENCE"),
    ("CREATE SECRET (TYPE s3)", "SECRET"),
    ("CREATE OR REPLACE SCHEMA s", "SCHEMA"),
    ("DROP MACRO v", "MACRO"),
    ("ALTER TABLE t ALTER a TYPE INT USING a + 1", "USING"),
    ("ALTER TABLE t ADD COLUMN s.a INT", "struct"),
    ("ALTER TABLE t ADD COLUMN a INT NOT NULL; DROP TABLE t", "; DROP"),
    (
        "ALTER TABLE t DROP a; ALTER TABLE t DROP b; UPDATE t SET c = 1; "
        "ALTER TABLE t DROP d; DROP TABLE t",
        "; ALTER",
    ),
    ("ALTER TABLE t ADD COLUMN a INT UNIQUE", "UNIQUE"),
    ("ALTER TABLE t ADD COLUMN a INT PRIMARY KEY", "afterwards"),
    ("SAVEPOINT s", "Savepoints"),
    ("RELEASE SAVEPOINT s", "Savepoints"),
    ("ROLLBACK TO SAVEPOINT s", "Savepoints"),
    ("BEGIN TRANSACTION READ ONLY", "READ ONLY"),
]


@pytest.mark.parametrize(("sql", "says"), REFUSED, ids=[sql for sql, _ in REFUSED])
def test_what_is_not_supported_is_named(sql: str, says: str) -> None:
    with pytest.raises(Unsupported) as refused:
        parse_any(sql)
    assert says in refused.value.message


WRONG = [
    ("UPDATE t SET a = 1, A = 2", ErrorCode.INVALID_SQL, "twice"),
    ("INSERT INTO t (a, a) VALUES (1, 2)", ErrorCode.INVALID_SQL, "twice"),
    ("CREATE TABLE t (a INT, A INT)", ErrorCode.INVALID_SQL, "exists"),
    ("CREATE TABLE t (a INT, PRIMARY KEY (b))", ErrorCode.COLUMN_NOT_FOUND, "'b'"),
    ("CREATE TABLE t (a INT PRIMARY KEY, PRIMARY KEY (a))", ErrorCode.INVALID_SQL, "one PRIMARY"),
    ("CREATE TABLE t (a INT DEFAULT b)", ErrorCode.INVALID_SQL, "no constant"),
    ("CREATE TABLE t (a INT CHECK (b > 1))", ErrorCode.COLUMN_NOT_FOUND, "'b'"),
    ("CREATE TABLE t (a INT CHECK (a > random()))", ErrorCode.INVALID_SQL, "random"),
    (
        "CREATE TABLE t (a INT CHECK (a < ascii(current_date)))",
        ErrorCode.INVALID_SQL,
        "current_date",
    ),
    ("CREATE TABLE t (a INT CHECK (_row_id > 1))", ErrorCode.INVALID_SQL, "_row_id"),
    ("CREATE TABLE t (a INT CHECK (a > (SELECT 1)))", ErrorCode.INVALID_SQL, "subqueries"),
    (
        "CREATE TABLE t (a INT, CONSTRAINT x CHECK (a > 1), CONSTRAINT x CHECK (a > 2))",
        ErrorCode.INVALID_SQL,
        "'x'",
    ),
    ("COMMENT ON SCHEMA t IS 'x'", ErrorCode.INVALID_SQL, "schemas"),
    ("COMMENT ON COLUMN a IS 'x'", ErrorCode.INVALID_SQL, "specify a table"),
    ("CREATE TABLE t (a nonsense)", ErrorCode.UNSUPPORTED_TYPE, "nonsense"),
    ("CREATE TEMP TABLE sales.t (a INT)", ErrorCode.INVALID_NAME, "temporary"),
    ("UPDATE t SET rowid = 1", ErrorCode.COLUMN_NOT_FOUND, "rowid"),
    ("INSERT INTO t (_row_id) VALUES (1)", ErrorCode.COLUMN_NOT_FOUND, "_row_id"),
    ("DROP TABLE a.b.c.d", ErrorCode.INVALID_SQL, "parse"),
    ("WITH t AS (SELECT 1) DELETE FROM t", ErrorCode.INVALID_SQL, "another name"),
    ("ALTER TABLE t ADD c INT DEFAULT random(); DROP TABLE t", ErrorCode.INVALID_SQL, "at a time"),
    ("INSERT INTO t VALUES (1); DROP TABLE t", ErrorCode.INVALID_SQL, "one at a time"),
    ("INSERT INTO t VALUES ($2, ?)", ErrorCode.INVALID_SQL, "mixed"),
    ("UPDATE t SET a = 1, WHERE", ErrorCode.INVALID_SQL, "parse"),
    ("ALTER TABLE t ALTER a SET DEFAULT $1", ErrorCode.INVALID_SQL, "no constant"),
    ("VACUUM", ErrorCode.FORBIDDEN, "VACUUM statements are not allowed. Send a query, or INSERT"),
    ("SHOW TABLES", ErrorCode.FORBIDDEN, "adbc_get_objects"),
]


@pytest.mark.parametrize(("sql", "code", "says"), WRONG, ids=[sql for sql, *_ in WRONG])
def test_what_is_wrong_is_named(sql: str, code: ErrorCode, says: str) -> None:
    with pytest.raises(PixelflightError) as refused:
        parse_any(sql)
    assert (refused.value.code, says in refused.value.message) == (code, True)


def test_a_syntax_error_says_where() -> None:
    with pytest.raises(PixelflightError) as refused:
        parse_any("UPDATE t SET a == 1")
    assert refused.value.details == {"position": 15}
    assert "^" in refused.value.message
