"""A client of HTTP with the least that reads and writes need: one connection that is kept."""

from __future__ import annotations

import http.client
import json
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

import pyarrow as pa

ARROW = "application/vnd.apache.arrow.stream"
LINES = "application/x-ndjson"
CHUNK_BYTES = 2**20
API = "/api/v1"


class HttpCalls:
    """Calls over one connection. An answer that is not a success ends the bench."""

    def __init__(self, url: str, key: str) -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(address.netloc, timeout=300)
        self._headers = {"authorization": f"Bearer {key}"}

    def read(self, path: str) -> list[Any]:
        """The rows of an answer in JSON."""
        rows: list[Any] = json.loads(self._asked("GET", path).read())["rows"]
        return rows

    def insert(self, path: str, row: dict[str, Any]) -> int:
        """Inserts one row: the rows that the answer speaks of."""
        answer = self._asked("POST", path, json.dumps(row), {"content-type": "application/json"})
        return int(json.loads(answer.read())["rows"])

    def read_arrow(self, path: str) -> pa.Table:
        """The table of an answer in Arrow."""
        answer = self._asked("GET", path, headers={"accept": ARROW})
        with pa.ipc.open_stream(pa.PythonFile(answer, mode="r")) as reader:
            table = reader.read_all()
        answer.read()
        return table

    def count_lines(self, path: str) -> int:
        """The number of lines of an answer in JSON lines, none of which is kept."""
        answer = self._asked("GET", path, headers={"accept": LINES})
        lines = 0
        while chunk := answer.read(CHUNK_BYTES):
            lines += chunk.count(b"\n")
        return lines

    def _asked(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        self._connection.request(method, path, body, self._headers | (headers or {}))
        answer = self._connection.getresponse()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path} was answered {answer.status}: {answer.read()!r}")
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()


def rows_of(table: str, **parameters: Any) -> str:
    """The path of a table's rows."""
    query = f"?{urlencode(parameters)}" if parameters else ""
    return f"{API}/tables/{quote(table, safe='')}/rows{query}"
