"""Workspaces: made and managed over HTTP, and nothing of one is to be known in another."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.model import TableRef
from tests.fix_client import Client, refusal
from tests.fix_flight_sql import SqlClient
from tests.fix_http import TwoDoors
from tests.fix_permissions import ROWS, V1, made, new_role, new_table, new_workspace, refused

WORKSPACES = f"{V1}/workspaces"
SignIn = Callable[..., httpx.Client]
ABSENT = "absent"


def test_a_workspace_is_made_changed_listed_and_removed(api: httpx.Client) -> None:
    name = f"w{uuid.uuid4().hex[:8]}"
    told = made(api.post(WORKSPACES, json={"name": name, "description": "Theirs."}))
    assert (told["name"], told["namespaces"], told["limits"]) == (name, [name], {})
    body = {"description": "Ours.", "namespaces": [name, f"{name}-2"]}
    changed = api.patch(f"{WORKSPACES}/{name}", json=body).json()
    assert changed == told | {"description": "Ours.", "namespaces": [name, f"{name}-2"]}
    assert changed in api.get(WORKSPACES).json()["workspaces"]
    message = refused(api.delete(f"{WORKSPACES}/{name}"))
    assert message[:2] == (409, "conflict")
    assert f"has the namespace '{name}'" in message[2]
    assert api.patch(f"{WORKSPACES}/{name}", json={"namespaces": []}).status_code == 200
    assert api.delete(f"{WORKSPACES}/{name}").status_code == 204
    assert refused(api.delete(f"{WORKSPACES}/{name}")) == (
        404, "not_found", f"There is no workspace '{name}'."
    )  # fmt: skip
    # What it had is the server's own now.
    assert {name, f"{name}-2"} <= set(api.get(f"{V1}/namespaces").json()["namespaces"])


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"name": "default"}, 409, "There is a workspace 'default' already."),
        ({"name": ""}, 400, "workspace"),
        ({"name": "fresh", "namespace": "main"}, 400, "the server's own"),
        ({"name": "fresh", "namespace": "_pixelflight"}, 400, "the server's own"),
        ({"name": "fresh", "namespace": "information_schema"}, 400, "SQL keeps for itself"),
        ({"name": "fresh", "namespace": "lak:x"}, 404, "There is no catalog 'lak'."),
        ({"name": "fresh", "nmae": "x"}, 400, "nmae"),
    ],
)
def test_what_can_be_no_workspace(
    api: httpx.Client, body: dict[str, Any], status: int, message: str
) -> None:
    found = refused(api.post(WORKSPACES, json=body))
    assert found[0] == status
    assert message in found[2]
    assert "fresh" not in [one["name"] for one in api.get(WORKSPACES).json()["workspaces"]]


def test_a_namespace_is_one_workspace_s_alone(api: httpx.Client) -> None:
    first = new_workspace(api)
    found = refused(api.post(WORKSPACES, json={"name": f"{first}x", "namespace": first.upper()}))
    assert found[:2] == (409, "conflict")
    assert refused(api.post(WORKSPACES, json={"name": first}))[:2] == (409, "already_exists")
    for name in ("main", "lak:x"):
        before = api.get(WORKSPACES).json()
        body = {"description": "y", "namespaces": [name]}
        assert refused(api.patch(f"{WORKSPACES}/{first}", json=body))[0] in (400, 404)
        assert api.get(WORKSPACES).json() == before, "a part of it was done"


def test_a_workspace_stays_while_anything_is_in_it(
    doors: TwoDoors, api: httpx.Client, sign_in: SignIn
) -> None:
    name = new_workspace(api)
    theirs = sign_in("admin", workspace=name, name=f"key of {name}")
    assert theirs.post(f"{V1}/namespaces", json={"namespace": f"{name}/inner"}).status_code == 201
    assert theirs.delete(f"{V1}/namespaces/{name}").status_code == 200
    found = refused(api.delete(f"{WORKSPACES}/{name}"))
    assert found[0] == 409
    assert f"{name}/inner" in found[2]
    assert theirs.delete(f"{V1}/namespaces/{name}/inner").status_code == 200
    found = refused(api.delete(f"{WORKSPACES}/{name}"))
    assert found[0] == 409
    assert f"the key 'key of {name}'" in found[2]


def test_only_admins_of_the_server_manage_workspaces(api: httpx.Client, sign_in: SignIn) -> None:
    name, other = new_workspace(api), new_workspace(api)
    for client in (
        sign_in("admin", workspace=name),
        sign_in("writer"),
        sign_in("admin", scopes=["read"]),
    ):
        asked = [
            client.post(WORKSPACES, json={"name": other}),
            client.patch(f"{WORKSPACES}/{other}", json={"description": "x"}),
            client.patch(f"{WORKSPACES}/{ABSENT}", json={"description": "x"}),
            client.delete(f"{WORKSPACES}/{other}"),
            client.delete(f"{WORKSPACES}/{ABSENT}"),
        ]
        assert {refused(answer)[:2] for answer in asked} == {(403, "forbidden")}
        assert len({refused(answer)[2] for answer in asked}) == 1
        assert other not in client.get(WORKSPACES).text


def test_nobody_manages_them_without_a_credential(doors: TwoDoors) -> None:
    with doors.client("") as nobody:
        asked = [nobody.get(WORKSPACES), nobody.post(WORKSPACES, json={"name": "x"}),
                 nobody.patch(f"{WORKSPACES}/x", json={}),
                 nobody.delete(f"{WORKSPACES}/x")]  # fmt: skip
    assert {answer.status_code for answer in asked} == {401}


@dataclass(frozen=True)
class Neighbours:
    """Two workspaces with a table each. `admin` is the first one's administrator, on both doors."""

    mine: str
    theirs: str
    key: str
    admin: httpx.Client
    client: Client
    sql: SqlClient


