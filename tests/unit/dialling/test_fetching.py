"""What a fetch dials, follows, sends and reads, against servers of this machine."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest
import trustme

from flight_server.dialling import Dialling
from flight_server.dialling.fetching import FetchLimits, fetch
from flight_server.errors import (
    ErrorCode,
    Forbidden,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PixelflightError,
    TimedOut,
    Unavailable,
)
from tests.fix_dialled import LocalResolver, LocalServer

LIMITS = FetchLimits(bytes_max=100_000, seconds_max=20)
Servers = Callable[..., LocalServer]


@pytest.fixture
def server(local_servers: Servers) -> LocalServer:
    """At 127.0.0.2, which the tests allow; 127.0.0.1 they do not."""
    return local_servers("127.0.0.2")


def allowing(**names: list[str] | list[list[str]]) -> Dialling:
    return Dialling(["127.0.0.2/32", "127.0.0.3/32"], LocalResolver(**names))


def body(url: str, dialling: Dialling, limits: FetchLimits = LIMITS, **more: object) -> bytes:
    with fetch(url, dialling, limits, **more) as fetched:  # type: ignore[arg-type]
        return b"".join(fetched.chunks)


def test_a_url_is_read(server: LocalServer) -> None:
    server.says("/a?b=c", b"x" * 50_000, Content_Type="text/csv")
    url = f"http://data.example:{server.port}/a?b=c"
    dialling = allowing(**{"data.example": ["127.0.0.2"]})
    with fetch(url, dialling, LIMITS, headers={"X-Key": "k"}) as fetched:
        assert b"".join(fetched.chunks) == b"x" * 50_000
    assert (fetched.url, fetched.status) == (url, 200)
    assert fetched.headers["content-type"] == "text/csv"
    ((_, sent),) = server.asked
    assert sent["host"] == f"data.example:{server.port}"
    assert sent["x-key"] == "k"
    assert sent["accept-encoding"] == "identity"


def test_an_address_that_may_not_be_dialled_is_not(local_servers: Servers) -> None:
    server = local_servers("127.0.0.1")
    server.says("/", b"secret")
    for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "127.1", "0x7f.1"):
        with pytest.raises(Forbidden) as caught:
            body(f"http://{host}:{server.port}/", Dialling(["127.0.0.2/32"]))
        assert caught.value.code is ErrorCode.ADDRESS_REFUSED
    assert server.asked == []


def test_the_address_that_was_checked_is_the_one_dialled(server: LocalServer) -> None:
    """A name that resolves to something else the next time has gained nothing."""
    server.says("/", b"checked")
    dialling = allowing(changing=[["127.0.0.2"], ["127.0.0.1"]])
    assert body(f"http://changing:{server.port}/", dialling) == b"checked"
    with pytest.raises(Forbidden):
        body(f"http://changing:{server.port}/", dialling)


def test_the_next_address_is_tried_where_one_does_not_answer(server: LocalServer) -> None:
    server.says("/", b"second")
    dialling = allowing(two=["127.0.0.1", "127.0.0.3", "127.0.0.2"])
    assert body(f"http://two:{server.port}/", dialling) == b"second"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server: LocalServer, status: int) -> None:
    server.redirects("/old", "/new", status)
    server.says("/new", b"moved")
    dialling = allowing(a=["127.0.0.2"])
    with fetch(f"http://a:{server.port}/old", dialling, LIMITS) as fetched:
        assert b"".join(fetched.chunks) == b"moved"
    assert fetched.url.endswith("/new")


@pytest.mark.parametrize(
    "location",
    ["http://127.0.0.1:{port}/", "http://inside:{port}/", "//0x7f000001:{port}/", "http://[::1]/"],
)
def test_a_redirect_is_checked_like_the_first(
    server: LocalServer, local_servers: Servers, location: str
) -> None:
    inside = local_servers("127.0.0.1")
    inside.says("/", b"secret")
    server.redirects("/", location.format(port=inside.port))
    names = {
        "a": ["127.0.0.2"],
        "inside": ["127.0.0.1"],
        "127.0.0.1": ["127.0.0.1"],
        "0x7f000001": ["127.0.0.1"],
        "::1": ["::1"],
    }
    with pytest.raises(Forbidden):
        body(f"http://a:{server.port}/", allowing(**names))
    assert inside.asked == []


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://a/", "http://u:p@a/", "data:,x"])
def test_a_redirect_to_another_scheme_is_refused(server: LocalServer, location: str) -> None:
    server.redirects("/", location)
    with pytest.raises(InvalidRequest):
        body(f"http://a:{server.port}/", allowing(a=["127.0.0.2"]))


def test_redirects_end(server: LocalServer) -> None:
    server.redirects("/", "/")
    with pytest.raises(InvalidRequest, match="more than 5 times"):
        body(f"http://a:{server.port}/", allowing(a=["127.0.0.2"]))
    assert len(server.asked) == 6


def test_credentials_do_not_follow_to_another_server(
    server: LocalServer, local_servers: Servers
) -> None:
    other = local_servers("127.0.0.3")
    server.redirects("/same", f"http://b:{other.port}/")
    server.redirects("/", "/same")
    other.says("/", b"x")
    dialling = allowing(a=["127.0.0.2"], b=["127.0.0.3"])
    headers = {"Authorization": "Bearer t", "X-Kind": "csv"}
    body(f"http://a:{server.port}/", dialling, headers=headers)
    assert [sent.get("authorization") for _, sent in server.asked] == ["Bearer t", "Bearer t"]
    ((_, sent),) = other.asked
    assert "authorization" not in sent
    assert sent["x-kind"] == "csv"


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")


def dripping(handler: BaseHTTPRequestHandler) -> None:
    while True:
        handler.wfile.write(b"H")
        time.sleep(0.05)


def cut_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"x" * 500)


def refusal(server: LocalServer, limits: FetchLimits = LIMITS) -> PixelflightError:
    with pytest.raises(PixelflightError) as caught:
        body(f"http://a:{server.port}/", allowing(a=["127.0.0.2"]), limits)
    return caught.value


def test_what_is_too_large_is_not_read_on(server: LocalServer) -> None:
    server.answers["/"] = endless
    assert refusal(server).code is ErrorCode.TOO_LARGE
    server.says("/", b"x" * 100_001)
    assert isinstance(refusal(server), LimitExceeded)


def test_the_deadline_is_for_everything_together(server: LocalServer) -> None:
    server.answers["/"] = dripping
    began = time.monotonic()
    assert isinstance(refusal(server, FetchLimits(100_000, seconds_max=0.3)), TimedOut)
    assert time.monotonic() - began < 5


def test_a_body_that_is_cut_off_is_no_success(server: LocalServer) -> None:
    server.answers["/"] = cut_off
    error = refusal(server)
    assert isinstance(error, Unavailable)
    assert error.code.retryable


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, NotFound), (403, InvalidRequest), (500, Unavailable), (429, Unavailable)],
)
def test_a_status_that_is_no_success_is_told(
    server: LocalServer, status: int, kind: type[PixelflightError]
) -> None:
    server.says("/", b"no", status)
    error = refusal(server)
    assert isinstance(error, kind)
    assert str(status) in error.message


def test_the_certificate_is_of_the_name_and_the_name_is_asked_for(
    authority: trustme.CA, local_servers: Servers
) -> None:
    theirs, ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("data.example").configure_cert(theirs)
    authority.configure_trust(ours)
    asked: list[str | None] = []
    theirs.sni_callback = lambda _, name, __: asked.append(name)
    server = local_servers("127.0.0.2", theirs)
    server.says("/", b"over TLS")
    names = {"data.example": ["127.0.0.2"], "other.example": ["127.0.0.2"]}
    url = f"https://data.example.:{server.port}/"
    assert body(url, allowing(**names), tls=ours) == b"over TLS"
    assert asked == ["data.example"]
    with pytest.raises(Unavailable, match="certificate"):
        body(f"https://other.example:{server.port}/", allowing(**names), tls=ours)
