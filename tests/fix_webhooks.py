"""Receivers of webhooks, in this process: they keep what comes, and answer as they are told to."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from standardwebhooks import Webhook

from flight_server.client import Client, connect
from flight_server.testing.server import local_server
from tests.fix_http import TwoDoors, two_doors
from tests.fix_server import QUIET

V1 = "/api/v1"
HOOKS = f"{V1}/batch/webhooks"
ONE = pa.table({"id": pa.array([1], pa.int64())})
WAIT_SECONDS_MAX = 30.0


@dataclass(frozen=True)
class Came:
    """One attempt, as it came; names of headers are small."""

    path: str
    headers: dict[str, str]
    text: str

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text)
        return found

    @property
    def event(self) -> str:
        return str(self.body["event"])

    def check(self, secret: str) -> None:
        """By the specification's own library, and by the field that there was before."""
        Webhook(secret).verify(self.text, self.headers)
        signed, _, signature = self.text.rpartition(',"signature":"sha256=')
        digest = hmac.new(secret.encode(), f"{signed}}}".encode(), hashlib.sha256).hexdigest()
        assert signature == f'{digest}"}}'


@dataclass(frozen=True)
class Reply:
    """What a receiver answers, after so many seconds. Status 0 is to close without an answer."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class Receiver:
    """Answers with the replies that wait, each once, and else with `always`."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        self.came: list[Came] = []
        self.replies: deque[Reply] = deque()
        self.always = Reply()
        self._changed = threading.Condition()
        self._server = _Server((address, port), _Handler)
        self._server.receiver = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def take(self, came: Came) -> Reply:
        with self._changed:
            self.came.append(came)
            self._changed.notify_all()
            return self.replies.popleft() if self.replies else self.always

    def wait(self, count: int, path: str | None = None) -> list[Came]:
        """What has come, once it is so much."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.of(path)) >= count, WAIT_SECONDS_MAX):
                raise AssertionError(f"{len(self.of(path))} of {count} came: {self.of(path)}")
            return self.of(path)

    def of(self, path: str | None) -> list[Came]:
        return [one for one in self.came if path in (None, one.path)]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    receiver: Receiver


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["content-length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.receiver.take(Came(self.path, headers, text))
        time.sleep(reply.seconds)
        if not reply.status:
            self.close_connection = True
            return
        # Whoever has waited too long is gone by now.
        with suppress(OSError):
            self.send_response(reply.status)
            for name, value in {"Content-Length": "0", **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def receivers() -> Iterator[Callable[..., Receiver]]:
    """Starts receivers."""
    with ExitStack() as closing:

        def start(*place: Any) -> Receiver:
            receiver = Receiver(*place)
            closing.callback(receiver.close)
            return receiver

        yield start


@pytest.fixture
def receiver(receivers: Callable[..., Receiver]) -> Receiver:
    return receivers()


def eventually(done: Callable[[], bool], what: str) -> None:
    """Waits until something has become so."""
    until = time.monotonic() + WAIT_SECONDS_MAX
    while not done():
        assert time.monotonic() < until, f"it did not happen: {what}"
        time.sleep(0.02)


@contextmanager
def serving_hooks(folder: Path, **more: Any) -> Iterator[TwoDoors]:
    """A server that may dial receivers of this machine.

    One hook stays, so that what delivers does not end with each test.
    """
    settings = {**QUIET, "outbound_networks": ("127.0.0.1/32",), "webhook_timeout_seconds": 1.0}
    with local_server(folder, **settings | more) as server, two_doors(server) as opened:
        with opened.client() as api:
            made = api.post(HOOKS, json={"url": "http://127.0.0.1:9/", "events": ["job.started"]})
            api.patch(f"{HOOKS}/{made.json()['id']}", json={"active": False})
        yield opened


@pytest.fixture
def admin_client(doors: TwoDoors) -> Iterator[Client]:
    """The administrator's client of Flight."""
    with connect(doors.flight.url, doors.key) as opened:
        yield opened


@pytest.fixture
def hook(doors: TwoDoors, receiver: Receiver) -> Iterator[Callable[..., dict[str, Any]]]:
    """Makes hooks that lead to the receiver, and ends them with the test."""
    with doors.client() as api:
        ids = []

        def make(*events: str, by: httpx.Client = api, **more: Any) -> dict[str, Any]:
            given = {"url": receiver.url("/"), "events": events or ["*"], **more}
            answer = by.post(HOOKS, json=given)
            assert answer.status_code == 201, answer.text
            ids.append(answer.json()["id"])
            found: dict[str, Any] = answer.json()
            return found

        yield make
        for made in ids:
            api.delete(f"{HOOKS}/{made}")


def named() -> str:
    """The name of a table that no other test uses."""
    return f"t{uuid.uuid4().hex[:8]}"


def deliveries(api: httpx.Client, hook: dict[str, Any], **wanted: Any) -> list[dict[str, Any]]:
    """What was sent to a hook and is to be."""
    answer = api.get(f"{HOOKS}/{hook['id']}/deliveries", params=wanted)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found
