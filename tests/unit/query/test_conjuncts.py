"""What of a statement's WHERE is known of one table of another catalog."""

from __future__ import annotations

import pytest

from flight_server.query import parse, with_values

FOUND: list[tuple[str, list[list[str]]]] = [
    ("FROM m.s.t WHERE a = 1", [["(a = 1)"]]),
    ("FROM m.s.t WHERE a = 1 AND (2 < b AND c IN ('x', 'y'))", [["(a = 1)", "(2 < b)", "c IN"]]),
    ("FROM m.s.t WHERE a BETWEEN -1 AND 99999999999", [["a BETWEEN -1 AND 99999999999"]]),
    ("FROM m.s.t WHERE a = 1 OR b IS NOT NULL", [["((a = 1) OR (b IS NOT NULL))"]]),
    ("SELECT x.a + 1 FROM m.s.t AS x WHERE x.a <> 'q'", [["(a != 'q')"]]),
    ("SELECT 1 FROM m.s.t WHERE m.s.t.a = 1 AND s.t.b = 2 AND t.c = 3", [["a", "b", "c"]]),
    ('SELECT 1 FROM m.s.t WHERE "a b" = 1', [['("a b" = 1)']]),
    ("SELECT 1 FROM m.s.t x, m.s.t y WHERE x.a = 1 AND y.a = 2", [["(a = 1)"], ["(a = 2)"]]),
    ("SELECT 1 FROM m.s.t x JOIN l y ON x.a = y.a WHERE x.a = 1 AND y.a = 2", [["(a = 1)"], []]),
    ("SELECT 1 FROM m.s.t x LEFT JOIN l y USING (a) WHERE x.a IS NULL", [["(a IS NULL)"], []]),
    ("SELECT 1 FROM m.s.t x SEMI JOIN l y USING (a) WHERE x.a = 1", [["(a = 1)"], []]),
    ("SELECT (SELECT max(b) FROM m.s.t WHERE a = 1)", [["(a = 1)"]]),
    ("WITH c AS (FROM m.s.t WHERE a = 1) FROM c WHERE a = 2", [["(a = 1)"]]),
    ("FROM m.s.t WHERE a = 1 UNION ALL FROM m.s.t WHERE a = 2", [["(a = 1)"], ["(a = 2)"]]),
    ("FROM m.s.t WHERE a = ? AND b IN (?, 'x')", [["(a = $1)", "(b IN ($2, 'x'))"]]),
    ("FROM m.s.t AT (VERSION => 1) WHERE a = 1", [["(a = 1)"]]),
]


@pytest.mark.parametrize(("sql", "expected"), FOUND, ids=[sql for sql, _ in FOUND])
def test_what_is_known(sql: str, expected: list[list[str]]) -> None:
    uses = parse(sql).tables
    assert [len(use.conjuncts) for use in uses] == [len(texts) for texts in expected]
    for use, texts in zip(uses, expected, strict=True):
        for conjunct, text in zip(use.conjuncts, texts, strict=True):
            assert text in conjunct.sql


