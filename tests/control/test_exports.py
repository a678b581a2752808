"""Exports over HTTP and Flight: submitted, done by a worker, fetched whole and in parts."""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flight_server.client import Client, connect
from flight_server.errors import InvalidRequest, NotFound
from flight_server.jobs.upkeep import remove_results
from flight_server.testing.server import LocalServer, local_server
from tests.fix_http import TwoDoors
from tests.fix_permissions import new_role
from tests.fix_server import QUIET

V1 = "/api/v1"
EXPORT, JOBS = f"{V1}/batch/export", f"{V1}/batch/jobs"
ROWS = pa.table({"id": range(2000), "name": [f"name {number}" for number in range(2000)]})


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that exports may be written to."""
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, out: Path) -> Iterator[LocalServer]:
    """One whose jobs are done."""
    settings: dict[str, Any] = {**QUIET, "job_workers": 1, "limit_jobs": ""}
    data = tmp_path_factory.mktemp("exports")
    with local_server(data, **settings, export_destinations=(str(out),)) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[Client]:
    with connect(server.url, server.key) as opened:
        opened.put("people", ROWS)
        yield opened


@pytest.fixture(scope="module", autouse=True)
def _people(client: Client) -> None:
    """Every test has the table."""


def done(api: httpx.Client, body: dict[str, Any], url: str = EXPORT) -> dict[str, Any]:
    """The job, once it has been done well."""
    answer = api.post(url, json=body)
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    until = time.monotonic() + 60
    while job["status"] in ("pending", "running") and time.monotonic() < until:
        time.sleep(0.02)
        job = api.get(f"{JOBS}/{job['job_id']}").json()
    assert job["status"] == "completed", job
    return job


@pytest.fixture(scope="module")
def job(api: httpx.Client) -> dict[str, Any]:
    """An export that is there to be fetched."""
    return done(api, {"table_name": "people", "format": "csv"})


def test_the_result_is_told_and_fetched(api: httpx.Client, job: dict[str, Any]) -> None:
    result = job["result"]
    assert (result["rows"], result["format"], result["destination"]) == (2000, "csv", None)
    assert job["progress"] == 100.0
    answer = api.get(f"{JOBS}/{job['job_id']}/download", headers={"accept-encoding": "gzip"})
    digest = hashlib.sha256(answer.content)
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="people.csv"'
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["etag"] == f'"{digest.hexdigest()}"'
    told = base64.b64encode(digest.digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{told}:"
    assert "content-encoding" not in answer.headers
    assert int(answer.headers["content-length"]) == result["download"]["bytes"]
    rows = list(csv.reader(answer.text.splitlines()))
    assert rows == [["id", "name"], *([str(at), f"name {at}"] for at in range(2000))]


def test_parts_of_it(api: httpx.Client, job: dict[str, Any]) -> None:
    url = f"{JOBS}/{job['job_id']}/download"
    whole = api.get(url)
    size = len(whole.content)
    for asked, start, end in (("0-9", 0, 10), ("10-", 10, size), ("-5", size - 5, size)):
        part = api.get(url, headers={"range": f"bytes={asked}"})
        assert part.status_code == 206
        assert part.content == whole.content[start:end]
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    asked_of = {"range": "bytes=5-9", "if-range": whole.headers["etag"]}
    assert api.get(url, headers=asked_of).content == whole.content[5:10]
    assert api.get(url, headers=asked_of | {"if-range": '"another"'}).status_code == 200
    assert api.get(url, headers={"range": "lines=1-2"}).status_code == 200
    behind = api.get(url, headers={"range": f"bytes={size}-"})
    assert behind.status_code == 416
    assert behind.json()["error"]["details"] == {"bytes": size}


def test_the_bodies_that_earlier_users_know(api: httpx.Client) -> None:
    body = {
        "table_name": "people",
        "format": "jsonl",
        "columns": ["id"],
        "where": {"id": {"gt": 10, "lte": 20}},
        "order_by": [{"column": "id", "direction": "desc"}],
        "limit": 2,
        "compress": True,
    }
    found = done(api, body)
    data = api.get(f"{JOBS}/{found['job_id']}/download").content
    assert gzip.decompress(data) == b'{"id":20}\n{"id":19}\n'
    same = done(api, {"job_type": "data_export", "parameters": body}, JOBS)
    assert same["result"]["files"] == found["result"]["files"]


def test_into_a_folder(api: httpx.Client, out: Path) -> None:
    body = {"table_name": "people", "format": "parquet", "destination": f"{out}/people.parquet"}
    found = done(api, body)
    assert pq.read_table(out / "people.parquet").equals(ROWS)
    answer = api.get(f"{JOBS}/{found['job_id']}/download")
    assert answer.status_code == 404
    assert f"written to '{out}/people.parquet'" in answer.json()["error"]["message"]
    failed = api.post(EXPORT, json=body).json()
    for _ in range(500):
        time.sleep(0.02)
        failed = api.get(f"{JOBS}/{failed['job_id']}").json()
        if failed["status"] == "failed":
            break
    assert failed["error"]["code"] == "already_exists"


def test_the_client_fetches_it(client: Client, tmp_path: Path) -> None:
    job = client.export("people", "parquet", job={"priority": 9})
    assert client.wait_for_job(job["job_id"], 60)["status"] == "completed"
    seen: list[tuple[int, int]] = []
    path = client.download(job["job_id"], tmp_path, lambda done, of: seen.append((done, of)))
    assert path == tmp_path / "people.parquet"
    assert pq.read_table(path).equals(ROWS)
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
    assert client.download(job["job_id"], tmp_path / "other").read_bytes() == path.read_bytes()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["other", "people.parquet"]
    with pytest.raises(InvalidRequest, match="cannot be written"):
        client.download(job["job_id"], tmp_path / "no" / "where")
    statement = client.export(sql="SELECT count(*) AS n FROM people", format="json")
    client.wait_for_job(statement["job_id"], 60)
    assert client.download(statement["job_id"], tmp_path).read_text() == '[\n{"n":2000}\n]\n'


def test_pieces_of_a_result(client: Client, job: dict[str, Any]) -> None:
    data, piece = b"", {"bytes": 1}
    while len(data) < piece["bytes"]:
        asked = {"job_id": job["job_id"], "offset": len(data), "length": 7000}
        piece = client._act("read_result", **asked)
        data += base64.b64decode(piece["data"])
    assert hashlib.sha256(data).hexdigest() == job["result"]["download"]["sha256"]


@pytest.mark.parametrize(
    ("body", "status", "match"),
    [
        ({"format": "csv"}, 400, "ive 'table_name' or 'sql'"),
        ({"table_name": "people", "format": "xml"}, 400, "There is no format 'xml'"),
        ({"table_name": "peple", "format": "csv"}, 404, "Did you mean 'people'"),
        ({"table_name": "people", "format": "csv", "columns": ["nam"]}, 400, "nam"),
        ({"table_name": "people", "format": "csv", "where": {"nam": 1}}, 400, "nam"),
        ({"table_name": "people", "format": "csv", "where": "nam ="}, 400, "where|filter|syntax"),
        ({"table_name": "people", "format": "csv", "partition_by": ["nam"]}, 400, "nam"),
        ({"table_name": "people", "format": "lance", "rows_per_file": 5}, 400, "Lance dataset"),
        ({"table_name": "people", "format": "csv", "compression": "lz4"}, 400, "none, gzip and"),
        ({"sql": "SELECT 1", "format": "csv", "limit": 5}, 400, "'limit' goes with a table"),
        ({"sql": "SELECT nope FROM people", "format": "csv"}, 400, "nope"),
        ({"sql": "DELETE FROM people", "format": "csv"}, 400, "reads|SELECT|writes"),
        ({"table_name": "people", "format": "csv", "destination": "/etc/x.csv"}, 403, "/etc/x.csv"),
        ({"table_name": "people", "format": "csv", "destination": "s3://b/x.csv"}, 403, "s3://b/x"),
    ],
)
def test_what_cannot_be_is_refused_at_once(
    api: httpx.Client, body: dict[str, Any], status: int, match: str
) -> None:
    for url, sent in ((EXPORT, body), (JOBS, {"job_type": "data_export", "parameters": body})):
        answer = api.post(url, json=sent)
        assert answer.status_code == status, answer.text
        pattern = pytest.raises(AssertionError, match=match)
        with pattern:
            raise AssertionError(answer.json()["error"]["message"])


def test_others_see_nothing_of_it(doors: TwoDoors, api: httpx.Client, job: dict[str, Any]) -> None:
    key = doors.key_of(new_role(api), name="stranger")
    with doors.client(key) as stranger:
        answer = stranger.get(f"{JOBS}/{job['job_id']}/download")
        missing = stranger.get(f"{JOBS}/{'0' * 24}/download")
        assert (answer.status_code, missing.status_code) == (404, 404)
        assert answer.json()["error"]["code"] == missing.json()["error"]["code"] == "job_not_found"
        assert stranger.post(EXPORT, json={"table_name": "people", "format": "csv"}).is_error
    with (
        connect(doors.flight.url, key) as stranger_client,
        pytest.raises(NotFound, match="There is no job"),
    ):
        stranger_client.download(job["job_id"], "/tmp")


def test_a_result_is_kept_for_a_while(doors: TwoDoors, api: httpx.Client) -> None:
    found = done(api, {"table_name": "people", "format": "arrow"})
    folder = doors.flight.data / "exports" / found["job_id"]
    settings = doors.services.settings
    remove_results(settings)
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "people.arrow"]
    old = time.time() - settings.export_seconds_max - 1
    os.utime(folder / "manifest.json", (old, old))
    remove_results(settings)
    assert not folder.exists()
    answer = api.get(f"{JOBS}/{found['job_id']}/download")
    assert answer.status_code == 404
    assert "was kept until" in answer.json()["error"]["message"]


def test_other_jobs_have_nothing_to_be_fetched(api: httpx.Client) -> None:
    batch = {"operations": [{"operation": "delete", "table": "people", "where": {"id": -1}}]}
    found = api.post(JOBS, json={"job_type": "batch_operation", "parameters": batch}).json()
    answer = api.get(f"{JOBS}/{found['job_id']}/download")
    assert answer.status_code == 404
    assert "is no export" in answer.json()["error"]["message"]
