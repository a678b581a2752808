"""Health over HTTP, request ids, and the error shape, through a real socket."""

from __future__ import annotations

import json
import logging
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from control_api.app import create_app
from flight_server.cli.serve import _http, bound
from flight_server.operations import readiness
from flight_server.testing.server import LocalServer
from tests.fix_http import TwoDoors


@dataclass(frozen=True)
class Answer:
    status: int
    request_id: str
    body: dict[str, Any]


@contextmanager
def served(app: FastAPI, server: LocalServer) -> Iterator[str]:
    listening: socket.socket
    with bound("127.0.0.1:0", "http") as listening, _http(app, server.services.settings, listening):
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def ask(url: str, method: str = "GET", **headers: str) -> Answer:
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return Answer(answer.status, answer.headers["x-request-id"], json.load(answer))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers["x-request-id"], json.load(error))


@pytest.fixture
def app(server: LocalServer) -> FastAPI:
    return create_app(server.services)


def test_a_server_that_serves_is_live_and_ready(app: FastAPI, server: LocalServer) -> None:
    with served(app, server) as url:
        assert ask(f"{url}/health/live").body == {"status": "live"}
        ready = ask(f"{url}/health/ready").body
    assert ready["status"] == "ready"
    assert set(ready["checks"]) == {"serving", "metastore", "disk", "engine_lake"}
    assert all(check == {"status": "ok"} for check in ready["checks"].values())


def test_health_can_be_asked_by_head(api: httpx.Client) -> None:
    for path in ("/health/live", "/health/ready"):
        answer = api.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.fixture
def stopping(doors: TwoDoors) -> Iterator[TwoDoors]:
    """Doors of a server that is stopping, and goes on after the test.

    Not by monkeypatch: its way back from what stands in no `__dict__` is to remove it.
    """
    doors.app.state.serving = False
    yield doors
    doors.app.state.serving = True


def test_a_server_that_is_stopping_is_live_but_not_ready(stopping: TwoDoors) -> None:
    doors = stopping
    assert ask(f"{doors.url}/health/live").status == 200
    answer = ask(f"{doors.url}/health/ready")
    assert (answer.status, answer.body["error"]["code"]) == (503, "unavailable")
    assert answer.body["error"]["retryable"] is True
    assert "starting or stopping" in answer.body["error"]["message"]
    assert answer.body["checks"]["serving"]["status"] == "failed"
    assert answer.body["checks"]["metastore"] == {"status": "ok"}


def reasons(app: FastAPI, server: LocalServer) -> dict[str, str]:
    """What stands in the way of being ready."""
    with served(app, server) as url:
        answer = ask(f"{url}/health/ready")
    assert answer.status == 503
    assert answer.body["status"] == "not_ready"
    found = answer.body["checks"].items()
    return {name: check["reason"] for name, check in found if check["status"] == "failed"}


def test_an_engine_that_fails_is_told_of_without_its_words(
    server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def namespaces(self) -> list[str]:
            raise RuntimeError("secret")

    engines: Any = {"lake": Broken()}
    app = create_app(replace(server.services, engines=engines))
    found = reasons(app, server)
    assert found == {"engine_lake": "It does not answer; the log says why."}
    assert "secret" in caplog.text


def test_a_metastore_that_is_gone_is_told_of(server: LocalServer) -> None:
    class Gone:
        def read(self) -> Any:
            raise RuntimeError("gone")

    metastore: Any = Gone()
    found = reasons(create_app(replace(server.services, metastore=metastore)), server)
    assert set(found) == {"metastore"}


def test_what_hangs_is_told_of_and_not_asked_again_meanwhile(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = [], threading.Event()

    class Hanging:
        def namespaces(self) -> list[str]:
            asked.append(1)
            answer.wait()
            return []

    monkeypatch.setattr(readiness, "CHECK_SECONDS", 0.1)
    engines: Any = {"lake": Hanging()}
    checks = readiness.Checks(replace(server.services, engines=engines))
    for _ in range(3):
        assert "has not answered" in checks.readiness().checks["engine_lake"]
    assert len(asked) == 1
    answer.set()
    while not checks.readiness().is_ready:
        continue


def test_a_full_or_missing_disk_is_told_of(server: LocalServer) -> None:
    settings = server.services.settings
    full = settings.model_copy(update={"disk_free_bytes_min": 2**62})
    found = reasons(create_app(replace(server.services, settings=full)), server)
    assert "(disk_free_bytes_min)" in found["disk"]
    missing = settings.model_copy(update={"data": settings.data / "missing"})
    found = reasons(create_app(replace(server.services, settings=missing)), server)
    assert str(settings.data) not in found["disk"]


def test_a_request_id_is_echoed_or_made(app: FastAPI, server: LocalServer) -> None:
    with served(app, server) as url:
        assert ask(f"{url}/health/live", **{"x-request-id": "mine"}).request_id == "mine"
        assert len(ask(f"{url}/health/live").request_id) == 32
        too_long = ask(f"{url}/health/live", **{"x-request-id": "x" * 1000}).request_id
    assert len(too_long) == 32


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nothing", 404, "not_found"), ("POST", "/health/live", 405, "invalid_request")],
)
def test_what_is_not_there_has_the_error_shape(
    app: FastAPI, server: LocalServer, method: str, path: str, status: int, code: str
) -> None:
    with served(app, server) as url:
        answer = ask(f"{url}{path}", method)
    error = answer.body["error"]
    assert (answer.status, error["code"], error["request_id"]) == (status, code, answer.request_id)
    assert set(error) == {"code", "message", "retryable", "request_id", "details"}
    assert path in error["message"]


def test_a_bug_is_logged_and_told_by_its_id_alone(
    server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(server.services)

    def broken() -> None:
        raise RuntimeError("secret")

    app.add_api_route("/broken", broken)
    with served(app, server) as url, caplog.at_level(logging.ERROR):
        answer = ask(f"{url}/broken")
    assert answer.status == 500
    assert answer.body["error"]["message"] == f"internal error (id={answer.request_id})"
    assert answer.request_id in caplog.text
