"""`pixelflight import`: a file is sent, a job reads it, and the command tells what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flight_server.client import Client, connect
from flight_server.errors import InvalidRequest
from flight_server.testing.server import LocalServer, local_server
from tests.fix_server import QUIET


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with local_server(tmp_path_factory.mktemp("imports"), **{**QUIET, "job_workers": 1}) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[Client]:
    with connect(server.url, server.key) as opened:
        yield opened


def run(server: LocalServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flight_server", "import", *arguments]
    where = ["--url", server.url, "--key", server.key]
    return subprocess.run(
        [*command, *where], capture_output=True, text=True, timeout=100, check=False
    )


def test_a_file_with_wrong_rows(server: LocalServer, client: Client, tmp_path: Path) -> None:
    path = tmp_path / "fruit.csv"
    path.write_text("no;name;price\n1;fig;1.5\n2;pear;-3\nx;plum;2\n")
    options = ["--on-error", "set_aside", "--type", "id=int64", "--map", "no=id"]
    rules = ["--rules", '{"price": {"min": 0}}']
    done = run(server, str(path), "fruit", *options, *rules)
    assert done.returncode == 0, done.stderr
    assert "row 2, column 'price': -3.0 is below 0" in done.stderr
    assert "row 3, column 'id'" in done.stderr
    assert "1 row into fruit; 2 rows set aside in fruit_rejected." in done.stderr
    assert client.scan("fruit").to_arrow().to_pylist() == [{"id": 1, "name": "fig", "price": 1.5}]
    rejected = client.scan("fruit_rejected", order_by="row").to_arrow()
    assert rejected["raw"].to_pylist() == ["2;pear;-3", "x;plum;2"]
    assert "fruit.csv" not in uploads(client)


def test_what_ends_it(server: LocalServer, client: Client, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id\n1\nx\n")
    done = run(server, str(path), "ended", "--type", "id=int64")
    assert done.returncode == 1
    assert "Row 2, column 'id'" in done.stderr
    for arguments, told in (
        ([str(tmp_path / "a.cvs"), "t"], "Did you mean 'a.csv'"),
        ([str(tmp_path), "t"], "is a folder"),
        (["file:///etc/passwd", "t", "--format", "csv"], "is in no folder"),
        ([str(path), "t", "--rules", "{"], "--rules is not JSON"),
        ([str(path), "t", "--on-error", "skp"], "on_error"),
    ):
        done = run(server, *arguments)
        assert done.returncode != 0
        assert told in done.stderr, done.stderr
    # The one that failed in its job can be tried again.
    assert uploads(client).count("a.csv") == 1


def uploads(client: Client) -> list[str]:
    return [one["name"] for one in client._act("list_uploads")["uploads"]]


def test_a_preview(server: LocalServer, client: Client, tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": 1}\n{"id": 2}\n')
    done = run(server, str(path), "previewed", "--preview")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == [{"id": 1}, {"id": 2}]
    assert "p.jsonl" not in uploads(client)


def test_an_upload_that_was_cut_goes_on(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    path.write_bytes(b"id\n" + b"1\n" * 2**23)
    begun = client._act("create_upload", name="large.csv", bytes=path.stat().st_size)
    head = {"upload_id": begun["upload_id"], "offset": 0}
    client._connection.action("upload_part", head, path.read_bytes()[: 2**20 + 7])
    seen: list[int] = []
    assert client.upload(path, seen.append, upload_id=begun["upload_id"]) == begun["upload_id"]
    assert seen[0] == 2**20 + 7 + 2**23
    assert seen[-1] == path.stat().st_size
    done = client.wait_for_job(client.import_data("long", upload_id=begun["upload_id"])["job_id"])
    assert (done["status"], done["result"]["rows"]) == ("completed", 2**23)
    other = client._act("create_upload", name="other.csv", bytes=3)
    client._connection.action("upload_part", {**head, "upload_id": other["upload_id"]}, b"xyz")
    path.write_bytes(b"abc")
    with pytest.raises(InvalidRequest, match="something went wrong on the way"):
        client.upload(path, upload_id=other["upload_id"])
