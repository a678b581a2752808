"""The matrix has every message and action of the protocol, and its tests are there and run."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from flight_server.wire.executions import EXECUTE
from flight_server.wire.flight_actions import FLIGHT_ACTIONS
from flight_server.wire.flight_sql.actions import SQL_ACTIONS
from flight_server.wire.flight_sql.commands import INFOS, METADATA, PUTS, SUBSTRAIT
from flight_server.wire.flight_sql.messages import MESSAGES
from tests.unit.wire.flight_sql.driver_protocol import protocol
from tests.wire.flight_sql.matrix import ACTIONS, COMMANDS, DONE, INFO, PUT, REFUSED, Row

EVERY = (*COMMANDS, *ACTIONS)
HERE = Path(__file__).parent
PREFIXES = ("Action", "Command", "DoPut", "Ticket")


def test_every_message_is_in_it() -> None:
    listed = [message for row in EVERY for message in row.messages]
    assert sorted(listed) == sorted(MESSAGES)


def test_messages_are_those_of_the_protocol() -> None:
    """As the ADBC driver has them compiled in: names, and the numbers of their fields."""
    theirs = {
        message.name: {field.name: field.number for field in message.field}
        for outer in protocol().message_type
        for message in (outer, *outer.nested_type)
    }
    ours = {
        name: {field.name: field.number for field in message.DESCRIPTOR.fields}
        for name, message in MESSAGES.items()
    }
    assert {name: theirs[name] for name in ours} == ours
    assert {name for name in theirs if name.startswith(PREFIXES)} <= set(ours)


def test_every_command_is_in_it() -> None:
    assert {row.name for row in COMMANDS} == {*INFOS, *METADATA, *PUTS, SUBSTRAIT}
    for row in COMMANDS:
        if row.state == DONE:
            assert (INFO in row.calls) == (row.name in {*INFOS, *METADATA}), row.name
            assert (PUT in row.calls) == (row.name in PUTS), row.name


def test_every_action_is_in_it() -> None:
    listed = [row.name for row in ACTIONS]
    assert sorted(listed) == sorted([*SQL_ACTIONS, *FLIGHT_ACTIONS, EXECUTE])
    for row in ACTIONS:
        if row.name in SQL_ACTIONS:
            assert SQL_ACTIONS[row.name][1] == row.messages[0]


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row.name)
def test_its_tests_are_there(row: Row) -> None:
    assert row.state in (DONE, REFUSED)
    assert row.tests
    for test in row.tests:
        path, _, name = test.partition("::")
        tree = ast.parse((HERE / path).read_text("utf-8"))
        found = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        marks = {node.name: " ".join(map(ast.unparse, node.decorator_list)) for node in found}
        assert name in marks, test
        # What is expected to fail, or not run, shows nothing.
        assert "xfail" not in marks[name], test
        assert "skip" not in marks[name], test