@pytest.fixture(scope="module")
def two(doors: TwoDoors, api: httpx.Client) -> Iterator[Neighbours]:
    mine, theirs = new_workspace(api), new_workspace(api)
    keys = {name: doors.key_of("admin", name=f"boss of {name}", workspace=name)
            for name in (mine, theirs)}  # fmt: skip
    for name, table in ((mine, "known"), (theirs, "secret")):
        new_table(doors, f"{name}.{table}", key=keys[name])
    with doors.client(keys[theirs]) as other:
        new_role(other)
        made(other.post(f"{V1}/auth/users", json={"name": f"user of {theirs}", "roles": []}))
        answer = other.post(f"{V1}/query", json={"sql": f"DROP TABLE {theirs}.secret"})
        assert answer.status_code == 200, answer.text
        new_table(doors, f"{theirs}.secret2", key=keys[theirs])
    with doors.client(keys[mine]) as admin, closing(Client(doors.flight.url, keys[mine])) as client:
        yield Neighbours(mine, theirs, keys[mine], admin, client, SqlClient(client))


def alike(hidden: Any, missing: Any, name: str, other: str) -> None:
    """Two refusals say the same but for the name that was asked for."""
    assert hidden[2].replace(name, other) == missing[2]
    assert hidden[:2] == missing[:2]


