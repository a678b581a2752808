"""Answers and bodies, compressed and not, through a real socket."""

from __future__ import annotations

import gzip
import http.client
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse

from control_api.encodings import preferred
from tests.fix_http import TwoDoors

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

NAMESPACES = "/api/v1/namespaces"
LONG = b'{"text": "' + b"pixels " * 1000 + b'"}'
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module", autouse=True)
def more_routes(doors: TwoDoors) -> None:
    """Routes that answer as some of the API's do, and one that tells what came."""
    app: FastAPI = doors.app

    def rows() -> Iterator[bytes]:
        yield from (b'{"row": %d}\n' % number * 50 for number in range(200))

    def answer(kind: str, size: int = len(LONG)) -> Response:
        return Response(LONG[:size], media_type=kind, headers={"etag": '"1"'})

    def encoded() -> Response:
        return Response(gzip.compress(LONG), headers={"content-encoding": "gzip"})

    async def measured(request: Request) -> dict[str, int]:
        sizes = [len(piece) async for piece in request.stream()]
        return {"bytes": sum(sizes), "largest": max(sizes)}

    app.add_api_route("/t/answer", answer)
    app.add_api_route("/t/encoded", encoded)
    app.add_api_route(
        "/t/rows", lambda: StreamingResponse(rows(), media_type="application/x-ndjson")
    )
    app.add_api_route("/t/measured", measured, methods=["POST"])


def raw(doors: TwoDoors, path: str, accept: str) -> tuple[dict[str, str], bytes]:
    """The headers and bytes as they cross the network."""
    asking = doors.client(headers={"accept-encoding": accept})
    with asking as client, client.stream("GET", path) as answer:
        return dict(answer.headers), b"".join(answer.iter_raw())


def ungzipped(data: bytes) -> bytes:
    return gzip.decompress(data)


COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress}
DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": ungzipped, "zstd": zstd.decompress}


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("path", ["/t/answer?kind=application/json", "/t/rows"])
def test_an_answer_is_compressed_as_asked(doors: TwoDoors, path: str, encoding: str) -> None:
    _, plain = raw(doors, path, "identity")
    headers, sent = raw(doors, path, encoding)
    assert headers["content-encoding"] == encoding
    assert "accept-encoding" in headers["vary"].lower()
    assert len(sent) < len(plain) / 3
    assert DECOMPRESS[encoding](sent) == plain


@pytest.mark.parametrize(
    "path",
    [
        "/t/answer?kind=application/json&size=1000",
        "/t/answer?kind=image/png",
        f"/t/answer?kind={ARROW};codecs=zstd",
    ],
    ids=["small", "image", "Arrow with compressed buffers"],
)
def test_what_would_not_shrink_is_sent_as_it_is(doors: TwoDoors, path: str) -> None:
    headers, sent = raw(doors, path, "gzip, zstd")
    assert "content-encoding" not in headers
    assert sent == LONG[: len(sent)]


def test_what_is_compressed_already_is_left_alone(doors: TwoDoors) -> None:
    headers, sent = raw(doors, "/t/encoded", "zstd, gzip")
    assert (headers["content-encoding"], gzip.decompress(sent)) == ("gzip", LONG)


def test_arrow_without_compressed_buffers_is_compressed(doors: TwoDoors) -> None:
    headers, sent = raw(doors, f"/t/answer?kind={ARROW}", "zstd")
    assert (headers["content-encoding"], zstd.decompress(sent)) == ("zstd", LONG)


def test_the_same_meaning_is_not_the_same_bytes(doors: TwoDoors) -> None:
    assert raw(doors, "/t/answer?kind=text/csv", "gzip")[0]["etag"] == 'W/"1"'
    assert raw(doors, "/t/answer?kind=text/csv", "identity")[0]["etag"] == '"1"'


