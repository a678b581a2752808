"""Imports over HTTP: uploads in parts, a look beforehand, and jobs that a worker's process does."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flight_server.auth import JobToken, sign_job_token
from flight_server.client import Client, connect
from flight_server.errors import Forbidden, InvalidRequest
from flight_server.model import IngestMode, Staged
from flight_server.testing.server import LocalServer, local_server
from tests.fix_dialled import LocalServer as WebServer
from tests.fix_http import TwoDoors
from tests.fix_server import QUIET

BATCH = "/api/v1/batch"
SECONDS_MAX = 60


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that may be imported from."""
    return tmp_path_factory.mktemp("inbox")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, inbox: Path) -> Iterator[LocalServer]:
    settings: dict[str, Any] = {**QUIET, "job_workers": 1, "import_sources": (str(inbox),)}
    settings |= {"upload_bytes_max": 2**22, "uploads_max": 20, "import_staged_bytes_min": 0}
    with local_server(tmp_path_factory.mktemp("imports"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[Client]:
    with connect(server.url, server.key) as opened:
        yield opened


def ended(api: httpx.Client, submitted: httpx.Response) -> dict[str, Any]:
    """The job once it has ended."""
    assert submitted.status_code == 201, submitted.text
    until = time.monotonic() + SECONDS_MAX
    while time.monotonic() < until:
        found: dict[str, Any] = api.get(f"{BATCH}/jobs/{submitted.json()['job_id']}").json()
        if found["status"] not in ("pending", "running"):
            return found
        time.sleep(0.02)
    raise AssertionError(f"{found} goes on")


def imported(api: httpx.Client, **body: Any) -> dict[str, Any]:
    """The result of an import that works."""
    job = ended(api, api.post(f"{BATCH}/import", json=body))
    assert job["status"] == "completed", job["error"]
    result: dict[str, Any] = job["result"]
    return result


def uploaded(api: httpx.Client, name: str, content: bytes) -> str:
    made = api.post(f"{BATCH}/uploads", json={"name": name, "bytes": len(content)})
    assert made.status_code == 201, made.text
    named: str = made.json()["upload_id"]
    assert api.put(f"{BATCH}/uploads/{named}", content=content).json()["offset"] == len(content)
    assert api.post(f"{BATCH}/uploads/{named}/complete", json={}).json()["complete"]
    return named


def test_the_older_body(api: httpx.Client, client: Client, inbox: Path) -> None:
    client.put("products", pa.table({"id": pa.array([0]), "price": pa.array([1.0])}))
    (inbox / "products.csv").write_text("product_id,price\n1,9.5\n2,-1\n3,x\n4,20\n")
    result = imported(
        api,
        table_name="products",
        format="csv",
        source_url=str(inbox / "products.csv"),
        mapping={"product_id": "id"},
        validation_rules={"price": {"min": 0, "max": 10000}},
        on_error="skip",
        batch_size=1000,
    )
    assert (result["rows"], result["rows_rejected"]) == (2, 2)
    assert [(one["row"], one["column"]) for one in result["errors"]] == [(2, "price"), (3, "price")]
    assert client.scan("products", ["id"], order_by="id").to_arrow()["id"].to_pylist() == [0, 1, 4]


def test_rows_are_set_aside_with_their_reasons(api: httpx.Client, client: Client) -> None:
    lines = b'{"id": 1, "name": "fig"}\n{"id": "x"}\n{"id": 3, "name": 4}\n'
    named = uploaded(api, "fruit.jsonl", lines)
    kept = {"table_name": "fruit", "upload_id": named, "on_error": "set_aside"}
    result = imported(api, **kept, schema={"id": "int64", "name": "string"})
    assert (result["rows"], result["rejected_table"]) == (1, "fruit_rejected")
    aside = client.scan("fruit_rejected", order_by="row").to_arrow().to_pylist()
    assert [(one["row"], one["column"]) for one in aside] == [(2, "id"), (3, "name")]
    assert json.loads(aside[1]["raw"]) == {"id": 3, "name": 4}
    assert "text" in aside[1]["reason"]
    elsewhere = imported(api, **kept, rejected_table="wrong_fruit")
    assert (elsewhere["rejected_table"], elsewhere["rows_rejected"]) == ("wrong_fruit", 2)


def test_a_wrong_row_ends_it_and_nothing_is_written(api: httpx.Client, client: Client) -> None:
    named = uploaded(api, "a.csv", b"id\n1\nx\n")
    body = {"table_name": "nothing", "upload_id": named, "schema": {"id": "int64"}}
    job = ended(api, api.post(f"{BATCH}/import", json=body))
    assert job["status"] == "failed"
    assert job["error"]["code"] == "invalid_data"
    assert job["error"]["details"] == {
        "row": 2,
        "column": "id",
        "reason": '"x" is not a whole number, as int64 needs',
    }
    assert "nothing" not in [one.table.name for one in client.tables()]


def test_upsert_by_key(api: httpx.Client, client: Client) -> None:
    client.put("stock", {"id": [1, 2], "pieces": [10, 20]})
    target = io.BytesIO()
    pq.write_table(pa.table({"id": [2, 3], "pieces": [21, 30]}), target)
    named = uploaded(api, "stock.parquet", target.getvalue())
    result = imported(api, table_name="stock", upload_id=named, mode="upsert", key=["id"])
    assert (result["rows_inserted"], result["rows_updated"]) == (1, 1)
    rows = client.scan("stock", order_by="id").to_arrow().to_pylist()
    assert rows == [{"id": 1, "pieces": 10}, {"id": 2, "pieces": 21}, {"id": 3, "pieces": 30}]


def test_keys_are_not_to_come_twice(api: httpx.Client, client: Client) -> None:
    client.put("users", {"id": [1], "mail": ["a@b"]})
    named = uploaded(api, "users.csv", b"id,mail\n1,x@y\n2,a@b\n3,c@d\n3,e@f\n4,\n5,\n")
    body = {"table_name": "users", "upload_id": named, "on_error": "skip"}
    result = imported(api, **body, validation_rules={"mail": {"unique": True}}, unique_by=["id"])
    assert [one["row"] for one in result["errors"]] == [1, 2, 4]
    assert client.scan("users").to_arrow().num_rows == 4


def test_a_look_beforehand(api: httpx.Client, client: Client, inbox: Path) -> None:
    (inbox / "look.csv").write_text("id;day\n1;2026-01-31\n2;soon\n")
    body = {"table_name": "look", "source_url": f"file://{inbox}/look.csv"}
    found = api.post(f"{BATCH}/import/preview", json=body).json()
    assert [one["type"] for one in found["columns"]] == ["int64", "string"]
    assert found["rows"] == [{"id": 1, "day": "2026-01-31"}, {"id": 2, "day": "soon"}]
    found = api.post(f"{BATCH}/import/preview", json={**body, "schema": {"day": "date"}}).json()
    assert (found["rows_checked"], found["rows_wrong"]) == (2, 1)
    assert found["problems"][0] | {"reason": ""} == {
        "row": 2,
        "column": "day",
        "reason": "",
        "raw": "2;soon",
    }
    client.put("look", {"number": [1]})
    found = api.post(f"{BATCH}/import/preview", json=body).json()
    assert "has no column 'id'" in found["problems"][0]["reason"]
    broken = {**body, "source_url": str(inbox / "broken.parquet")}
    (inbox / "broken.parquet").write_bytes(b"PAR1 broken PAR1")
    answer = api.post(f"{BATCH}/import/preview", json=broken)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_data")


def test_uploads_in_parts(api: httpx.Client, doors: TwoDoors) -> None:
    content = bytes(range(256)) * 64
    whole = hashlib.sha256(content).hexdigest()
    asked = {"name": "a.bin", "bytes": len(content), "sha256": whole}
    made = api.post(f"{BATCH}/uploads", json=asked).json()
    path = f"{BATCH}/uploads/{made['upload_id']}"
    assert api.put(path, content=content[:1000]).json()["offset"] == 1000
    again = api.put(path, content=content[:1000])
    assert (again.status_code, again.json()["error"]["code"]) == (409, "offset_conflict")
    assert again.json()["error"]["details"] == {"offset": 1000}
    wrong: dict[str, Any] = {"offset": 1000, "sha256": "0" * 64}
    assert api.put(path, params=wrong, content=content[1000:2000]).status_code == 400
    assert api.get(path).json()["offset"] == 1000
    assert api.post(f"{path}/complete", json={}).status_code == 400
    right: dict[str, Any] = {"offset": 1000, "sha256": hashlib.sha256(content[1000:]).hexdigest()}
    assert api.put(path, params=right, content=content[1000:]).status_code == 200
    more = api.put(path, params={"offset": len(content)}, content=b"x")
    assert (more.status_code, more.json()["error"]["code"]) == (413, "too_large")
    assert api.get(path).json()["offset"] in (len(content), len(content) + 1)
    with doors.client(doors.key_of("admin", name="other")) as other:
        assert other.get(path).json()["error"]["code"] == "upload_not_found"
        assert other.get(f"{BATCH}/uploads").json() == {"uploads": []}
    done = api.post(f"{path}/complete", json={})
    assert (done.status_code, done.json()["sha256"]) == (200, whole)
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_what_an_upload_may_not_be(api: httpx.Client) -> None:
    large = api.post(f"{BATCH}/uploads", json={"name": "a", "bytes": 2**23})
    assert (large.status_code, large.json()["error"]["code"]) == (413, "too_large")
    assert api.post(f"{BATCH}/uploads", json={"name": ""}).status_code in (400, 422)
    made = api.post(f"{BATCH}/uploads", json={"name": "a.csv", "sha256": "0" * 64}).json()
    path = f"{BATCH}/uploads/{made['upload_id']}"
    api.put(path, content=b"id\n1\n")
    assert api.post(f"{path}/complete", json={}).status_code == 400
    body = {"table_name": "t", "upload_id": made["upload_id"]}
    assert "not complete" in api.post(f"{BATCH}/import", json=body).text
    missing = {"table_name": "t", "upload_id": "../../admin.key", "format": "csv"}
    answer = api.post(f"{BATCH}/import", json=missing)
    assert answer.json()["error"]["code"] == "upload_not_found"


def test_an_upload_that_was_begun_as_the_server_was_killed(
    api: httpx.Client, server: LocalServer
) -> None:
    """It was written down, and its file was not made yet: nobody was told of it."""
    named = api.post(f"{BATCH}/uploads", json={"name": "a.csv"}).json()["upload_id"]
    (server.services.settings.data / "uploads" / named).unlink()
    assert api.get(f"{BATCH}/uploads/{named}").status_code == 404
    assert named not in [one["upload_id"] for one in api.get(f"{BATCH}/uploads").json()["uploads"]]


def test_an_upload_expires(api: httpx.Client, server: LocalServer) -> None:
    named = uploaded(api, "old.csv", b"id\n1\n")
    folder = server.services.settings.data / "uploads"
    object.__setattr__(server.services.settings, "upload_seconds_max", 0.0)
    try:
        assert api.get(f"{BATCH}/uploads/{named}").status_code == 404
        # What cannot be found is not listed.
        assert api.get(f"{BATCH}/uploads").json() == {"uploads": []}
        assert (folder / named).exists()
        api.post(f"{BATCH}/uploads", json={"name": "new.csv"})
        assert not (folder / named).exists()
    finally:
        object.__setattr__(server.services.settings, "upload_seconds_max", 3600.0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"source_url": "/etc/passwd", "format": "csv"}, "is in no folder"),
        ({"source_url": "file:///etc/passwd", "format": "csv"}, "is in no folder"),
        ({"source_url": "{inbox}/../admin.csv"}, "leads upwards"),
        ({"source_url": "{inbox}"}, "not known from its ending"),
        ({"source_url": "relative.csv"}, "is no source"),
        ({"source_url": "gopher://host/a.csv"}, "is no source"),
        ({"source_url": "ftp://host/a.csv"}, "is no source"),
        ({"source_url": "s3://bucket/a.csv"}, "is in no bucket"),
        ({"source_url": "https://user:pw@host/a.csv"}, "must not hold a user name"),
        ({"source_url": "https://host/a.lance"}, "no URL answers one"),
        ({"source_url": "https://host/a.exe"}, "not known from its ending"),
        ({"format": "cvs"}, "Did you mean 'csv'"),
        ({}, "either a 'source_url' or an 'upload_id'"),
        ({"source_url": "{inbox}/a.csv", "mapings": {}}, "mapings"),
        ({"source_url": "{inbox}/a.csv", "schema": {"a": "nonsense"}}, "not an Arrow type"),
        ({"source_url": "{inbox}/a.csv", "mode": "create", "atomic": False}, "is one commit"),
        ({"source_url": "{inbox}/a.csv", "rejected_table": "r"}, "goes with"),
        ({"source_url": "{inbox}/a.csv", "table_name": "nowhere.t"}, "no namespace"),
    ],
)
def test_what_is_refused_at_once(
    api: httpx.Client, inbox: Path, change: dict[str, Any], told: str
) -> None:
    body = {"table_name": "t", **change}
    if "source_url" in body:
        body["source_url"] = body["source_url"].replace("{inbox}", str(inbox))
    answer = api.post(f"{BATCH}/import", json=body)
    assert 400 <= answer.status_code < 500, answer.text
    assert told in answer.json()["error"]["message"]


