"""The routes of the HTTP door, as the OpenAPI document has them, and a place to ask them in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from control_api.app import PREFIX
from tests.fix_http import TwoDoors
from tests.fix_permissions import new_role

# What stands in paths where it does not matter what: a table with a key, and its only row.
IN_PATHS = {"table": "vault.t", "values": "1", "row": "0", "namespace": "vault"}
TABLE = {
    "table": "vault.t",
    "columns": [
        {"name": "id", "type": "int64", "nullable": False, "constraints": {"minimum": 0}},
        {"name": "x", "type": "string"},
    ],
    "key": ["id"],
}
# A hook that hears of nothing, so that its address is never dialled.
HOOK = {"url": "https://93.184.216.34/", "events": ["job.started"], "active": False}


@dataclass(frozen=True)
class Route:
    """One route under the prefix, with a path that can be asked for."""

    operation: str
    method: str
    path: str
    described: Mapping[str, Any]

    @property
    def statuses(self) -> set[int]:
        """What it may answer with."""
        return {int(status) for status in self.described["responses"]}

    @property
    def headers(self) -> set[str]:
        """The headers that it takes."""
        given = self.described.get("parameters", ())
        return {one["name"] for one in given if one["in"] == "header"}

    def ask(self, client: httpx.Client, **options: Any) -> httpx.Response:
        """A request of it."""
        return client.request(self.method, self.path, **options)


@dataclass(frozen=True)
class Vault:
    """A namespace with one of everything in it. `ids` is what stands for ids in paths."""

    ids: Mapping[str, str]

    def path(self, path: str) -> str:
        """The path below the prefix, with ids where their names stand in braces."""
        return PREFIX + path.format_map(self.ids)


@pytest.fixture(scope="module")
def routes(api: httpx.Client) -> list[Route]:
    """Every route under the prefix."""
    return routes_of(api)


@pytest.fixture(scope="module")
def vault(doors: TwoDoors, api: httpx.Client) -> Vault:
    """What requests can be about, in the module's server."""
    return furnished(api)


def routes_of(api: httpx.Client) -> list[Route]:
    """Every route under the prefix of a server."""
    found = [
        Route(operation["operationId"], method.upper(), _filled(path), operation)
        for path, methods in api.get("/openapi.json").json()["paths"].items()
        for method, operation in methods.items()
        if path.startswith(f"{PREFIX}/")
    ]
    assert len(found) > 60
    return found


def furnished(api: httpx.Client) -> Vault:
    """Makes one of everything."""

    def make(path: str, body: Any = None) -> Any:
        answer = api.post(PREFIX + path, json=body)
        assert answer.is_success, f"{path}: {answer.text}"
        return answer.json()

    make("/namespaces", {"namespace": "vault"})
    created = make("/tables", TABLE)["commit"]
    version = make("/tables/vault.t/rows", [{"id": 1, "x": "secret"}])["commit"]
    lost = {"table": "vault.lost", "columns": [{"name": "id", "type": "int64"}]}
    make("/tables", lost)
    for name, source in (("v", "t"), ("broken", "lost")):
        make("/views", {"view": f"vault.{name}", "sql": f"select * from vault.{source}"})
    kept = {"sql": "select id from vault.t", "materialized": True}
    make("/views", {"view": "vault.kept", **kept})
    make(
        "/views", {"view": "vault.stale", "sql": "select id from vault.lost", "materialized": True}
    )
    assert api.delete(f"{PREFIX}/tables/vault.lost").is_success
    make("/tables", lost | {"table": "vault.emptied"})
    make("/tables/vault.emptied/rows", {"id": 1})
    assert api.delete(f"{PREFIX}/tables/vault.emptied/rows?all=true&soft=true").is_success
    make("/snapshots", {"name": "s", "table": "vault.t"})
    make("/tables/vault.t/tags", {"name": "g", "version": version})
    make("/workspaces", {"name": "w"})
    make("/auth/users", {"name": "ada", "password": "correct horse battery"})
    make("/auth/roles", {"name": "r"})
    grant = make("/auth/grants", {"role": "r", "actions": ["read"], "table": "vault.t"})
    key = make("/auth/api-keys", {"name": "of nobody", "roles": ["admin"]})
    ended = make("/auth/api-keys", {"name": "ended", "roles": ["reader"]})
    assert api.delete(f"{PREFIX}/auth/api-keys/{ended['id']}").is_success
    versions = {"created": str(created), "version": str(version)}
    ids = {"id": grant["id"], "key": key["id"], "ended": ended["id"], **versions}
    return Vault(ids | _background(make))


@pytest.fixture(scope="module")
def without_rights(doors: TwoDoors, api: httpx.Client) -> Iterator[httpx.Client]:
    """Somebody who has a role, and may do nothing with it."""
    with doors.client(doors.key_of(new_role(api), name="stranger")) as client:
        yield client


@pytest.fixture(scope="module")
def feeder(doors: TwoDoors, api: httpx.Client, vault: Vault) -> Iterator[httpx.Client]:
    """Somebody who knows of a table and a view in the vault, and may not read them."""
    grants = [
        {"table": f"vault.{name}", "actions": [action]}
        for name, action in (("t", "insert"), ("v", "alter"))
    ]
    with doors.client(doors.key_of(new_role(api, *grants), name="feeder")) as client:
        yield client


@pytest.fixture(scope="module")
def reader(doors: TwoDoors, vault: Vault) -> Iterator[httpx.Client]:
    """Somebody who may read everything and change nothing."""
    with doors.client(doors.key_of("reader", name="reader")) as client:
        yield client


def _background(make: Callable[..., Any]) -> dict[str, str]:
    """Makes what works in the background, and does nothing; gives its ids."""
    job = {"job_type": "table_recompute", "parameters": {"table_name": "vault.kept"}}
    return {
        "job": make("/batch/jobs", job)["job_id"],
        "schedule": make("/batch/schedules", {"cron": "0 4 1 1 *", "job": job})["schedule_id"],
        "hook": make("/batch/webhooks", HOOK)["id"],
        "upload": make("/batch/uploads", {"name": "secret.csv"})["upload_id"],
    }


def _filled(path: str) -> str:
    names = [part.partition("}")[0] for part in path.split("{")[1:]]
    return path.format_map({name: IN_PATHS.get(name, "nobody") for name in names})
