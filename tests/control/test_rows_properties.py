"""Pages, changes and deletions over HTTP against plain Python lists."""

from __future__ import annotations

import functools
import json
from typing import Any

import httpx
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fix_client import Client
from tests.fix_filters import SCHEMA, Case, conditions, rows, sent

FEW = settings(
    max_examples=settings().max_examples // 4 or 1,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
ID = pa.field("id", pa.int64(), nullable=False)
WHOLE = pa.schema([ID, *SCHEMA])
ORDERS = st.lists(
    st.tuples(
        st.sampled_from(["n", "f", "d", "b", "z", "day", "or"]),
        st.sampled_from(["asc", "desc"]),
        st.sampled_from(["first", "last"]),
    ),
    max_size=2,
    unique_by=lambda order: order[0],
)


@pytest.fixture(scope="module")
def table(client: Client) -> str:
    key = {"table": "random_rows", "mode": "create", "key": ["id"]}
    client.put(WHOLE.empty_table(), ingest=key)
    return "/api/v1/tables/random_rows/rows"


def fill(api: httpx.Client, url: str, given_rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows as they are kept, numbered."""
    numbered = [{"id": at, **row} for at, row in enumerate(given_rows)]
    body = pa.Table.from_pylist(numbered, WHOLE)
    lines = [{name: sent(value) for name, value in row.items()} for row in numbered]
    text = "\n".join(json.dumps(line) for line in lines) or "{}"
    if not numbered:
        answer = api.delete(url, params={"all": True})
    else:
        answer = api.post(
            url,
            content=text,
            params={"mode": "overwrite"},
            headers={"content-type": "application/x-ndjson"},
        )
    assert answer.is_success, answer.text
    kept: list[dict[str, Any]] = body.to_pylist()
    return kept


def ids(api: httpx.Client, url: str, **query: Any) -> list[int]:
    answer = api.get(url, params={"select": "id", **query})
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["rows"]]


@FEW
@given(rows, ORDERS, conditions, st.integers(1, 4))
def test_pages_are_a_full_scan(
    api: httpx.Client,
    table: str,
    given_rows: list[dict[str, Any]],
    orders: list[tuple[str, str, str]],
    case: Case,
    size: int,
) -> None:
    kept = fill(api, table, given_rows)
    where, holds = case
    expected = [row for row in kept if holds(row) is True]
    expected.sort(key=functools.cmp_to_key(functools.partial(compared, orders)))
    order = [dict(zip(("column", "direction", "nulls"), one, strict=True)) for one in orders]
    query: dict[str, Any] = {"where": json.dumps(where), "order_by": json.dumps(order)}
    query["limit"] = size
    found: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        query["cursor"] = cursor
        answer = api.get(table, params={"select": "id", **query})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["rows"]) <= size
        found += [row["id"] for row in page["rows"]]
        cursor = page["next_cursor"]
    assert found == [row["id"] for row in expected]


def compared(orders: list[tuple[str, str, str]], one: dict[str, Any], other: dict[str, Any]) -> int:
    for name, direction, nulls in orders:
        a, b = one[name], other[name]
        if a == b:
            continue
        if a is None or b is None:
            return -1 if (a is None) == (nulls == "first") else 1
        return (-1 if a < b else 1) * (1 if direction == "asc" else -1)
    return int(one["id"]) - int(other["id"])


@FEW
@given(rows, conditions, st.booleans())
def test_what_a_filter_deletes(
    api: httpx.Client, table: str, given_rows: list[dict[str, Any]], case: Case, soft: bool
) -> None:
    kept = fill(api, table, given_rows)
    where, holds = case
    gone = [row["id"] for row in kept if holds(row) is True]
    answer = api.request("DELETE", table, json={"where": where, "soft": soft})
    assert answer.json()["rows_deleted"] == len(gone), answer.text
    left = [row["id"] for row in kept if row["id"] not in gone]
    assert ids(api, table, order_by="id") == left
    if soft and gone:
        back = api.post(f"{table}/undelete").json()
        assert back["rows_inserted"] == len(gone)
        assert ids(api, table, order_by="id") == [row["id"] for row in kept]


@FEW
@given(rows, conditions, rows)
def test_what_a_filter_changes(
    api: httpx.Client,
    table: str,
    given_rows: list[dict[str, Any]],
    case: Case,
    others: list[dict[str, Any]],
) -> None:
    kept = fill(api, table, given_rows)
    where, holds = case
    new = others[0] if others else dict.fromkeys(SCHEMA.names)
    values = {name: sent(value) for name, value in new.items()}
    values["n"] = {"expr": "coalesce(n, 0) + 1"}
    changed = {row["id"] for row in kept if holds(row) is True}
    answer = api.patch(table, json={"where": where, "set": values})
    assert answer.status_code == 200, answer.text
    assert answer.json()["rows_updated"] == len(changed)
    expected = [
        {**row, **new, "n": (row["n"] or 0) + 1} if row["id"] in changed else row for row in kept
    ]
    accept = {"accept": "application/vnd.apache.arrow.stream"}
    found = api.get(table, params={"order_by": "id"}, headers=accept)
    come = pa.ipc.open_stream(found.content).read_all()
    assert come.to_pylist() == pa.Table.from_pylist(expected, WHOLE).to_pylist()