def test_links_and_pipes_are_not_followed(api: httpx.Client, inbox: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("id\n1\n")
    (inbox / "link.csv").symlink_to(tmp_path / "secret.csv")
    (inbox / "folder").symlink_to(tmp_path)
    os.mkfifo(inbox / "pipe.csv")
    (inbox / "empty.csv").mkdir()
    for name, told in (
        ("link.csv", "links are not followed"),
        ("folder/secret.csv", "links are not followed"),
        ("pipe.csv", "is no file"),
        ("empty.csv", "is no file"),
        ("missing.csv", "There is no file"),
    ):
        body = {"table_name": "t", "source_url": str(inbox / name)}
        answer = api.post(f"{BATCH}/import/preview", json=body)
        assert told in answer.json()["error"]["message"], name


def test_rights_are_those_of_whoever_asks(doors: TwoDoors, inbox: Path, client: Client) -> None:
    client.put("hidden", {"id": [1]})
    (inbox / "ids.csv").write_text("id\n1\n")
    body = {"table_name": "hidden", "source_url": str(inbox / "ids.csv")}
    with doors.client(doors.key_of("reader", name="reads")) as reads:
        for path in ("import", "import/preview"):
            assert reads.post(f"{BATCH}/{path}", json=body).status_code == 403
            made = {**body, "table_name": "made"}
            assert reads.post(f"{BATCH}/{path}", json=made).status_code == 403
            hidden = {**body, "table_name": "_pixelflight.tables"}
            assert reads.post(f"{BATCH}/{path}", json=hidden).status_code == 404


def test_an_upload_under_another_name(api: httpx.Client) -> None:
    named = uploaded(api, "export-17", b"id;name\n1;a\n")
    body = {"table_name": "renamed", "upload_id": named}
    assert api.post(f"{BATCH}/import/preview", json=body).status_code == 400
    looked = api.post(f"{BATCH}/import/preview", json={**body, "upload_name": "a.csv"})
    assert (looked.json()["format"], looked.json()["rows"]) == ("csv", [{"id": 1, "name": "a"}])
    assert imported(api, **body, upload_name="a.csv")["rows"] == 1
    wrong = {"table_name": "renamed", "source_url": "/a", "upload_name": "a.csv"}
    answer = api.post(f"{BATCH}/import", json=wrong)
    assert answer.status_code == 400
    assert "'upload_name' goes with an 'upload_id'" in answer.text


def test_urls_of_private_addresses_are_refused(
    api: httpx.Client, local_servers: Callable[..., WebServer]
) -> None:
    web = local_servers()
    web.says("/a.csv", b"id\n1\n")
    for host in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "169.254.169.254", "10.0.0.1"):
        body = {"table_name": "t", "source_url": f"http://{host}:{web.port}/a.csv"}
        answer = api.post(f"{BATCH}/import/preview", json=body)
        assert answer.json()["error"]["code"] == "address_refused", host
    assert web.asked == []


