"""Statements that write, as data: what DuckDB makes of them is what this server should.

Each runs on the tables of `SETUP`, alone or in a sequence. All are of one outcome: no row is
matched twice with different values, and no order is left open.
"""

from __future__ import annotations

SETUP = """
CREATE TABLE t (id INTEGER, a VARCHAR DEFAULT 'none', b DOUBLE, c INTEGER DEFAULT 7)
INSERT INTO t VALUES (1, 'x', 1.5, 1), (2, 'y', 2.5, 2), (3, 'z', NULL, 3), (4, NULL, 4.5, NULL)
CREATE TABLE s (id INTEGER, v VARCHAR, n INTEGER)
INSERT INTO s VALUES (1, 's1', 10), (1, 's1b', 11), (2, 's2', 20), (5, 's5', 50)
CREATE TABLE "Mixed Case" ("select" INTEGER, "a""b" VARCHAR, "x.y" INTEGER)
INSERT INTO "Mixed Case" VALUES (1, 'q', 2)
"""

INSERTS = r"""
INSERT INTO t (id) SELECT id FROM s
INSERT INTO t (c, id) SELECT n, id FROM s WHERE n > 10
INSERT INTO t BY NAME SELECT n AS c, id FROM s
INSERT INTO t DEFAULT VALUES
INSERT INTO t (id, c) VALUES (9, DEFAULT), (8, DEFAULT)
INSERT INTO t (c, id) VALUES (DEFAULT, 9), (8, 10)
INSERT INTO t VALUES (9, DEFAULT, 3, DEFAULT)
INSERT INTO t VALUES (9, DEFAULT, 3, DEFAULT), (DEFAULT, 'k', 1.5, 2)
INSERT INTO t VALUES (DEFAULT, DEFAULT, DEFAULT, DEFAULT)
INSERT INTO t (id, a) VALUES (DEFAULT, 'k')
WITH q AS (SELECT id, n FROM s) INSERT INTO t (id, c) SELECT * FROM q
WITH q AS (FROM s) INSERT INTO t (id, c) WITH r AS (SELECT id, n FROM q) SELECT * FROM r
INSERT INTO t (id, c) WITH q AS (SELECT id, n FROM s) SELECT * FROM q ORDER BY 2 DESC LIMIT 2
WITH t AS (SELECT 100 AS id) INSERT INTO t (id) SELECT id FROM t
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r WHERE n<5) INSERT INTO t (id) FROM r
INSERT INTO t (id, a) SELECT id, 'x' FROM t
INSERT INTO t FROM t
INSERT INTO s SELECT id, a, c FROM t UNION ALL SELECT * FROM s
INSERT INTO s (id, v) SELECT id, a FROM t WHERE id = ANY(SELECT id FROM s)
INSERT INTO s SELECT row_number() OVER (ORDER BY id DESC), a, c FROM t
INSERT INTO s VALUES (1, 'abc', 2::BIGINT), (2.6, 5, '12')
INSERT INTO t (id, b) SELECT * FROM (VALUES (1, 2), (3, 4)) v(p, q)
INSERT INTO t (id, b) SELECT unnest([1,2]), unnest([3,4])
INSERT INTO t (id) SELECT COLUMNS('id') FROM s
INSERT INTO t SELECT * REPLACE (id + 100 AS id) FROM t
INSERT INTO t (id, a) SELECT DISTINCT ON (id) id, v FROM s ORDER BY id, n DESC
INSERT INTO t (id) VALUES ((SELECT max(id) FROM s)), ((SELECT min(id) FROM s))
INSERT INTO t (id, a) VALUES (20, 'semi;colon -- no')  ; -- trailing
INSERT INTO t (id, a) VALUES (20, $$dollar ' quoted$$)
INSERT INTO t (id, a) VALUES (20, E'esc\n')
/* c */ INSERT /* d */ INTO t (id) VALUES (1 /* f */)
INSERT INTO "Mixed Case" ("x.y", "select") VALUES (1, 2)
INSERT INTO "Mixed Case" BY NAME SELECT 'DEFAULT' AS "a""b"
"""

