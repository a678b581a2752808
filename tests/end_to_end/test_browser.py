"""A page of another origin, in a real browser, reads and writes Arrow over HTTP."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flight_server.client import connect
from tests.fix_http import TwoDoors

FOLDER = Path(__file__).parents[1] / "browser"
FILES = {
    "/": (FOLDER / "page.html", "text/html"),
    "/arrow.js": (
        FOLDER / "node_modules" / "apache-arrow" / "Arrow.es2015.min.js",
        "text/javascript",
    ),
}
ROWS = 200_000


class Pages(http.server.BaseHTTPRequestHandler):
    """Serves the page and the library of Arrow, and nothing else."""

    def do_GET(self) -> None:
        path, kind = FILES.get(self.path, (None, ""))
        self.send_response(404 if path is None else 200)
        self.send_header("content-type", kind)
        self.end_headers()
        if path is not None:
            self.wfile.write(path.read_bytes())

    def log_message(self, format: str, *values: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def in_browser(page: str, function: str, *arguments: str) -> dict[str, Any]:
    """What a function of the page gives. Fails where 'make browser' was not run."""
    chromium = shutil.which("chromium")
    assert chromium, "no browser: 'make browser' installs Debian's chromium"
    command = ["node", str(FOLDER / "drive.mjs"), chromium, page, function, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture
def doors(start_doors: Callable[..., TwoDoors], origin: str) -> TwoDoors:
    opened = start_doors(cors_origins=[origin])
    n = pa.array(range(ROWS), pa.int64())
    names = pa.array([f"row {i}" for i in range(ROWS)])
    with connect(opened.flight.url, opened.key) as client:
        client.put("numbers", pa.table({"n": n, "name": names}))
    return opened


def test_a_page_of_another_origin_reads_and_writes_arrow(doors: TwoDoors, origin: str) -> None:
    rows = f"{doors.url}/api/v1/tables/numbers/rows"
    ask = partial(in_browser, origin)
    read = ask("readArrow", f"{rows}?order_by=n", doors.key)
    assert read["complaints"] == []
    value = read["value"]
    assert (value["status"], value["rows"]) == (200, ROWS)
    assert (value["names"], value["last"]) == (["n", "name"], f"row {ROWS - 1}")
    assert value["sum"] == sum(range(ROWS))
    assert value["requestId"], "the page may read the request's id"

    written = ask("writeArrow", rows, doors.key)["value"]
    assert (written["status"], written["body"]["rows"]) == (201, 2)

    wrong = ask("readError", f"{doors.url}/api/v1/tables/nothing/rows", doors.key)["value"]
    assert (wrong["status"], wrong["body"]["error"]["code"]) == (404, "table_not_found")


def test_a_page_of_an_origin_that_is_not_allowed_reads_nothing(
    start_doors: Callable[..., TwoDoors], origin: str
) -> None:
    closed = start_doors(cors_origins=["https://elsewhere.example"])
    read = in_browser(origin, "readError", f"{closed.url}/api/v1/namespaces", closed.key)
    assert "value" not in read
    assert "CORS" in " ".join(read["complaints"])


def test_the_documentation_works_without_a_network(doors: TwoDoors) -> None:
    """Swagger UI loads nothing from elsewhere, shows the routes, and opens one with its example."""
    page = in_browser(f"{doors.url}/docs#/tables/list_tables", "fetch", "/openapi.json")
    assert page["complaints"] == []
    assert page["value"] == 200
    assert [host for host in page["hosts"] if host and not doors.url.endswith(host)] == []
    assert page["title"].startswith("Pixelflight")
    for shown in ("workspaces", "/api/v1/tables", "The tables and views", '"fleet.planes"'):
        assert shown in page["text"], page["text"][:2000]
