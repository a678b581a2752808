"""Errors that every route gives alike, each asked for of each route that tells of it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from control_api import requests
from control_api.app import PREFIX
from control_api.routes.auth_tokens import BODY_BYTES_MAX
from tests.fix_http import TwoDoors
from tests.fix_routes import Route, Vault, furnished, routes_of

Start = Callable[..., TwoDoors]
JSON = {"content-type": "application/json"}
SEEK = {"column": "x", "text": "near"}
# What logins need before they look at a credential.
LOGINS = {
    "take_token": {"username": "nobody", "password": "wrong"},
    "refresh_token": {"refresh_token": "wrong"},
}


def wrong(
    status: int, code: str, routes: list[Route], answers: Callable[[Route], httpx.Response]
) -> list[str]:
    """Routes that tell of the status and do not give it."""
    asked = [route for route in routes if status in route.statuses]
    assert asked
    found = []
    for route in asked:
        answer = answers(route)
        body = answer.json() if answer.content else {}
        if (answer.status_code, body.get("error", {}).get("code")) != (status, code):
            found.append(f"{route.method} {route.path}: {answer.status_code} {answer.text}")
    return found


def test_without_a_credential(doors: TwoDoors, routes: list[Route]) -> None:
    with doors.client("") as nobody:

        def ask(route: Route) -> httpx.Response:
            return route.ask(nobody, json=LOGINS.get(route.operation))

        assert wrong(401, "unauthenticated", routes, ask) == []


def test_with_one_wrong_credential_too_many(start_doors: Start) -> None:
    doors = start_doors(limit_auth="1/hour")
    with doors.client("pf_wrong") as guesser:
        assert guesser.get(f"{PREFIX}/auth/me").status_code == 401

        def ask(route: Route) -> httpx.Response:
            return route.ask(guesser, json=LOGINS.get(route.operation))

        assert wrong(429, "limit_exceeded", routes_of(guesser), ask) == []


def test_with_a_request_too_many(start_doors: Start) -> None:
    once = {f"limit_{kind}": "1/hour" for kind in ("read", "write", "admin", "batch")}
    doors = start_doors(**once)
    with doors.client() as api:
        limited = [one for one in routes_of(api) if "x-timeout-seconds" in one.headers]
        for route in limited:
            route.ask(api)
        assert wrong(429, "limit_exceeded", limited, lambda route: route.ask(api)) == []


def test_in_no_time_at_all(api: httpx.Client, routes: list[Route]) -> None:
    def ask(route: Route) -> httpx.Response:
        return route.ask(api, headers={"x-timeout-seconds": "1e-9"})

    assert wrong(504, "timed_out", routes, ask) == []


def test_with_a_header_that_is_none(api: httpx.Client, routes: list[Route]) -> None:
    def ask(route: Route) -> httpx.Response:
        if "x-timeout-seconds" in route.headers:
            return route.ask(api, headers={"x-timeout-seconds": "soon"})
        return route.ask(api, content=b"[", headers=JSON)

    assert wrong(400, "invalid_request", routes, ask) == []


def test_with_a_body_that_is_too_large(start_doors: Start) -> None:
    doors = start_doors(json_bytes_max=1024)
    with doors.client() as api:
        furnished(api)
        with_body = [one for one in routes_of(api) if "requestBody" in one.described]

        def ask(route: Route) -> httpx.Response:
            return route.ask(api, content=b"[" + b" " * 2_000, headers=JSON)

        assert wrong(413, "too_large", with_body, ask) == []


@pytest.mark.parametrize("operation", ["take_token", "refresh_token", "revoke_token"])
def test_who_has_shown_nothing_is_not_listened_to_for_long(
    doors: TwoDoors, routes: list[Route], operation: str
) -> None:
    [route] = [one for one in routes if one.operation == operation]
    form = {"content-type": "application/x-www-form-urlencoded"}
    with doors.client("") as nobody:
        answer = route.ask(nobody, content=b"x" * (BODY_BYTES_MAX + 1), headers=form)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_with_a_body_in_an_unknown_encoding(api: httpx.Client, routes: list[Route]) -> None:
    def ask(route: Route) -> httpx.Response:
        return route.ask(api, content=b"{}", headers={"content-encoding": "br", **JSON})

    assert wrong(415, "unsupported_media_type", routes, ask) == []


def test_for_an_answer_in_an_unknown_form(
    api: httpx.Client, routes: list[Route], vault: Vault
) -> None:
    def ask(route: Route) -> httpx.Response:
        # Only what is right otherwise is asked for its form.
        body = {"sql": "select 1"} if route.operation == "query" else SEEK
        query = {"diff": {"from": 1}, "changes": {"after": 1}}.get(route.operation)
        return route.ask(
            api,
            headers={"accept": "image/png"},
            params=query,
            json=body if route.method == "POST" else None,
        )

    assert wrong(406, "not_acceptable", routes, ask) == []


def test_under_a_key_that_another_request_had(api: httpx.Client, routes: list[Route]) -> None:
    key = {"idempotency-key": "first come"}
    made = api.post(f"{PREFIX}/namespaces", json={"namespace": "first"}, headers=key)
    assert made.status_code == 201
    taking = [one for one in routes if "idempotency-key" in one.headers]
    assert wrong(409, "token_conflict", taking, lambda route: route.ask(api, headers=key)) == []


def test_of_a_server_that_is_full(start_doors: Start) -> None:
    doors = start_doors(http_requests_max=1)
    with doors.client() as api:
        routes = routes_of(api)
        with running(doors):
            assert wrong(503, "unavailable", routes, lambda route: route.ask(api)) == []
            assert api.get("/health/live").status_code == 200


def test_of_a_server_with_a_bug(
    api: httpx.Client, routes: list[Route], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(requests._Client, "watch", fail)
        assert wrong(500, "internal", routes, lambda route: route.ask(api)) == []
    assert api.get(f"{PREFIX}/auth/me").status_code == 200


@contextmanager
def running(doors: TwoDoors) -> Iterator[None]:
    """A request that runs while the block does: its body does not come."""
    address = httpx.URL(doors.url)
    with socket.create_connection((address.host, address.port)) as held:
        head = (
            f"POST {PREFIX}/query HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {doors.key}\r\n"
            "content-type: application/json\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n"
        )
        held.sendall(head.encode())
        # The server asks for the body once the request has its place.
        assert held.recv(100).startswith(b"HTTP/1.1 100 ")
        yield
