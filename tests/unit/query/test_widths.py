"""How many columns a SELECT gives."""

from __future__ import annotations

import pytest

from flight_server.query import parse, width_of


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", 1),
        ("SELECT 1, (SELECT max(a) FROM t), count(*) FROM t", 3),
        ("VALUES (1, 2), (3, 4)", 2),
        ("SELECT 1, 2 UNION ALL SELECT * FROM t", 2),
        ("WITH w AS (SELECT * FROM t) SELECT a, b FROM w ORDER BY a LIMIT 1", 2),
        ("SELECT (FROM t LIMIT 1), 2", 2),
        ("SELECT *", None),
        ("FROM t", None),
        ("SELECT a, t.* FROM t", None),
        ("SELECT COLUMNS('a.*') + 1 FROM t", None),
        ("SELECT * EXCLUDE (col0) FROM (VALUES (1, 2))", None),
        ("SELECT unnest({'a': 1, 'b': 2})", None),
        ("FROM (VALUES (1, 2))", None),
    ],
)
def test_widths(sql: str, expected: int | None) -> None:
    assert width_of(parse(sql)) == expected
