"""What statements say of the types of their parameters."""

from __future__ import annotations

import pyarrow as pa
import pytest

from flight_server.query import parameter_hints, parse_any
from flight_server.query.parameter_hints import Hint


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT ?, upper(?)", {}),
        ("SELECT * FROM t WHERE a = ? AND ? < s.b", {"1": "a", "2": "b"}),
        ("SELECT * FROM t WHERE a BETWEEN ? AND ?", {"1": "a", "2": "a"}),
        ("SELECT * FROM t WHERE a NOT IN (?, 7, ?)", {"1": "a", "2": "a"}),
        ("SELECT * FROM t WHERE a LIKE $p", {"p": "a"}),
        ("SELECT ?::DATE, CAST($2 AS DECIMAL(9, 2))", {"1": pa.date32(), "2": pa.decimal128(9, 2)}),
        ("SELECT * FROM t WHERE ?::DATE > $2", {"1": pa.date32(), "2": pa.date32()}),
        ("SELECT * FROM t LIMIT ? OFFSET ?", {"1": pa.int64(), "2": pa.int64()}),
        (
            "SELECT * FROM (SELECT a + ? FROM t) WHERE EXISTS (FROM u WHERE b = ?)",
            {"1": "a", "2": "b"},
        ),
        ("INSERT INTO t VALUES (?, ?), (?, 1)", {"1": "x", "2": "y", "3": "x"}),
        ("INSERT INTO t (y, x) SELECT ?, ?", {"1": "y", "2": "x"}),
        ("UPDATE t SET x = ?, y = y + ? WHERE z = ?", {"1": "x", "2": "y", "3": "z"}),
        ("DELETE FROM t WHERE z = ?", {"1": "z"}),
        (
            "MERGE INTO t USING (SELECT ?::INT AS k) AS s ON t.k = s.k "
            "WHEN MATCHED AND v > ? THEN DELETE",
            {"1": pa.int32(), "2": "v"},
        ),
        ("CREATE TABLE u AS SELECT * FROM t WHERE a = ?", {"1": "a"}),
    ],
)
def test_hints(sql: str, expected: dict[str, Hint]) -> None:
    assert parameter_hints(parse_any(sql), ("x", "y")) == expected
