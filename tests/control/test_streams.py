"""Streams over HTTP that fail, are left, are cut, or are large."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pyarrow as pa
import pytest

from control_api.encodings import DECODERS
from flight_server.formats.arrow_streams import ERROR
from tests.fix_client import Client
from tests.fix_http import TwoDoors
from tests.fix_lake import wait_until

QUERY = "/api/v1/query"
ARROW = "application/vnd.apache.arrow.stream"
LINES = "application/x-ndjson"
FORMS = (ARROW, LINES, "text/csv", "application/json")
# Its last rows cannot be cast, long after its first ones are on their way.
BROKEN = (
    "SELECT CAST(CASE WHEN range < 1500000 THEN '1' ELSE 'boom' END AS INTEGER) AS v "
    "FROM range(2000000)"
)
ENDLESS = "SELECT sum(a.range * b.range % 7) AS n FROM range(10000000) a, range(10000000) b"
FLOOD = "SELECT range AS n FROM range(2000000000)"


@pytest.fixture
def narrow(start_doors: Callable[..., TwoDoors]) -> TwoDoors:
    """A server with one place for queries: while one runs, the next is refused at once."""
    return start_doors(queries_max=1, query_wait_seconds=0.2)


def assert_free(doors: TwoDoors) -> None:
    wait_until(lambda: doors.services.admission.running == 0, "the query has ended")
    with doors.client() as client:
        assert client.post(QUERY, json={"sql": "SELECT 1 AS one"}).status_code == 200


def read_until_cut(api: httpx.Client, sql: str, form: str, **headers: str) -> bytes:
    """What comes until the connection breaks, as it must."""
    data = b""
    asked = {"accept": form, "accept-encoding": "identity", **headers}
    with api.stream("POST", QUERY, json={"sql": sql}, headers=asked) as answer:
        assert answer.status_code == 200
        coming = answer.iter_raw()
        try:
            for piece in coming:
                data += piece
        except httpx.RemoteProtocolError:
            return data
    raise AssertionError("the stream has come to its end")


def assert_holds_error(data: bytes) -> None:
    """The Arrow stream ends with the error, and without the mark of its end."""
    reader = pa.ipc.open_stream(data)
    metadata: Any = None
    while metadata is None:
        batch, metadata = reader.read_next_batch_with_custom_metadata()
    assert batch.num_rows == 0
    assert json.loads(metadata[ERROR])["code"] == "invalid_data"
    assert not data.endswith(b"\xff\xff\xff\xff\x00\x00\x00\x00")


@pytest.mark.parametrize("form", FORMS)
def test_a_failure_in_the_middle_is_no_end(api: httpx.Client, form: str) -> None:
    data = read_until_cut(api, BROKEN, form)
    assert len(data) > 2**20
    if form == LINES:
        last = json.loads(data.splitlines()[-1])["error"]
        assert (last["code"], "boom" in last["message"]) == ("invalid_data", True)
    elif form == ARROW:
        assert_holds_error(data)
    else:
        assert b"boom" not in data
        assert b"version" not in data
    # The next request is not harmed.
    assert api.post(QUERY, json={"sql": "SELECT 1"}).status_code == 200


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
def test_who_reads_errors_inside_is_not_cut_off(api: httpx.Client, encoding: str) -> None:
    inside = {"accept": f"{ARROW};errors=inside", "accept-encoding": encoding}
    asked = api.build_request("POST", QUERY, json={"sql": BROKEN}, headers=inside)
    assert_holds_error(read_to_end(api, asked, encoding))
    for form in (f"{LINES};errors=inside", f"{ARROW};errors=no"):
        read_until_cut(api, BROKEN, form)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_nor_is_what_a_body_has_compressed(api: httpx.Client, encoding: str) -> None:
    # What compresses well is not on its way before all of it is made.
    varied = BROKEN.replace("'1'", "hash(range)::VARCHAR").replace("INTEGER", "UBIGINT")
    api.post(QUERY, json={"sql": f"CREATE VIEW broken_{encoding} AS {varied}"}).raise_for_status()
    body = {"format": "arrow", "compression": encoding, "chunk_size": 100_000}
    inside = {"accept": f"{ARROW};errors=inside"}
    path = f"/api/v1/batch/stream/broken_{encoding}"
    asked = api.build_request("POST", path, json=body, headers=inside)
    assert_holds_error(read_to_end(api, asked, encoding))


def read_to_end(api: httpx.Client, asked: httpx.Request, encoding: str) -> bytes:
    """What an answer holds that has an end, as it was before it was compressed."""
    answer = api.send(asked, stream=True)
    assert answer.headers.get("content-encoding", "identity") == encoding
    data = b"".join(answer.iter_raw())
    if encoding == "identity":
        return data
    decoder = DECODERS[encoding]()
    plain = b"".join(decoder.decode(data))
    assert decoder.is_complete
    return plain


def test_a_failure_before_the_first_row_is_an_error_like_any_other(api: httpx.Client) -> None:
    answer = api.post(QUERY, json={"sql": "SELECT CAST('x' AS INTEGER)"}, headers={"accept": ARROW})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_data")


def test_a_compressed_stream_breaks_off_as_well(api: httpx.Client) -> None:
    assert read_until_cut(api, BROKEN, LINES, **{"accept-encoding": "gzip"})[:2] == b"\x1f\x8b"


@pytest.mark.parametrize("form", FORMS)
def test_leaving_in_the_middle_ends_the_work(narrow: TwoDoors, form: str) -> None:
    with (
        narrow.client() as client,
        client.stream("POST", QUERY, json={"sql": FLOOD}, headers={"accept": form}) as answer,
    ):
        coming = answer.iter_raw()
        next(coming)
        assert narrow.services.admission.running == 1
        refused = httpx.post(
            narrow.url + QUERY,
            json={"sql": "SELECT 1"},
            headers={"authorization": f"Bearer {narrow.key}"},
        )
        assert refused.status_code == 429
    assert_free(narrow)


def test_leaving_before_the_first_row_ends_the_work(narrow: TwoDoors) -> None:
    with narrow.client() as client, contextlib.suppress(httpx.ReadTimeout):
        client.post(QUERY, json={"sql": ENDLESS}, timeout=0.5)
    assert_free(narrow)


def test_a_deadline_ends_the_work(narrow: TwoDoors) -> None:
    with narrow.client() as client:
        began = time.monotonic()
        answer = client.post(QUERY, json={"sql": ENDLESS}, headers={"x-timeout-seconds": "0.5"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timed_out")
        assert time.monotonic() - began < 5
        data = read_until_cut(client, FLOOD, LINES, **{"x-timeout-seconds": "1"})
        assert json.loads(data.splitlines()[-1])["error"]["code"] == "timed_out"
    assert_free(narrow)


DATA = pa.table({"a": list(range(1000)), "s": ["x" * 100] * 1000})


@pytest.fixture
def table(client: Client, name: str) -> str:
    client.put(DATA, ingest={"table": name, "mode": "create"})
    return name


def ipc(data: pa.Table, batches: int = 1) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, data.schema) as writer:
        for _ in range(batches):
            writer.write_table(data)
    return bytes(sink.getvalue())


def count(api: httpx.Client, table: str) -> int:
    answer = api.get(f"/api/v1/tables/{table}/rows", params={"aggregate": "count(*) AS n"})
    found: int = answer.json()["rows"][0]["n"]
    return found


def pieces(data: bytes, size: int = 100_000) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("form", [ARROW, LINES, "text/csv"])
def test_large_bodies_stream(api: httpx.Client, table: str, form: str) -> None:
    if form == ARROW:
        body = ipc(DATA, 150)
    elif form == LINES:
        line = json.dumps({"a": 1, "s": "x" * 100}).encode() + b"\n"
        body = line * 150_000
    else:
        body = b"a,s\n" + b"1,%s\n" % (b"x" * 100) * 150_000
    assert len(body) > 10 * 2**20
    url = f"/api/v1/tables/{table}/rows"
    answer = api.post(url, content=pieces(body), headers={"content-type": form})
    assert answer.status_code == 201, answer.text
    assert answer.json()["rows"] == 150_000
    assert count(api, table) == 151_000


@pytest.mark.parametrize("cut", [8, 100, 5000, 300_000])
def test_an_arrow_body_that_is_cut_writes_nothing(api: httpx.Client, table: str, cut: int) -> None:
    body = ipc(DATA, 10)[:-cut]
    url = f"/api/v1/tables/{table}/rows"
    answer = api.post(url, content=body, headers={"content-type": ARROW})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_data")
    assert "is cut" in answer.json()["error"]["message"]
    assert count(api, table) == 1000


@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_client_that_leaves_while_it_sends_writes_nothing(
    doors: TwoDoors, api: httpx.Client, table: str, is_chunked: bool
) -> None:
    body = ipc(DATA, 20)
    host, port = doors.url.removeprefix("http://").split(":")
    length = "transfer-encoding: chunked" if is_chunked else f"content-length: {len(body) * 2}"
    head = (
        f"POST /api/v1/tables/{table}/rows HTTP/1.1\r\nhost: x\r\ncontent-type: {ARROW}\r\n"
        f"authorization: Bearer {doors.key}\r\n{length}\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as leaving:
        leaving.sendall(head.encode())
        leaving.sendall(b"%x\r\n%s\r\n" % (len(body), body) if is_chunked else body)
    wait_until(lambda: api.get("/health/live").status_code == 200, "the server lives")
    assert api.post(f"/api/v1/tables/{table}/rows", json={"a": 1}).status_code == 201
    assert count(api, table) == 1001


def test_a_refused_body_does_not_harm_the_next_request(api: httpx.Client) -> None:
    body = ipc(DATA, 200)
    for _ in range(3):
        answer = api.post("/api/v1/tables/nope/rows", content=body, headers={"content-type": ARROW})
        assert answer.json()["error"]["code"] == "table_not_found"
    assert api.get("/api/v1/namespaces").status_code == 200
