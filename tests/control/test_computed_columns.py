"""Computed columns over HTTP: what is asked of the engine, and who may ask it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fix_computing import WRONG, ComputingEngine, computing
from tests.fix_http import TwoDoors
from tests.fix_permissions import new_role

PATH = "/api/v1/tables/pixeltable:fleet.orders/computed-columns"
TOTAL = {"name": "total", "expression": "price * quantity"}


@pytest.fixture(scope="module")
def engine(doors: TwoDoors) -> Iterator[ComputingEngine]:
    with computing(doors.services) as mounted:
        yield mounted


def altering(doors: TwoDoors, api: httpx.Client, **seen: Any) -> httpx.Client:
    """Somebody who may alter the table, and read a part of it."""
    table = "pixeltable:fleet.orders"
    grants = [{"actions": ["read"], "table": table, **seen}, {"actions": ["alter"], "table": table}]
    return doors.client(doors.key_of(new_role(api, *grants)))


def test_the_body_that_earlier_users_know(api: httpx.Client, engine: ComputingEngine) -> None:
    known = {"column_type": "expression", "dependencies": ["price", "quantity"]}
    answer = api.post(PATH, json=TOTAL | known | {"cache_results": True})
    assert (answer.status_code, answer.json()) == (201, {"commit": 3, "rows": 120, "errors": 0})
    asked = engine.asked[-1]
    assert (asked.name, asked.expression, asked.stored) == ("total", "price * quantity", True)
    assert list(asked.readable) == ["id", "price", "quantity"]
    udf = {"name": "u", "column_type": "udf", "function": "math.pow", "dependencies": ["price"]}
    assert api.post(PATH, json=udf).status_code == 201
    call = {"call": "math.pow", "arguments": [{"column": "price"}]}
    assert engine.asked[-1].expression == call


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (TOTAL | {"column_type": "window"}, 501, "'expression' and 'udf' are"),
        (TOTAL | {"column_type": "aggregate"}, 501, "'expression' and 'udf' are"),
        (TOTAL | {"column_type": "agregate"}, 400, "'expression' and 'udf' are"),
        ({"name": "total"}, 400, "Give the 'expression'"),
        (TOTAL | {"function": "math.pow"}, 400, "one of them"),
        (TOTAL | {"expresion": "1"}, 400, "Did you mean 'expression'"),
    ],
)
def test_what_is_none_is_refused(
    api: httpx.Client, engine: ComputingEngine, body: Any, status: int, said: str
) -> None:
    answer = api.post(PATH, json=body)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize("depth", [200, 900, 5_000])
def test_trees_that_are_too_deep_are_refused(
    api: httpx.Client, engine: ComputingEngine, depth: int
) -> None:
    tree = '{"list": [' * depth + "1" + "]}" * depth
    for method, path in (("POST", ""), ("PATCH", "/price")):
        body = f'{{"name": "deep", "expression": {tree}}}'
        body = body if method == "POST" else f'{{"expression": {tree}}}'
        headers = {"content-type": "application/json"}
        answer = api.request(method, f"{PATH}{path}", content=body, headers=headers)
        assert answer.status_code == 400, answer.text


def test_nothing_is_computed_of_what_is_hidden(
    doors: TwoDoors, api: httpx.Client, engine: ComputingEngine
) -> None:
    with altering(doors, api, columns=["id", "price"]) as partly:
        assert partly.post(PATH, json=TOTAL).status_code == 201
        assert list(engine.asked[-1].readable) == ["id", "price"]
        hidden = partly.post(f"{PATH}/price/recompute", json={"where": "quantity = 1"})
        assert hidden.json()["error"]["code"] == "column_not_found"
        [seen] = partly.get(PATH).json()["columns"]
        assert (seen["name"], seen["errors"]) == ("price", None)
        assert partly.get(f"{PATH}/price/errors").status_code == 403
        # Of a column that is hidden nothing is told, as of one that is missing.
        for method, path, body in (
            ("PATCH", "", {"rename_to": "mine"}),
            ("DELETE", "", None),
            ("POST", "/recompute", {}),
        ):
            told = []
            for name in ("quantity", "nothing1"):
                answer = partly.request(method, f"{PATH}/{name}{path}", json=body)
                told.append(answer.json()["error"]["message"].replace(name, "…"))
            assert told[0] == told[1]
            assert "has no column '…'" in told[0]


def test_rows_that_are_hidden_are_not_asked_by_expressions(
    doors: TwoDoors, api: httpx.Client, engine: ComputingEngine
) -> None:
    with altering(doors, api, rows="id > 5") as partly:
        # Whether it fails, and in how many rows, would tell what is in them.
        for answer in (
            partly.post(PATH, json=TOTAL | {"expression": "1 / (id - 3)"}),
            partly.patch(f"{PATH}/price", json={"expression": "1 / (id - 3)"}),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
        answer = partly.post(f"{PATH}/price/recompute", json={"where": {"price": {"gt": 1}}})
        assert answer.status_code == 200, answer.text
        assert "id > 5" in (engine.recomputed[-1].where or "")
        assert partly.patch(f"{PATH}/price", json={"rename_to": "cost"}).status_code == 200


def test_whoever_reads_all_is_shown_errors(api: httpx.Client, engine: ComputingEngine) -> None:
    assert [one["errors"] for one in api.get(PATH).json()["columns"]] == [1, 0]
    assert api.get(f"{PATH}/price/errors").json() == {"errors": [WRONG]}
