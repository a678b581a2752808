"""What browsers are told: by CORS about other origins, and by every answer about itself."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from typing import Any, cast

import httpx
import pytest
import trustme

from control_api.browsers import HSTS_SECONDS
from flight_server.errors import InvalidRequest
from flight_server.settings import load
from tests.fix_http import TwoDoors
from tests.fix_tls import roots

ORIGIN = "https://app.example.com"
NAMESPACES = "/api/v1/namespaces"
ASKING = {
    "origin": ORIGIN,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, content-type, idempotency-key",
}


def preflight(doors: TwoDoors, **changed: str) -> httpx.Response:
    with doors.client("") as nobody:
        return nobody.options(NAMESPACES, headers=ASKING | changed)


def test_no_other_origin_may_ask_unless_it_is_named(doors: TwoDoors, api: httpx.Client) -> None:
    refused = preflight(doors)
    assert refused.status_code == 405
    assert "access-control-allow-origin" not in refused.headers
    answer = api.get(NAMESPACES, headers={"origin": ORIGIN})
    assert "access-control-allow-origin" not in answer.headers


def test_an_origin_that_is_named_may_ask(start_doors: Callable[..., TwoDoors]) -> None:
    doors = start_doors(cors_origins=f"{ORIGIN}, http://localhost:3000")
    allowed = preflight(doors)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in allowed.headers
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert method in allowed.headers["access-control-allow-methods"]
    for header in ("authorization", "idempotency-key"):
        assert header in allowed.headers["access-control-allow-headers"].lower()
    assert preflight(doors, origin="https://evil.example.com").status_code == 400

    with doors.client("") as nobody:
        refused = nobody.get(NAMESPACES, headers={"origin": ORIGIN})
    # A page must be able to read why it was refused.
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == ORIGIN
    exposed = refused.headers["access-control-expose-headers"]
    assert {"x-request-id", "retry-after", "ratelimit", "content-encoding"} <= set(
        exposed.split(", ")
    )
    # Pages go on from page to page, and know what they have, where the body does not say it.
    assert {"x-next-cursor", "x-version", "x-cache"} <= set(exposed.split(", "))


def test_a_full_server_refuses_readably(start_doors: Callable[..., TwoDoors]) -> None:
    doors = start_doors(cors_origins="*", http_requests_max=1)
    host = httpx.URL(doors.url)
    waiting = http.client.HTTPConnection(host.host, cast(int, host.port))
    waiting.putrequest("POST", NAMESPACES)
    waiting.putheader("content-length", "2")
    waiting.endheaders()
    with doors.client() as api:
        # Until the one that sends no body has taken the only place.
        while (answer := api.get(NAMESPACES, headers={"origin": ORIGIN})).status_code == 200:
            continue
    waiting.close()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.headers["access-control-allow-origin"] == "*"


def test_cookies_go_to_named_origins_only(start_doors: Callable[..., TwoDoors]) -> None:
    doors = start_doors(cors_origins=(ORIGIN,), cors_credentials=True)
    assert preflight(doors).headers["access-control-allow-credentials"] == "true"
    with pytest.raises(InvalidRequest, match="named one by one"):
        load(environment={}, overrides={"cors_origins": "*", "cors_credentials": True})


@pytest.mark.parametrize("origin", ["app.example.com", "https://app.example.com/", "ftp://a"])
def test_an_origin_must_be_one(origin: str) -> None:
    with pytest.raises(InvalidRequest, match="SCHEME://HOST"):
        load(environment={}, overrides={"cors_origins": origin})


@pytest.mark.parametrize("path", ["/health/live", NAMESPACES, "/nothing"])
def test_every_answer_is_safe_in_a_browser(api: httpx.Client, path: str) -> None:
    headers = api.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert "strict-transport-security" not in headers


def test_what_comes_by_tls_stays_with_it(
    start_doors: Callable[..., TwoDoors], tls: dict[str, Any], authority: trustme.CA
) -> None:
    opened = start_doors(**tls)
    trusting = ssl.create_default_context(cadata=roots(authority).decode())
    with httpx.Client(verify=trusting) as nobody:
        headers = nobody.get(opened.url.replace("http:", "https:") + "/health/live").headers
    assert headers["strict-transport-security"] == f"max-age={HSTS_SECONDS}"
