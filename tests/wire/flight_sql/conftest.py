"""Tests that the matrix names really send what they are named for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.wire.flight_sql.matrix import ACTIONS, COMMANDS


@pytest.fixture(autouse=True)
def shown(request: pytest.FixtureRequest, received: list[tuple[str, str]]) -> Iterator[None]:
    """Each message that the matrix says the test shows must reach the server.

    A test that is run for several messages by name has to send the one of its turn.
    """
    test = f"{request.path.name}::{request.node.originalname}"
    rows = [row.name for row in (*COMMANDS, *ACTIONS) if test in row.tests]
    turn = request.node.name.removeprefix(request.node.originalname).replace("_", "").lower()
    wanted = [name for name in rows if name.lower() in turn] or rows
    yield
    names = {name for _, name in received}
    assert [name for name in wanted if name not in names] == []