PATHS: list[tuple[str, str, Any]] = [
    ("GET", "tables/{}.secret2/rows", None),
    ("POST", "tables/{}.secret2/rows", {"id": 1}),
    ("PATCH", "tables/{}.secret2/rows", {"where": {"id": 1}, "set": {"pay": 1}}),
    ("DELETE", "tables/{}.secret2/rows?all=true", None),
    ("GET", "tables/{}.secret2/rows/1", None),
    ("PUT", "tables/{}.secret2/rows/1", {"id": 1}),
    ("GET", "tables/{}.secret2/rows/deletions", None),
    ("GET", "auth/permissions?table={}.secret2", None),
    ("GET", "tables/{}.secret2/versions", None),
    ("GET", "tables/{}.secret2/diff?from=1", None),
    ("POST", "tables/{}.secret2/restore", {"version": 1}),
    ("GET", "tables/{}.secret2/tags", None),
    ("POST", "views", {"view": "{}.fresh", "sql": "SELECT 1 AS x"}),
    ("DELETE", "views/{}.secret2", None),
    ("GET", "auth/permissions?namespace={}", None),
    ("POST", "query", {"sql": "SELECT * FROM {}.secret2"}),
    ("POST", "query", {"sql": "SELECT 1 WHERE EXISTS (FROM {}.secret2)"}),
    ("POST", "query", {"sql": "DELETE FROM {}.secret2"}),
    ("POST", "query", {"sql": "DROP TABLE {}.secret2"}),
    ("POST", "query", {"sql": "DROP SCHEMA {}"}),
    ("POST", "query", {"sql": "DROP SCHEMA {} CASCADE"}),
    ("POST", "query", {"sql": "CREATE TABLE {}.fresh (id INTEGER)"}),
    ("POST", "query", {"sql": "CREATE TABLE {}.secret2 (id INTEGER)"}),
    ("DELETE", "namespaces/{}", None),
    ("DELETE", "namespaces/{}/inner", None),
    ("POST", "namespaces", {"namespace": "{}/inner"}),
    ("POST", "namespaces", {"namespace": "{}"}),
    ("POST", "auth/grants", {"role": "x", "actions": ["read"], "table": "{}.secret2"}),
    ("POST", "auth/grants", {"role": "x", "actions": ["read"], "namespace": "{}"}),
    ("POST", "auth/roles", {"name": "x", "workspace": "{}"}),
    ("GET", "auth/roles?workspace={}", None),
    ("GET", "auth/grants?workspace={}", None),
    ("GET", "auth/users/user of {}", None),
    ("DELETE", "auth/users/user of {}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), PATHS)
def test_over_http_it_is_told_like_what_is_missing(
    two: Neighbours, method: str, path: str, body: Any
) -> None:
    def asked(name: str) -> tuple[int, str, str]:
        text = None if body is None else json.loads(json.dumps(body).replace("{}", name))
        answer = two.admin.request(method, f"{V1}/{path.replace('{}', name)}", json=text)
        assert "secret" not in answer.text.replace(f"{name}.secret2", "")
        return refused(answer)

    hidden = asked(two.theirs)
    assert hidden[0] in (403, 404) or "is nothing of the workspace" in hidden[2]
    alike(hidden, asked(ABSENT), two.theirs, ABSENT)


CALLS: dict[str, Callable[[Client, str], object]] = {
    "scan": lambda client, name: client.read(scan={"table": f"{name}.secret2"}),
    "info": lambda client, name: client.info(name, "secret2"),
    "changes": lambda client, name: client.read(changes={"table": f"{name}.secret2", "after": 1}),
    "diff": lambda client, name: client.read(diff={"table": f"{name}.secret2", "older": 1}),
    "put": lambda client, name: client.put(ROWS, name, "secret2"),
    "make": lambda client, name: client.put(
        ROWS, ingest={"table": f"{name}.secret2", "mode": "create"}
    ),
    "make where missing": lambda client, name: client.put(
        ROWS, ingest={"table": f"{name}.secret2", "create_if_missing": True}
    ),
    "describe": lambda client, name: client.action("describe_table", table=f"{name}.secret2"),
    "undrop": lambda client, name: client.action("undrop_table", table=f"{name}.secret"),
    "rename": lambda client, name: client.action(
        "rename_table", table=f"{name}.secret2", to="known2"
    ),
    "create": lambda client, name: client.action(
        "create_table", table=f"{name}.fresh", columns=[{"name": "id", "type": "int64"}]
    ),
    "drop": lambda client, name: client.action("drop_table", table=f"{name}.secret2"),
    "drop namespace": lambda client, name: client.action("drop_namespace", namespace=name),
    "create namespace": lambda client, name: client.action("create_namespace", namespace=name),
    "versions": lambda client, name: client.action("list_versions", table=f"{name}.secret2"),
    "list": lambda client, name: list(
        client.flight.list_flights(json.dumps({"namespace": name}).encode(), client.options())
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_over_flight_it_is_told_like_what_is_missing(two: Neighbours, call: str) -> None:
    hidden, missing = (
        refusal(lambda: CALLS[call](two.client, name))  # noqa: B023
        for name in (two.theirs, ABSENT)
    )
    alike((0, hidden.code, hidden.message), (0, missing.code, missing.message), two.theirs, ABSENT)


def test_what_is_mine_is_not_moved_there(two: Neighbours) -> None:
    found = [
        refusal(lambda: two.client.action(
            "rename_table", table=f"{two.mine}.known", to=f"{name}.secret2"  # noqa: B023
        ))
        for name in (two.theirs, ABSENT)
    ]  # fmt: skip
    assert {one.code for one in found} == {"namespace_not_found"}
    assert found[0].message.replace(two.theirs, ABSENT) == found[1].message


def test_the_server_s_admins_are_no_exception(
    two: Neighbours, api: httpx.Client, client: Client
) -> None:
    """They say whose a namespace is; what is in it is not theirs."""
    for call in ("scan", "describe", "undrop", "create", "drop namespace", "list"):
        hidden, missing = (
            refusal(lambda: CALLS[call](client, name))  # noqa: B023
            for name in (two.theirs, ABSENT)
        )
        assert hidden.message.replace(two.theirs, ABSENT) == missing.message, call
    assert two.theirs not in api.get(f"{V1}/namespaces").json()["namespaces"]
    found = refused(api.get(f"{V1}/auth/permissions", params={"namespace": two.theirs}))
    assert found[:2] == (404, "namespace_not_found")


def test_no_listing_and_no_hint_names_it(two: Neighbours) -> None:
    admin, client, sql = two.admin, two.client, two.sql
    seen = [
        admin.get(f"{V1}/{path}").text
        for path in ("namespaces", "workspaces", "auth/roles", "auth/grants", "auth/users",
                     "auth/api-keys")
    ]  # fmt: skip
    seen += [str(info.descriptor.path) for info in client.flight.list_flights(
        b"", client.options())]  # fmt: skip
    seen.append(str(client.action("list_namespaces")))
    for command in ("CommandGetDbSchemas", "CommandGetTables"):
        seen.append(str(sql.get(command).to_pylist()))
    one = {"db_schema_filter_pattern": two.theirs}
    assert sql.get("CommandGetTables", **one).num_rows == 0
    assert sql.get("CommandGetDbSchemas", **one).num_rows == 0
    keys = [
        refusal(lambda: sql.get("CommandGetPrimaryKeys", table="secret2", db_schema=name))  # noqa: B023
        for name in (two.theirs, ABSENT)
    ]
    assert keys[0].message.replace(two.theirs, ABSENT) == keys[1].message
    near = two.theirs[:-1]
    for path in (f"tables/{near}.secret2/rows", f"tables/{two.theirs}.secret/rows"):
        seen.append(admin.get(f"{V1}/{path}").text.replace(f"{two.theirs}.secret'", ""))
    seen.append(admin.delete(f"{V1}/namespaces/{near}").text)
    seen.append(refusal(lambda: client.action("undrop_table", table=f"{near}.secret")).message)
    for text in seen:
        assert two.theirs not in text
        assert "secret2" not in text.replace(f"{near}.secret2", "")
    assert two.mine in seen[0]
    # What it asked for itself is in its own trail.
    entries = admin.get(f"{V1}/audit").json()["entries"]
    assert {entry["workspace"] for entry in entries} == {two.mine}


def test_tickets_and_schemas_of_another_workspace_open_nothing(
    doors: TwoDoors, two: Neighbours
) -> None:
    theirs = doors.key_of("admin", workspace=two.theirs)
    with closing(Client(doors.flight.url, theirs)) as other:
        (endpoint,) = other.info(two.theirs, "secret2").endpoints
        assert other.stream(endpoint.ticket).read_all().num_rows == ROWS.num_rows
    with pytest.raises((pa.ArrowException, flight.FlightError)):
        two.client.stream(endpoint.ticket).read_all()
    with pytest.raises(KeyError) as hidden:
        two.client.schema(two.theirs, "secret2")
    with pytest.raises(KeyError) as missing:
        two.client.schema(ABSENT, "secret2")
    assert str(hidden.value).replace(two.theirs, ABSENT) == str(missing.value)


def test_an_admin_of_a_workspace_administers_it_and_no_other(
    two: Neighbours, doors: TwoDoors, api: httpx.Client
) -> None:
    admin = two.admin
    role = new_role(admin, {"actions": ["read"], "namespace": two.mine, "columns": ["id"]})
    body = {"name": f"user of {two.mine}", "roles": [role]}
    assert made(admin.post(f"{V1}/auth/users", json=body))["workspace"] == two.mine
    elsewhere = refused(admin.post(f"{V1}/auth/users", json={"name": "x", "workspace": two.theirs}))
    assert elsewhere[0] in (403, 404)
    key = made(admin.post(f"{V1}/auth/api-keys", json={"name": "k", "roles": [role]}))["key"]
    with doors.client(key) as reader:
        rows = reader.get(f"{V1}/tables/{two.mine}.known/rows").json()["rows"]
        assert rows == [{"id": n} for n in (1, 2, 3, 4)]
    grant = {"role": role, "actions": ["read"]}
    assert made(admin.post(f"{V1}/auth/grants", json=grant | {"catalog": "lake"}))
    # Everything is everything of the workspace.
    with doors.client(key) as reader:
        assert reader.get(f"{V1}/namespaces").json()["namespaces"] == [two.mine]
    assert refused(admin.post(f"{V1}/auth/grants", json=grant | {"table": "main.t"}))[0] == 400
    # The same name is another role in another workspace.
    assert role not in api.get(f"{V1}/auth/roles").text
    assert TableRef.parse(f"{two.mine}.known").namespace == two.mine