def test_workers_write_files_of_the_lake(
    api: httpx.Client, client: Client, server: LocalServer, inbox: Path
) -> None:
    """The rows of the file never come to the server; what the log tells of it is as always."""
    rows = pa.table({"id": range(3_000), "text": [f"t{n % 7}" for n in range(3_000)]})
    pq.write_table(rows, inbox / "many.parquet")
    result = imported(api, table_name="many", source_url=str(inbox / "many.parquet"), mode="create")
    assert (result["rows"], result["rows_inserted"], result["rows_read"]) == (3_000,) * 3
    [path] = (server.data / "lake" / "files").glob("main/many/*.parquet")
    assert path.name.startswith("import-")
    assert client.scan("many", order_by="id").to_arrow() == rows
    [version] = client.versions("many")
    assert (version.snapshot, version.reason) == (result["commit"], "ingest (create)")
    (inbox / "more.csv").write_text("id,text\n" + "7,x\n" * 20_000 + "x,wrong\n")
    more = {"table_name": "many", "source_url": str(inbox / "more.csv"), "mode": "overwrite"}
    assert imported(api, **more, on_error="skip")["rows_rejected"] == 1
    assert client.describe("many").rows == 20_000
    assert client.scan("many", version=version.snapshot).to_arrow().num_rows == 3_000


