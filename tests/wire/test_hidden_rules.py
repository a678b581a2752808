"""Rules of columns that may not be seen are not told, and cannot be used to ask about them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from flight_server.auth import Action, Grant
from flight_server.testing.server import LocalServer
from tests.fix_client import Client, refusal
from tests.wire.test_hidden import limited_to

WRITES = frozenset({Action.READ, Action.INSERT, Action.UPDATE})
ALTERS = frozenset({Action.ALTER})
GRANTS = (
    Grant("clerk", WRITES, "lake", "main", "half", frozenset({"id"})),
    Grant("clerk", frozenset({Action.READ}), "lake", "main", "some", None, "id < 3"),
    *(Grant("clerk", ALTERS, "lake", "main", table) for table in ("half", "some")),
)
COLUMNS = [
    {"name": "id", "type": "int64", "constraints": {"minimum": 0}},
    {"name": "pay", "type": "int64", "default": "10", "constraints": {"maximum": 99}},
]
CHECKS = {"fair": "id < pay", "few": "id < 1000"}


@pytest.fixture
def both(start_server: Callable[..., LocalServer]) -> Iterator[tuple[Client, Client]]:
    """An administrator, and somebody who knows one column of a table and some rows of another."""
    with limited_to(start_server(), GRANTS) as (admin, clerk):
        for table in ("half", "some"):
            admin.action("create_table", table=table, columns=COLUMNS, checks=CHECKS)
        yield admin, clerk


def test_they_are_not_told(both: tuple[Client, Client]) -> None:
    admin, clerk = both
    found = clerk.action("describe_table", table="half")
    assert (found["constraints"], found["checks"]) == (
        {"id": {"minimum": 0}},
        {"few": "(id < 1000)"},
    )
    changes: list[dict[str, Any]] = [
        {"drop_check": {"name": "fair"}},
        {"rename_column": {"name": "pay", "new_name": "salary"}},
        {"set_constraint": {"name": "salary", "constraints": {"maximum": 98}}},
    ]
    admin.action("alter_table", table="half", changes=changes)
    admin.action("alter_table", table="half", changes=[{"set_comment": {"comment": "c"}}])
    history = clerk.action("schema_history", table="half")["history"]
    assert [next(iter(change)) for step in history for change in step["changes"]] == [
        "set_comment",
        "create_table",
    ]
    for word in ("pay", "salary", "fair"):
        assert word not in json.dumps([found["columns"], found["checks"], history])


def test_they_answer_no_questions(both: tuple[Client, Client]) -> None:
    _, clerk = both

    def change(table: str, kind: str, **body: Any) -> Any:
        changes = [{kind: body}]
        return refusal(lambda: clerk.action("alter_table", table=table, changes=changes))

    for kind, body in (
        ("set_check", {"name": "x", "expression": "{} > 50"}),
        ("set_constraint", {"name": "{}", "constraints": {"minimum": 50}}),
    ):
        hidden, missing = (
            change("half", kind, **{k: _named(v, name) for k, v in body.items()})
            for name in ("pay", "gone")
        )
        assert hidden.code == missing.code == "column_not_found"
        assert hidden.message.replace("pay", "gone") == missing.message
    told = change("some", "set_check", name="x", expression="pay > 50")
    assert (told.code, "all of them" in told.message) == ("forbidden", True)
    changes = [{"set_check": {"name": "more", "expression": "id >= 0"}}]
    clerk.action("alter_table", table="half", changes=changes)


def _named(value: Any, name: str) -> Any:
    return value.replace("{}", name) if isinstance(value, str) else value


def test_a_violation_names_no_hidden_column(both: tuple[Client, Client]) -> None:
    _, clerk = both
    found = refusal(lambda: clerk.put(pa.table({"id": [1, 20]}), "half"))
    assert (found.code, found.shape["details"]) == (
        "check_violation",
        {"table": "half", "check": "fair", "row": 2},
    )
    assert "pay" not in found.message
