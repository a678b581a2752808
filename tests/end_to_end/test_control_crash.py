"""A server is killed while its control plane is changed, and no acknowledged change is lost.

Each maker makes things of one kind, one after the other, and remembers what was acknowledged. A
request that got no answer may have been done or not; one that was sent again with the same
Idempotency-Key is done once. `PIXELFLIGHT_TEST_CRASH=long` kills more often.
"""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from flight_server.client import connect
from flight_server.testing.server import ServerProcess, running_server

API = "/api/v1"
TABLE = "counted"
# How often one made thing is taken away again.
REMOVED_EVERY = 3
ANSWER_SECONDS_MAX = 10

Body = Callable[[int], dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """Things of one kind: how one is made, where they are listed, and what tells one of them.

    `removed_by` is where one that is called so is taken away; '' where none is.
    """

    path: str
    body: Body
    listed: str
    called: str
    removed_by: str = ""


KINDS = (
    Kind(
        "/auth/users",
        lambda n: {"name": f"user-{n}", "password": f"correct horse {n}", "roles": ["reader"]},
        "users",
        "name",
        "/auth/users/{}",
    ),
    Kind("/auth/api-keys", lambda n: {"name": f"key-{n}", "roles": ["reader"]}, "api_keys", "id"),
    Kind("/auth/roles", lambda n: {"name": f"role-{n}"}, "roles", "name", "/auth/roles/{}"),
    Kind(
        "/auth/grants",
        lambda n: {"role": "clerks", "actions": ["read"], "table": f"{TABLE}_{n}"},
        "grants",
        "id",
        "/auth/grants/{}",
    ),
    Kind("/workspaces", lambda n: {"name": f"space-{n}"}, "workspaces", "name"),
    Kind(
        f"/tables/{TABLE}/tags",
        lambda n: {"name": f"tag-{n}"},
        "tags",
        "name",
        f"/tables/{TABLE}/tags/{{}}",
    ),
    Kind("/views", lambda n: {"view": f"view_{n}", "sql": f"from {TABLE}"}, "views", "view"),
)


@dataclass
class Maker:
    """Makes things of one kind until it is told to stop. `unsure` are those without an answer."""

    kind: Kind
    numbers: itertools.count[int] = field(default_factory=itertools.count)
    there: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    acknowledged: int = 0

    def step(self, client: httpx.Client) -> None:
        """Makes one, or takes one away."""
        number = next(self.numbers)
        if self.kind.removed_by and number % REMOVED_EVERY == REMOVED_EVERY - 1 and self.there:
            self._remove(client, sorted(self.there)[0])
            return
        body = self.kind.body(number)
        if self.kind.called in body:
            self.unsure.add(body[self.kind.called])
        answer = succeeded(client.post(API + self.kind.path, json=body)).json()
        name = str(answer.get(self.kind.called, body.get(self.kind.called)))
        self.unsure.discard(name)
        self.there.add(name)
        self.acknowledged += 1

    def _remove(self, client: httpx.Client, name: str) -> None:
        self.there.discard(name)
        self.unsure.add(name)
        succeeded(client.delete(API + self.kind.removed_by.format(name)))
        self.unsure.discard(name)
        self.gone.add(name)
        self.acknowledged += 1

    def check(self, client: httpx.Client) -> None:
        """What was acknowledged is there, and what was taken away is not."""
        answer = succeeded(client.get(API + self.kind.path)).json()
        listed = answer[self.kind.listed]
        found = {one if isinstance(one, str) else str(one[self.kind.called]) for one in listed}
        assert self.there <= found, f"{self.kind.path} lost {sorted(self.there - found)}"
        assert not self.gone & found, f"{self.kind.path} has {sorted(self.gone & found)} again"
        self.there |= self.unsure & found
        self.unsure.clear()


@dataclass
class Counter:
    """Inserts one row after the other, each with a key under which it may be sent again."""

    number: int = 0
    acknowledged: int = 0

    def step(self, client: httpx.Client) -> None:
        """Sends the row that is due; the same one again where there was no answer."""
        path = f"{API}/tables/{TABLE}/rows"
        headers = {"idempotency-key": f"row {self.number}"}
        succeeded(client.post(path, json={"n": self.number}, headers=headers))
        self.number += 1
        self.acknowledged += 1

    def check(self, client: httpx.Client) -> None:
        """Every acknowledged row is there once, and at most one more."""
        answer = succeeded(client.post(f"{API}/query", json={"sql": f"select n from {TABLE}"}))
        found = sorted(row["n"] for row in answer.json()["rows"])
        assert found in (list(range(self.number)), list(range(self.number + 1)))


def succeeded(answer: httpx.Response) -> httpx.Response:
    """The answer, which must be a success; a server that is being killed is none."""
    assert answer.is_success, f"{answer.request.url}: {answer.status_code} {answer.text[:500]}"
    return answer


@pytest.mark.timeout(600)
def test_no_acknowledged_change_of_the_control_plane_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    is_long = os.environ.get("PIXELFLIGHT_TEST_CRASH") == "long"
    kills, chance = (25 if is_long else 2), random.Random(random.randrange(2**32))
    makers: list[Maker | Counter] = [*(Maker(kind) for kind in KINDS), Counter()]
    for life in range(kills + 1):
        with running_server(tmp_path / "data", log_level="WARNING") as server:
            with client_of(server) as client:
                if life == 0:
                    prepare(server, client)
                for maker in makers:
                    maker.check(client)
            if life < kills:
                live_and_die(server, makers, chance.uniform(0.5, 2.0))
    done = sum(maker.acknowledged for maker in makers)
    with capsys.disabled():
        print(f"\ncontrol plane: {kills} kills, {done} acknowledged changes")
    assert all(maker.acknowledged for maker in makers), "somebody never did a thing"
    assert done > 20 * kills


def prepare(server: ServerProcess, client: httpx.Client) -> None:
    """What the makers need."""
    with connect(server.url, server.key) as flight:
        flight.create_table(TABLE, pa.schema([("n", pa.int64())]))
    succeeded(client.post(f"{API}/auth/roles", json={"name": "clerks"}))


def client_of(server: ServerProcess) -> httpx.Client:
    """A client of the administrator's."""
    headers = {"authorization": f"Bearer {server.key}"}
    return httpx.Client(base_url=server.http, headers=headers, timeout=ANSWER_SECONDS_MAX)


def live_and_die(server: ServerProcess, makers: list[Maker | Counter], seconds: float) -> None:
    """All makers at work at once, until the server is killed under them."""
    broken: list[BaseException] = []

    def work(maker: Maker | Counter) -> None:
        with client_of(server) as client:
            try:
                while True:
                    maker.step(client)
            except httpx.TransportError:
                return  # Killed: whether the last one was done is unsure.
            except BaseException as error:
                broken.append(error)

    threads = [threading.Thread(target=work, args=[maker]) for maker in makers]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end and not broken:
        time.sleep(0.02)
    server.kill()
    for thread in threads:
        thread.join(ANSWER_SECONDS_MAX + 5)
    if broken:
        raise broken[0]
