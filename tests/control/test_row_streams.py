"""`POST /batch/stream/{table}`: rows in chunks, in each form and compression."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pyarrow as pa
import pytest

from tests.fix_client import Client
from tests.fix_http import TwoDoors
from tests.fix_permissions import new_role

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ROWS = pa.table({"n": range(2500), "s": [f"x{number}" for number in range(2500)]})
STREAM = "/api/v1/batch/stream"
DECODE: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.decompress,
    "zstd": zstd.decompress,
}


@pytest.fixture(scope="module")
def table(doors: TwoDoors) -> str:
    client = Client(doors.flight.url, doors.key)
    client.put(ROWS, ingest={"table": "streamed", "mode": "create"})
    client.close()
    return "streamed"


def streamed(api: httpx.Client, table: str, **body: Any) -> tuple[httpx.Response, bytes]:
    """The answer, and its bytes as they came."""
    with api.stream("POST", f"{STREAM}/{table}", json=body) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize("compression", DECODE)
@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "arrow"])
def test_every_form_and_compression(
    api: httpx.Client, table: str, form: str, compression: str
) -> None:
    answer, raw = streamed(api, table, chunk_size=1000, format=form, compression=compression)
    assert answer.status_code == 200
    assert answer.headers.get("content-encoding", "none") == compression
    assert "x-version" in answer.headers
    data = DECODE[compression](raw)
    if form == "arrow":
        reader = pa.ipc.open_stream(data)
        sizes = [batch.num_rows for batch in reader]
        assert sizes == [1000, 1000, 500]
        assert pa.ipc.open_stream(data).read_all().equals(ROWS)
    elif form == "csv":
        lines = data.decode().splitlines()
        assert (lines[0], lines[1], len(lines)) == ('"n","s"', '0,"x0"', 2501)
    elif form == "jsonl":
        assert [json.loads(line) for line in data.splitlines()] == ROWS.to_pylist()
    else:
        assert json.loads(data) == ROWS.to_pylist()


def test_what_is_chosen(api: httpx.Client, table: str) -> None:
    _, raw = streamed(
        api,
        table,
        format="csv",
        include_headers=False,
        columns=["s"],
        where={"n": {"lt": 5}},
        order_by=[{"column": "n", "direction": "desc"}],
        limit=2,
    )
    assert raw == b'"x4"\n"x3"\n'


def test_no_rows(api: httpx.Client, table: str) -> None:
    for form, expected in (("json", b"[]"), ("jsonl", b""), ("csv", b'"n","s"\n')):
        assert streamed(api, table, format=form, limit=0)[1] == expected
    _, raw = streamed(api, table, format="json", limit=0, compression="gzip")
    assert gzip.decompress(raw) == b"[]"


def test_an_encoding_that_is_asked_for_by_header_as_elsewhere(
    api: httpx.Client, table: str
) -> None:
    for compression, expected in (("none", "zstd"), ("gzip", "gzip")):
        answer = api.post(
            f"{STREAM}/{table}",
            json={"compression": compression},
            headers={"accept-encoding": "zstd"},
        )
        assert answer.headers["content-encoding"] == expected


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ({"format": "parquet"}, "format"),
        ({"chunk_size": 0}, "chunk_size"),
        ({"compression": "lz4"}, "compression"),
        ({"chunksize": 10}, "chunksize"),
        ({"where": {"m": 1}}, "There is no column"),
    ],
)
def test_what_cannot_be(api: httpx.Client, table: str, body: Any, match: str) -> None:
    answer = api.post(f"{STREAM}/{table}", json=body)
    assert answer.status_code == 400
    assert match in answer.json()["error"]["message"]


def test_rights_are_those_of_reading(doors: TwoDoors, table: str) -> None:
    with doors.client() as api:
        role = new_role(api)
    with doors.client(doors.key_of(role, name="stranger")) as client:
        hidden = client.post(f"{STREAM}/{table}", json={})
        missing = client.post(f"{STREAM}/nowhere", json={})
    assert hidden.status_code == missing.status_code == 404


def test_a_stream_that_is_left_frees_its_place(doors: TwoDoors, table: str) -> None:
    with doors.client() as client:
        for _ in range(3):
            with client.stream("POST", f"{STREAM}/{table}", json={"chunk_size": 1}) as answer:
                assert next(answer.iter_raw())
        assert client.post(f"{STREAM}/{table}", json={"limit": 1}).status_code == 200