def test_each_piece_of_a_stream_can_be_read_when_it_has_come(doors: TwoDoors) -> None:
    asking = doors.client(headers={"accept-encoding": "gzip"})
    with asking as client, client.stream("GET", "/t/rows") as answer:
        first = next(answer.iter_raw())
    assert zlib.decompressobj(31).decompress(first).startswith(b'{"row": 0}\n')


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("*", "zstd"),
        ("*;q=0.1, zstd;q=0", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0.5, identity", None),
        ("gzip;q=much", None),
        ("GZIP ; q=0.5", "gzip"),
    ],
)
def test_the_encoding_is_what_the_client_likes_best(accepted: str, expected: str | None) -> None:
    assert preferred(accepted) == expected


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("zstd", zstd.compress),
        ("gzip", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
        ("zstd", lambda data: zstd.compress(data[:9]) + zstd.compress(data[9:])),
    ],
    ids=["gzip", "zstd", "two of gzip", "two of zstd"],
)
def test_a_body_may_be_compressed(
    api: httpx.Client, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    body = compress(b'{"namespace": "compressed"}')
    headers = {"content-encoding": encoding, "content-type": "application/json"}
    assert api.post(NAMESPACES, content=body, headers=headers).status_code == 201
    assert api.delete(f"{NAMESPACES}/compressed").status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_body_is_decompressed_in_small_pieces(api: httpx.Client, encoding: str) -> None:
    body = COMPRESS[encoding](bytes(50_000_000))
    headers = {"content-encoding": encoding, "content-type": ARROW}
    told = api.post("/t/measured", content=body, headers=headers).json()
    assert told["bytes"] == 50_000_000
    assert told["largest"] <= 2**18


@pytest.mark.parametrize("cut", [5, -5], ids=["soon", "late"])
@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_body_that_breaks_off_is_refused(api: httpx.Client, encoding: str, cut: int) -> None:
    body = COMPRESS[encoding](b'{"namespace": "cut"}')
    refused = api.post(NAMESPACES, content=body[:cut], headers={"content-encoding": encoding})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_data")
    assert "before it is complete" in refused.json()["error"]["message"]


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_body_that_is_not_what_it_says_is_refused(api: httpx.Client, encoding: str) -> None:
    refused = api.post(NAMESPACES, content=b"{}", headers={"content-encoding": encoding})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_data")
    assert encoding in refused.json()["error"]["message"]


def test_an_encoding_that_nobody_speaks_is_refused_by_name(api: httpx.Client) -> None:
    refused = api.post(NAMESPACES, content=b"{}", headers={"content-encoding": "br"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (415, "unsupported_media_type")
    assert "'br'" in refused.json()["error"]["message"]
    assert refused.headers["accept-encoding"] == "zstd, gzip"


@pytest.fixture
def narrow(start_doors: Callable[..., TwoDoors]) -> TwoDoors:
    return start_doors(json_bytes_max=2000, decompressed_bytes_max=1_000_000)


def test_json_has_a_limit_however_it_comes(narrow: TwoDoors) -> None:
    long = b'{"namespace": "' + b" " * 3000 + b'"}'
    sent: list[dict[str, Any]] = [
        {"content": long},
        {"content": iter([long[:1000], long[1000:]])},
        {"content": gzip.compress(long), "headers": {"content-encoding": "gzip"}},
    ]
    with narrow.client() as api:
        for one in sent:
            refused = api.post(NAMESPACES, **one)
            error = refused.json()["error"]
            assert (refused.status_code, error["code"]) == (413, "too_large")
            assert error["details"] == {"bytes_max": 2000}
        assert api.post(NAMESPACES, json={"namespace": "short"}).status_code == 201


def test_a_body_that_grows_without_end_is_ended(narrow: TwoDoors) -> None:
    async def swallow(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    narrow.app.add_api_route("/t/swallow", swallow, methods=["POST"])
    bomb = zstd.compress(bytes(200_000_000))
    assert len(bomb) < 20_000
    headers = {"content-encoding": "zstd", "content-type": ARROW}
    with narrow.client() as api:
        refused = api.post("/t/swallow", content=bomb, headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "too_large")
    assert "1000000 bytes" in refused.json()["error"]["message"]


def test_a_client_that_leaves_within_a_compressed_body_harms_nobody(doors: TwoDoors) -> None:
    host = httpx.URL(doors.url)
    leaving = http.client.HTTPConnection(host.host, cast(int, host.port))
    leaving.putrequest("POST", NAMESPACES)
    leaving.putheader("content-encoding", "gzip")
    leaving.putheader("content-length", "1000")
    leaving.endheaders(gzip.compress(b"{}")[:4])
    leaving.close()
    with doors.client() as api:
        assert api.get(NAMESPACES).status_code == 200
