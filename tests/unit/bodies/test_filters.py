"""Filters as objects hold for the rows that they say, whatever stands in them."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server.bodies.filters import filter_sql, order_sql
from flight_server.bodies.names import names_in, order_in, where_in
from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.query import check_order_by, check_predicate
from tests.fix_filters import SCHEMA, Case, conditions, rows


@given(conditions, rows)
def test_a_filter_holds_for_the_rows_it_says(case: Case, given_rows: list[dict[str, Any]]) -> None:
    where, holds = case
    table = pa.Table.from_pylist(given_rows, SCHEMA)
    expected = [at for at, row in enumerate(table.to_pylist()) if holds(row) is True]
    assert matching(table, where) == expected


def matching(table: pa.Table, where: dict[str, Any]) -> list[int]:
    text = filter_sql(where, SCHEMA)
    assert text is not None
    checked = check_predicate(text, SCHEMA.names)
    numbered = table.append_column("place", pa.array(range(table.num_rows), pa.int64()))
    with duckdb.connect() as connection:
        connection.register("given", numbered)
        found = connection.execute(f"SELECT place FROM given WHERE {checked} ORDER BY place")
        return [place for (place,) in found.fetchall()]


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_text_becomes_sql(name: str, value: str) -> None:
    try:
        text = filter_sql({'t "x"': value, name: value}, SCHEMA)
    except InvalidRequest:
        return
    table = pa.Table.from_pylist([{'t "x"': value}, {'t "x"': value + "!"}, {}], SCHEMA)
    assert text is not None
    assert 1 not in matching(table, {'t "x"': value})
    assert check_predicate(text, SCHEMA.names)


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ({"nope": 1}, "no column"),
        ({"n": "x"}, "is not a number"),
        ({"n": True}, "true is not a number"),
        ({"b": 1}, "1 is not true or false"),
        ({'t "x"': 1}, "1 is not text"),
        ({"z": "2020-01-01"}, "names no zone"),
        ({"day": "soon"}, "is not a date32"),
        ({"raw": "%"}, "is not base64"),
        ({"n": {"like": "x"}}, "has no parts of text"),
        ({"n": {"gt": None}}, "is_null"),
        ({"n": {"between": [1]}}, "least and the largest"),
        ({"n": {"in": 1}}, "takes a list"),
        ({"n": {"is_null": 1}}, "true or false"),
        ({"n": {"gte ": 1}}, "Did you mean 'gte'"),
        ({"and": {"n": 1}}, "a list of objects"),
        ({"not": [1]}, "an object"),
        ({"and": [1]}, "A filter is an object"),
        ({"n": {"eq": {"x": 1}}}, "is not a number"),
    ],
)
def test_what_is_wrong_is_told(where: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        filter_sql(where, SCHEMA)
    assert told in caught.value.message


def test_filters_do_not_nest_without_end() -> None:
    where: dict[str, Any] = {"n": 1}
    for _ in range(60):
        where = {"not": where}
    with pytest.raises(InvalidRequest, match="nest"):
        filter_sql(where, SCHEMA)


def test_a_column_that_is_called_or() -> None:
    assert filter_sql({"or": 1}, SCHEMA) == '"or" = 1'
    assert filter_sql({"or": [{"n": 1}]}, SCHEMA) == '"n" = 1'


def test_orders() -> None:
    given_order: list[Any] = [
        {"column": "N", "direction": "DESC"},
        {"column": 't "x"', "nulls": "first"},
        "f",
    ]
    text = order_sql(given_order, SCHEMA)
    assert text == '"n" DESC NULLS LAST, "t ""x""" ASC NULLS FIRST, "f" ASC NULLS LAST'
    assert check_order_by(text, SCHEMA.names)
    assert order_sql("n desc", SCHEMA) == "n desc"
    assert order_sql([], SCHEMA) is None
    wrong: list[Any] = [{"column": "nope"}, {}, 1, {"column": "n", "direction": "up"}]
    for one in wrong:
        with pytest.raises(InvalidRequest):
            order_sql([one], SCHEMA)
    with pytest.raises(InvalidRequest, match="Did you mean 'direction'"):
        order_sql([{"column": "n", "directoin": "desc"}], SCHEMA)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, None),
        ("a", ("a",)),
        ("a, b", ("a", "b")),
        ('"a,b",c', ("a,b", "c")),
        ('"a""b"', ('a"b',)),
        ('["a","b,c"]', ("a", "b,c")),
    ],
)
def test_names_in_urls(text: str | None, names: tuple[str, ...] | None) -> None:
    assert names_in(text, "select") == names


@pytest.mark.parametrize("text", ["[1]", "[", '"a', '"a"b'])
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        names_in(text, "select")
    assert caught.value.code is ErrorCode.INVALID_REQUEST


def test_json_in_urls_is_told_from_sql() -> None:
    assert where_in('{"a": 1}') == {"a": 1}
    assert where_in("{'a': 1} = s") == "{'a': 1} = s"
    assert where_in("a = 1") == "a = 1"
    assert order_in('[{"column": "a"}]') == [{"column": "a"}]
    assert order_in("[1, 2][1]") == "[1, 2][1]"