def test_only_a_worker_puts_files_and_only_its_own(
    client: Client, server: LocalServer, tmp_path: Path
) -> None:
    secret, owner = server.services.signing_secret, server.services.keys.list()[0]
    token = JobToken(f"key:{owner.id}", None, "job_a", time.time() + 60)
    folder = server.services.settings.attempts
    for name in ("job_a-1", "job_b-1"):
        (folder / name).mkdir(parents=True)
        pq.write_table(pa.table({"id": [1]}), folder / name / "rows.parquet")
    (folder / "job_a-1" / "link.parquet").symlink_to(folder / "job_b-1" / "rows.parquet")
    (folder / "job_a-2").symlink_to(folder / "job_b-1")

    def put(by: Client, name: str) -> int:
        staged = Staged((name,), 1, 8)
        more = {"token": name, "content": "c", "create_if_missing": True}
        schema = pa.schema([("id", pa.int64())])
        return by.put_staged("staged", schema, staged, IngestMode.APPEND, **more).rows

    with connect(server.url, sign_job_token(secret, token)) as worker:
        with pytest.raises(Forbidden, match="own workers"):
            put(client, "job_a-1/rows.parquet")
        for name in ("job_b-1/rows.parquet", "job_a-1/../job_b-1/rows.parquet", "/etc/passwd"):
            with pytest.raises(Forbidden, match="not one of this job's own"):
                put(worker, name)
        for name in ("link.parquet", "none.parquet", "../job_a-2/rows.parquet"):
            with pytest.raises((InvalidRequest, Forbidden)):
                put(worker, f"job_a-1/{name}")
        with pytest.raises(InvalidRequest, match="is not there"):
            put(worker, "job_a-2/rows.parquet")
        assert put(worker, "job_a-1/rows.parquet") == 1
    assert client.scan("staged").to_arrow()["id"].to_pylist() == [1]