UPDATES = r"""
UPDATE t SET c = s.n FROM s WHERE t.id = s.id AND s.n <> 11
UPDATE t SET c = n FROM s WHERE t.id = s.id AND s.id = 2
UPDATE t AS q SET c = q.c + 1, b = q.c WHERE q.id < 3
UPDATE t SET id = c, c = id
UPDATE t SET c = (SELECT max(n) FROM s WHERE s.id = t.id)
UPDATE t SET a = NULL WHERE a IN (SELECT a FROM t WHERE id = 1)
UPDATE t SET c = DEFAULT
UPDATE t SET b = DEFAULT, c = c + 1 WHERE id < 3
UPDATE t SET a = DEFAULT, c = n FROM s WHERE s.id = t.id AND s.id = 2
UPDATE t SET (a, c) = ('k', c + 1) WHERE id > 1
UPDATE t SET (a, c) = ('k', c + 1), b = 0
UPDATE s SET (id) = (3)
UPDATE s SET (id, n) = (n, id) WHERE n > 10
UPDATE t SET c = 5 WHERE t.id = 1
WITH q AS (SELECT 2 AS id) UPDATE t SET c = 99 FROM q WHERE q.id = t.id
WITH q AS (SELECT 2 AS id) UPDATE t SET c = 99 WHERE id IN (SELECT id FROM q)
UPDATE t SET c = s.n FROM s JOIN t t2 ON s.id = t2.id WHERE t.id = t2.id AND s.n <> 11
UPDATE t SET c = c + (SELECT count(*) FROM t)
UPDATE "Mixed Case" SET "a""b" = 'it''s; -- x', "x.y" = "select" + 1
UPDATE "mixed case" SET "SELECT" = 5 WHERE "X.Y" = 2
UPDATE t SET a = 'WHERE' || ' FROM' WHERE a = 'x'
UPDATE t SET c = CASE WHEN id = 1 THEN 10 ELSE c END WHERE id BETWEEN 1 AND 2
UPDATE t SET c = extract('year' FROM DATE '2020-01-01') WHERE id = 1
UPDATE t SET a = substring('hello' FROM 2 FOR 2) WHERE id = 1
UPDATE t SET c = 3 WHERE id IS DISTINCT FROM 1
UPDATE t SET b = (SELECT 1 FROM s LIMIT 1) WHERE id = 1
UPDATE t SET a = [1,2,3]::VARCHAR, b = {'k': 5}.k WHERE id = 1
UPDATE t SET c = list_sum([x + 1 FOR x IN [1,2] IF x > 1]) WHERE id = 1
UPDATE s SET v = 5.5, n = '8', id = 2.5
UPDATE s SET n = s.n + z.n FROM (SELECT DISTINCT id AS n FROM t) z WHERE s.id = z.n
UPDATE s SET v = 'p' FROM s AS s2 WHERE s2.n = s.n + 1
"""

DELETES = r"""
DELETE FROM t USING s WHERE t.id = s.id
DELETE FROM t USING s, (SELECT 10 AS n) z WHERE t.id = s.id AND s.n = z.n
DELETE FROM t WHERE EXISTS (SELECT 1 FROM s WHERE s.id = t.id)
DELETE FROM t AS q WHERE q.id = 1
WITH q AS (SELECT 1 AS id) DELETE FROM t WHERE id IN (FROM q)
DELETE FROM t WHERE id NOT IN (SELECT id FROM s)
DELETE FROM t WHERE a = NULL
DELETE FROM t
TRUNCATE t
TRUNCATE TABLE t
DELETE FROM "Mixed Case" WHERE "Mixed Case"."select" = 1
DELETE FROM s WHERE n > (SELECT avg(n) FROM s)
DELETE FROM s USING s AS s2 WHERE s2.n = s.n + 1
"""

DEFINITIONS = r"""
CREATE TABLE u AS SELECT * FROM t ORDER BY id DESC
CREATE TABLE u AS (SELECT 1 AS a UNION SELECT 2)
CREATE TABLE u (x, y) AS SELECT id, a FROM t
CREATE TABLE u AS FROM t WITH NO DATA
CREATE TABLE u (x INTEGER, y DECIMAL(10,2) DEFAULT 1.5, w INTEGER[], q STRUCT(a INTEGER))
CREATE TABLE IF NOT EXISTS t (z INTEGER)
CREATE TABLE IF NOT EXISTS t AS SELECT 1 AS k
CREATE OR REPLACE TABLE t (z INTEGER)
CREATE OR REPLACE TABLE t AS SELECT * FROM t WHERE id > 2
CREATE OR REPLACE TABLE t AS SELECT t.id, v FROM t JOIN s ON t.id = s.id
CREATE OR REPLACE TABLE u AS FROM t
DROP TABLE IF EXISTS nope
DROP TABLE t
ALTER TABLE t ADD COLUMN d INTEGER DEFAULT 5
ALTER TABLE t ADD COLUMN IF NOT EXISTS a INTEGER
ALTER TABLE t DROP COLUMN a
ALTER TABLE t DROP COLUMN IF EXISTS nope
ALTER TABLE t RENAME COLUMN a TO aa
ALTER TABLE t ALTER COLUMN c SET DATA TYPE BIGINT
ALTER TABLE t RENAME TO u
ALTER TABLE IF EXISTS nope RENAME TO u
"""