@pytest.mark.parametrize(
    "sql",
    [
        "FROM l WHERE a = 1",
        "FROM m.s.t WHERE a = 1.5",
        "FROM m.s.t WHERE a = NULL",
        "FROM m.s.t WHERE a = DATE '2020-01-01'",
        "FROM m.s.t WHERE a < 'x'",
        "FROM m.s.t WHERE a IN (1, 'x')",
        "FROM m.s.t WHERE a LIKE 'x%'",
        "FROM m.s.t WHERE a = b",
        "FROM m.s.t WHERE a + 1 = 2",
        "FROM m.s.t WHERE abs(a) = 2",
        "FROM m.s.t WHERE a < 'x' OR a < $1",
        "FROM m.s.t WHERE a",
        "FROM m.s.t WHERE NOT (a = 1 AND b = 2)",
        "FROM m.s.t WHERE a IS DISTINCT FROM 1",
        "FROM m.s.t WHERE current_date = 1",
        "FROM m.s.t AS x (b, a) WHERE a = 1",
        "FROM m.s.t TABLESAMPLE 1 ROWS WHERE a = 1",
        "FROM m.s.t WHERE a = 1 USING SAMPLE 1 ROWS",
        "FROM (FROM m.s.t) AS x WHERE x.a = 1",
        "SELECT 1 FROM m.s.t, l WHERE a = 1",
        "SELECT 1 FROM m.s.t, l AS t WHERE t.a = 1",
        "SELECT 1 FROM m.s.t x, m.s.t y WHERE x.a = 1 OR y.a = 2",
        "SELECT 1 FROM l x LEFT JOIN m.s.t y USING (a) WHERE y.a = 1",
        "SELECT 1 FROM m.s.t x FULL JOIN l y USING (a) WHERE x.a = 1",
        "SELECT 1 FROM l x ASOF JOIN m.s.t y ON x.a >= y.a WHERE y.a = 1",
        "SELECT 1 FROM l x POSITIONAL JOIN m.s.t y WHERE y.a = 1",
        "SELECT 1 FROM m.s.t x JOIN l y ON x.a = 1",
        "SELECT a FROM m.s.t GROUP BY a HAVING a = 1",
        "SELECT (SELECT 1 FROM l WHERE t.a = 1) FROM m.s.t",
    ],
)
def test_what_is_not_known(sql: str) -> None:
    assert all(use.conjuncts == () for use in parse(sql).tables)


def test_parameters_become_literals() -> None:
    condition = "((a = $i) OR (b IN ($name, 'x')))"
    values: dict[str, int | str] = {"i": -(2**63) + 1, "name": "it's"}
    text = "((a = -9223372036854775807) OR (b IN ('it''s', 'x')))"
    assert with_values(condition, values) == text


LIMITS = [
    ("SELECT a + 1 FROM m.s.t LIMIT 5", 5),
    ("SELECT a + 1 FROM m.s.t LIMIT 5 OFFSET 2", 7),
    ("SELECT a + 1 FROM m.s.t WHERE a = 1 AND b = 'x' LIMIT 5", 5),
    ("SELECT a + 1 FROM m.s.t WHERE a = 1 AND b + 1 = 2 LIMIT 5", None),
    ("SELECT a + 1 FROM m.s.t", None),
    ("SELECT a + 1 FROM m.s.t OFFSET 2", None),
    ("SELECT a + 1 FROM m.s.t LIMIT 5%", None),
    ("SELECT a + 1 FROM m.s.t LIMIT $1", None),
    ("SELECT a + 1 FROM m.s.t ORDER BY a LIMIT 5", None),
    ("SELECT DISTINCT a + 1 FROM m.s.t LIMIT 5", None),
    ("SELECT sum(a) FROM m.s.t LIMIT 5", None),
    ("SELECT a, count(*) FROM m.s.t GROUP BY a LIMIT 5", None),
    ("SELECT unnest(a) FROM m.s.t LIMIT 5", None),
    ("SELECT max(a) OVER () FROM m.s.t LIMIT 5", None),
    ("SELECT a FROM m.s.t QUALIFY row_number() OVER () = 2 LIMIT 5", None),
    ("SELECT a FROM m.s.t TABLESAMPLE 1 ROWS LIMIT 5", None),
    ("SELECT x.a FROM m.s.t x, m.s.t y LIMIT 5", None),
    ("SELECT x.a FROM m.s.t x, l LIMIT 5", None),
    ("SELECT a FROM (FROM m.s.t) LIMIT 5", None),
    ("SELECT a FROM m.s.t WHERE a IN (FROM l) LIMIT 5", None),
    ("SELECT a FROM m.s.t UNION ALL SELECT a FROM m.s.t LIMIT 5", None),
    ("SELECT (SELECT max(a) FROM m.s.t) LIMIT 5", None),
    ("WITH c AS (FROM m.s.t) FROM c LIMIT 5", None),
]


@pytest.mark.parametrize(("sql", "limit"), LIMITS, ids=[sql for sql, _ in LIMITS])
def test_how_many_rows_are_enough(sql: str, limit: int | None) -> None:
    assert {use.limit for use in parse(sql).tables if use.table.catalog == "m"} == {limit}
