"""What reaches the servers of this process: the calls, and the messages of Flight SQL in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flight_server.errors import PixelflightError
from flight_server.wire.flight_sql.messages import name_of, unpacked
from flight_server.wire.server import FlightServer

# The calls that carry a message, by what they are to the server.
CALLS = {
    "get_flight_info": "GetFlightInfo",
    "get_schema": "GetSchema",
    "do_get": "DoGet",
    "do_put": "DoPut",
    "do_action": "DoAction",
}


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Each call that came while the test ran, with its message or action; "" where it has none."""
    found: list[tuple[str, str]] = []
    for method, call in CALLS.items():
        recorded = _recorded(getattr(FlightServer, method), call, found)
        monkeypatch.setattr(FlightServer, method, recorded)
    return found


def _recorded(
    answer: Callable[..., Any], call: str, found: list[tuple[str, str]]
) -> Callable[..., Any]:
    def recorded(server: FlightServer, context: Any, sent: Any, *rest: Any) -> Any:
        found.append((call, _name(sent)))
        return answer(server, context, sent, *rest)

    return recorded


def _name(sent: Any) -> str:
    """The name of an action, or of the message in a descriptor or a ticket."""
    if hasattr(sent, "type") and hasattr(sent, "body"):
        return str(sent.type)
    content = sent.ticket if hasattr(sent, "ticket") else sent.command
    try:
        message = unpacked(content or b"")
    except PixelflightError:
        # What it is no message of is for the server to say.
        return ""
    return "" if message is None else name_of(message)