MERGES = r"""
MERGE INTO t AS d
  USING (VALUES (1,'k'),(77,'m')) AS e(i, w)
  ON d.id = e.i
  WHEN MATCHED THEN UPDATE SET a = e.w
  WHEN NOT MATCHED THEN INSERT (id, a, b, c) VALUES (e.i, e.w, 0, 0)
MERGE INTO t USING s
  ON t.id = s.id
  WHEN MATCHED THEN DO NOTHING
  WHEN NOT MATCHED THEN INSERT (id, a) VALUES (s.id, s.v)
MERGE INTO t USING s USING (id)
  WHEN MATCHED AND n = 20 THEN UPDATE SET c = n
MERGE INTO t
  USING (SELECT 1 AS id, 'new' AS a, 3.0::DOUBLE AS b, 4 AS c UNION ALL SELECT 50, 'n2', 1, 2) s
  ON t.id = s.id
  WHEN MATCHED THEN UPDATE
  WHEN NOT MATCHED THEN INSERT
MERGE INTO t
  USING (SELECT 50 AS id, 'n2' AS a) s
  ON t.id = s.id
  WHEN MATCHED THEN UPDATE BY NAME
  WHEN NOT MATCHED THEN INSERT BY NAME
WITH q AS (SELECT id, n FROM s WHERE n >= 20) MERGE INTO t
  USING q
  ON t.id = q.id
  WHEN MATCHED THEN UPDATE SET c = q.n
  WHEN NOT MATCHED THEN INSERT (id, c) VALUES (q.id, q.n)
MERGE INTO t USING s
  ON t.id = s.id AND s.n <> 11
  WHEN MATCHED THEN DELETE
MERGE INTO t USING s
  ON t.id = s.id
  WHEN NOT MATCHED BY SOURCE THEN DELETE
MERGE INTO t USING s
  ON t.id = s.id
  WHEN NOT MATCHED BY SOURCE THEN UPDATE SET c = -1
"""

# Statements one after another, each a commit of its own outside of BEGIN and COMMIT.
SEQUENCES = (
    (
        "BEGIN",
        "ALTER TABLE t ADD COLUMN d INTEGER DEFAULT 5",
        "ALTER TABLE t RENAME COLUMN d TO e",
        "INSERT INTO t (id) VALUES (10)",
        "ALTER TABLE t DROP COLUMN b",
        "COMMIT",
        "UPDATE t SET e = id WHERE id > 2",
    ),
    ("BEGIN", "DELETE FROM t", "DROP TABLE s", "ROLLBACK"),
    (
        "BEGIN",
        "CREATE TABLE u AS FROM t",
        "ALTER TABLE u RENAME TO v",
        "UPDATE v SET c = 0",
        "COMMIT",
    ),
    (
        "BEGIN",
        "INSERT INTO t (id) VALUES (10)",
        "CREATE OR REPLACE TABLE t AS SELECT id, c FROM t WHERE id > 2",
        "UPDATE t SET c = c + id",
        "COMMIT",
    ),
    (
        "CREATE TEMP TABLE u AS SELECT id + 10 AS id FROM t",
        "INSERT INTO u SELECT id FROM t",
        "UPDATE u SET id = 0 WHERE id IN (SELECT id FROM s)",
        "DELETE FROM u WHERE id = 14",
        "CREATE OR REPLACE TEMP TABLE u AS SELECT id + 1 AS id FROM u",
        "INSERT INTO t (id) SELECT id FROM u",
    ),
    (
        "CREATE TEMP TABLE u (id INTEGER, c INTEGER DEFAULT 7)",
        "INSERT INTO u VALUES (1, DEFAULT), (2, 3)",
        "UPDATE u SET (id, c) = (c, id) WHERE id = 2",
        "UPDATE u SET c = DEFAULT WHERE id = 3",
        "TRUNCATE u",
        "INSERT INTO u DEFAULT VALUES",
    ),
    ("DELETE FROM t WHERE id > 1", "INSERT INTO t FROM t", "UPDATE t SET c = c + 1"),
)


def statements() -> list[str]:
    """All the single statements."""
    groups = (INSERTS, UPDATES, DELETES, DEFINITIONS, MERGES)
    return [line for group in groups for line in lines(group)]


def lines(text: str) -> list[str]:
    """The statements of a text, each a line of it and those below that are indented."""
    return text.replace("\n  ", " ").strip().split("\n")
