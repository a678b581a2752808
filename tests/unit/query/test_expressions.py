"""Filters, values, orders and defaults are checked, and come out as DuckDB writes them."""

import duckdb
import pytest

from flight_server.errors import ErrorCode, Forbidden, InvalidRequest, PixelflightError, Unsupported
from flight_server.query import (
    check_expression,
    check_literal,
    check_order_by,
    check_predicate,
)

COLUMNS = ("id", "Symbol", "price", "tags", "details", "t")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ID = 1", "(id = 1)"),
        ("symbol LIKE 'A%' AND price > 1.5", "((Symbol ~~ 'A%') AND (price > 1.5))"),
        ("details.size > 1", "(struct_extract(details, 'size') > 1)"),
        ("t.price.x = 1", "(struct_extract(struct_extract(t, 'price'), 'x') = 1)"),
        ("_row_id < 10 -- all", "(rowid < 10)"),
        ("_ROW_ID IN (1, 2)", "(rowid IN (1, 2))"),
        ("id IS TRUE OR true", "(CAST(id AS BOOLEAN) IS NOT DISTINCT FROM CAST('t' AS BOOLEAN))"),
        ("len(list_filter(tags, x -> x = symbol)) > 0", "list_filter(tags, (x -> (x = Symbol)))"),
        ("list_filter(tags, lambda price: price.a > id) = []", "struct_extract(price, 'a') > id"),
        ("price > 1e0", "CAST('1.0' AS DOUBLE)"),
        ("(details -> '$.a') = '1'", "(details -> '$.a')"),
        ("current_date > '2020-01-01'", "current_date"),
        ("price BETWEEN 1 AND 2 /* a comment */", "(price BETWEEN 1 AND 2)"),
    ],
)
def test_predicates_come_out_canonical(text: str, expected: str) -> None:
    assert expected in check_predicate(text, COLUMNS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  -- nothing",
        "id = 1; DROP TABLE x",
        "id = 1) OR (1 = 1",
        "(id = 1",
        "id = 1 GROUP BY id",
        "id = 1 ORDER BY id",
        "id = 1 LIMIT 1",
        "id = 1 UNION SELECT 1",
        "id = 1 QUALIFY true",
        "id = 1 USING SAMPLE 1",
        "/* open",
        "id = 'x",
    ],
)
def test_a_predicate_is_one_expression_alone(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_predicate(text, COLUMNS)
    assert refused.value.code is ErrorCode.INVALID_SQL
    assert "SELECT 1 WHERE" not in refused.value.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id IN (SELECT 1)", "A subquery"),
        ("EXISTS (FROM x)", "A subquery"),
        ("id = $1", "A parameter"),
        ("id = ?", "A parameter"),
        ("* = 1", "A star"),
        ("COLUMNS(*) > 1", "A star"),
        ("row_number() OVER () = 1", "A window function"),
        ("#1 = 1", "A column's position"),
        ("count(DISTINCT id) > 1", "another kind"),
        ("lower(DISTINCT symbol) = 'a'", "An aggregate"),
        ("lower(symbol) FILTER (WHERE true) = 'a'", "An aggregate"),
        ("sum(id) > 1", "another kind"),
        ("read_text('/etc/passwd') = 'x'", "reads or lists files"),
        ("getenv('PATH') = 'x'", "environment"),
        ("DEFAULT", "does not support"),
    ],
)
def test_predicates_hold_only_scalar_expressions(text: str, says: str) -> None:
    with pytest.raises(PixelflightError, match=says):
        check_predicate(text, COLUMNS)


@pytest.mark.parametrize(
    "text",
    [
        "secret = 1",
        "trades.secret = 1",
        "rowid = 1",
        "filename = 'x'",
        "list_filter(secret -> '$.a', x -> true) = []",
        "list_filter(tags, x -> x = secret) = []",
        "list_transform(tags, x -> list_transform(tags, y -> z)) = []",
        "_row_id.x = 1",
    ],
)
def test_unknown_columns_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_predicate(text, COLUMNS)
    assert refused.value.code is ErrorCode.COLUMN_NOT_FOUND


def test_ids_of_rows_are_not_taken_for_a_column_that_has_the_name_of_duckdb_s() -> None:
    """A table that others made may have one: `_row_id = 5` would find other rows than meant."""
    assert check_predicate("rowid = 5", ["rowid"]) == "(rowid = 5)"
    with pytest.raises(Unsupported, match="'RowID'"):
        check_predicate("_row_id = 5", ["id", "RowID"])


def test_an_unknown_column_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidRequest, match="Did you mean 'Symbol'"):
        check_predicate("symbl = 'A'", COLUMNS)


def test_a_field_is_never_read_as_a_column_of_a_table() -> None:
    """A filter on the struct `t` must not reach the hidden column `t.secret` of a table t."""
    predicate = check_predicate("t.secret = 1", ["t"])
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS secret, {'secret': 2} AS t")
        assert connection.execute(f"SELECT 1 FROM t WHERE {predicate}").fetchall() == []


def test_orders() -> None:
    order = check_order_by("ID desc NULLS LAST, lower(symbol), details.size ASC", COLUMNS)
    assert order == "id DESC NULLS LAST, lower(Symbol), struct_extract(details, 'size') ASC"


@pytest.mark.parametrize(
    "text", ["1", "id LIMIT 1", "id; SELECT 1", "ALL", "", "secret", "sum(id)", "(SELECT 1)", "$1"]
)
def test_orders_that_are_none(text: str) -> None:
    with pytest.raises(PixelflightError):
        check_order_by(text, COLUMNS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "1"),
        ("-1.5", "-1.5"),
        ("'it''s'", "'it''s'"),
        ("NULL", "NULL"),
        ("true", "CAST('t' AS BOOLEAN)"),
        ("DATE '2024-01-01'", "CAST('2024-01-01' AS DATE)"),
        ("CAST('[1]' AS INTEGER[])", "CAST('[1]' AS INTEGER[])"),
        ("now()", "now()"),
        ("current_timestamp", "current_timestamp"),
        ("current_date", "current_date"),
        ("uuid()", "uuid()"),
    ],
)
def test_defaults(text: str, expected: str) -> None:
    assert check_literal(text) == expected


@pytest.mark.parametrize(
    "text", ["id", "1 + 1", "random()", "(SELECT 1)", "getenv('A')", "$1", "1; SELECT 1", "-id", ""]
)
def test_defaults_that_are_no_constants(text: str) -> None:
    with pytest.raises(PixelflightError):
        check_literal(text)


def test_expressions_are_values() -> None:
    assert check_expression("price * 2", COLUMNS) == "(price * 2)"
    with pytest.raises(Forbidden):
        check_expression("(SELECT max(price) FROM trades)", COLUMNS)


def test_errors_say_where_in_the_text() -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_predicate("id = = 1", COLUMNS)
    assert refused.value.details["position"] == 5
    assert "'id = = 1'" in refused.value.message
