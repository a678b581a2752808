"""What surrounds every request: places, and clients that leave."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI

from control_api import requests
from control_api.requests import Requests
from flight_server.settings import Settings
from tests.fix_http import TwoDoors


def requests_of(app: FastAPI) -> Requests:
    """The layer, in the stack of those that surround an application."""
    layer: Any = app.middleware_stack
    while not isinstance(layer, Requests):
        layer = vars(layer).get("app") or vars(layer)["_app"]
    return layer


@pytest.fixture
def full(doors: TwoDoors, api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> TwoDoors:
    """Doors at which no place is left."""
    api.get("/health/live")
    monkeypatch.setattr(requests_of(doors.app), "_running_max", 0)
    return doors


def test_a_full_server_refuses_at_once_and_says_when_to_come_again(full: TwoDoors) -> None:
    with full.client() as client:
        began = time.monotonic()
        refused = client.get("/api/v1/namespaces")
        assert time.monotonic() - began < 5
        assert client.get("/health/live").status_code == 200, "balancers are always answered"
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
    assert refused.json()["error"]["retryable"] is True
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["request_id"] == refused.headers["x-request-id"]


def test_a_connection_that_asks_nothing_is_closed_after_its_time(
    start_doors: Callable[..., TwoDoors],
) -> None:
    url = urlsplit(start_doors(http_idle_seconds=1).url)
    with socket.create_connection((url.hostname, url.port), timeout=4) as connection:
        for _ in range(2):
            connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: test\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        assert connection.recv(1) == b""
    # The proxies of the large clouds keep theirs for 60: a request may not meet a closed one.
    assert Settings().http_idle_seconds > 60


def test_places_are_given_back(doors: TwoDoors, api: httpx.Client) -> None:
    for path in ("/api/v1/namespaces", "/api/v1/nothing", "/api/v1/namespaces?catalog=none"):
        api.get(path)
    assert vars(requests_of(doors.app))["_running"] == 0


class Conversation:
    """ASGI's two ends as a server has them, by hand."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages = list(messages)
        self.left = asyncio.Event()
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> Any:
        if self.messages:
            return self.messages.pop(0)
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)


BODY = {"type": "http.request", "body": b"", "more_body": False}


@pytest.mark.parametrize("reads_body", [False, True])
def test_a_client_that_leaves_is_noticed_while_the_request_runs(reads_body: bool) -> None:
    seen: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if reads_body:
            assert (await receive())["type"] == "http.request"
        client = scope["state"]["client"]
        seen.append(client.is_gone())
        talk.left.set()
        async with asyncio.timeout(5):
            while not client.is_gone():
                await asyncio.sleep(0)
        seen.append(client.is_gone())

    talk = Conversation(BODY)
    headers = [(b"content-length", b"0")] if reads_body else []
    scope = {"type": "http", "path": "/", "headers": headers, "state": {"request_id": "r-1"}}
    asyncio.run(Requests(app, 1)(scope, talk.receive, talk.send))
    assert seen == [False, True]


def test_a_stream_takes_no_place_once_its_answer_has_begun() -> None:
    running: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        running.append(vars(layer)["_running"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        running.append(vars(layer)["_running"])
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    layer = Requests(app, 1)
    talk = Conversation(BODY)
    asyncio.run(
        layer(
            {"type": "http", "path": "/", "headers": [], "state": {"request_id": "r-1"}},
            talk.receive,
            talk.send,
        )
    )
    running.append(vars(layer)["_running"])
    assert running == [1, 0, 0]


def test_an_error_after_the_answer_began_cuts_the_connection() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("a bug")

    talk = Conversation(BODY)
    with pytest.raises(ValueError, match="a bug"):
        asyncio.run(
            Requests(app, 1)(
                {"type": "http", "path": "/", "headers": [], "state": {"request_id": "r-1"}},
                talk.receive,
                talk.send,
            )
        )
    assert [message["type"] for message in talk.sent] == ["http.response.start"]


@pytest.mark.parametrize("is_answered", [False, True])
def test_others_wait_for_their_turn_until_an_answer_begins_or_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, is_answered: bool
) -> None:
    monkeypatch.setattr(requests, "WORKED_AT_MAX", 1)
    monkeypatch.setattr(requests, "SHORT_WORK_SECONDS", 60.0 if is_answered else 0.05)
    begun: list[str] = []
    go_on = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        begun.append(scope["path"])
        if scope["path"] == "/first":
            if is_answered:
                await go_on.wait()
                await send({"type": "http.response.start", "status": 200, "headers": []})
            await asyncio.Event().wait()

    async def ask_two() -> None:
        layer = Requests(app, 2)
        asked = [asyncio.create_task(ask(layer, path)) for path in ("/first", "/second")]
        await asyncio.sleep(0.01)
        assert begun == ["/first"]
        go_on.set()
        await asyncio.wait_for(asked[1], 5)
        assert begun == ["/first", "/second"]
        asked[0].cancel()
        await asyncio.wait(asked)
        assert (vars(layer)["_running"], vars(layer)["_turns"].locked()) == (0, False)

    asyncio.run(ask_two())


async def ask(layer: Requests, path: str) -> None:
    """One request to it."""
    talk = Conversation(BODY)
    scope = {"type": "http", "path": path, "headers": [], "state": {"request_id": "r-1"}}
    await layer(scope, talk.receive, talk.send)
