"""A server that is killed has lost no change of users, keys and tokens that it told of."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from flight_server.testing.server import running_server

ROUNDS = 2
OPERATIONS_MIN = 30
AUTH = "/api/v1/auth"


@dataclass
class Told:
    """What the server has answered; what it was doing when it died is in neither."""

    keys: list[str] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    users: dict[str, bool] = field(default_factory=dict)
    refresh: str = ""
    operations: int = 0


def work(url: str, admin: str, told: Told, name: str) -> None:
    """Changes one thing after the other until the server is gone."""
    headers = {"authorization": f"Bearer {admin}"}
    with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
        try:
            for number in range(100_000):
                step(client, admin, told, f"{name} {number}")
                told.operations += 1
        except httpx.TransportError:
            return


def step(client: httpx.Client, admin: str, told: Told, name: str) -> None:
    body = {"name": name, "roles": ["reader"]}
    made = client.post(f"{AUTH}/api-keys", json=body).json()
    told.keys.append(made["key"])
    # From the request on, until it is answered, either state is right.
    key = told.keys.pop(random.randrange(len(told.keys)))
    client.delete(f"{AUTH}/api-keys/{key.split('_')[1]}").raise_for_status()
    told.revoked.append(key)
    kept = client.post(f"{AUTH}/api-keys", json={**body, "name": f"{name} kept"}).json()
    told.keys.append(kept["key"])
    client.post(f"{AUTH}/users", json={"name": f"user {name}"}).raise_for_status()
    told.users[f"user {name}"] = True
    before, told.refresh = told.refresh, ""
    login = {"refresh_token": before} if before else {"api_key": admin}
    told.refresh = client.post(f"{AUTH}/token", json=login).json()["refresh_token"]


def check(url: str, admin: str, told: Told) -> None:
    with httpx.Client(base_url=url, timeout=30) as client:

        def status(key: str) -> int:
            headers = {"authorization": f"Bearer {key}"}
            return client.get(f"{AUTH}/me", headers=headers).status_code

        assert {status(key) for key in told.keys} == {200}
        assert {status(key) for key in told.revoked} == {401}
        headers = {"authorization": f"Bearer {admin}"}
        users = client.get(f"{AUTH}/users", headers=headers).json()["users"]
        assert set(told.users) <= {user["name"] for user in users}
        if told.refresh:
            body = {"refresh_token": told.refresh}
            answer = client.post(f"{AUTH}/token/refresh", json=body)
            told.refresh = answer.json()["refresh_token"]


@pytest.mark.timeout(300)
def test_a_killed_server_forgets_nothing_that_it_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    everything = [Told(), Told()]
    for number in range(ROUNDS):
        with running_server(data) as server:
            for told in everything:
                if told.keys:
                    check(server.http, server.key, told)
            threads = [
                threading.Thread(target=work, args=(server.http, server.key, told, f"{number} {n}"))
                for n, told in enumerate(everything)
            ]
            for thread in threads:
                thread.start()
            until = time.monotonic() + 60
            wanted = (number + 1) * OPERATIONS_MIN / ROUNDS + random.random()
            while sum(told.operations for told in everything) < wanted:
                assert time.monotonic() < until
                time.sleep(random.random() / 100)
            server.kill()
            for thread in threads:
                thread.join()
    assert sum(told.operations for told in everything) >= OPERATIONS_MIN
    with running_server(data) as server:
        for told in everything:
            check(server.http, server.key, told)
