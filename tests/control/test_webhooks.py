"""Webhooks over HTTP: made by whom, told of what, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from flight_server.client import Client
from tests.fix_http import TwoDoors
from tests.fix_permissions import new_role, refused
from tests.fix_webhooks import HOOKS, ONE, V1, Receiver, deliveries, named, serving_hooks


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoDoors]:
    with serving_hooks(tmp_path_factory.mktemp("hooks")) as opened:
        yield opened


def test_a_secret_is_shown_once_and_headers_never(
    api: httpx.Client, hook: Callable[..., dict[str, Any]]
) -> None:
    made = hook("data.inserted", headers={"Authorization": "Bearer of-the-receiver"})
    assert made.pop("secret").startswith("whsec_")
    assert made["headers"] == {"Authorization": "***"}
    assert api.get(f"{HOOKS}/{made['id']}").json() == made
    assert made in api.get(HOOKS).json()["webhooks"]


def test_what_happens_to_a_table_is_told(
    admin_client: Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    table, to = named(), named()
    made = hook("table.*", "data.*", tables=[table, to], headers={"X-Team": "fleet"})
    admin_client.put(table, ONE, mode="create")
    admin_client.put(table, ONE)
    admin_client.update(table, {"id": "2"}, "id = 1")
    admin_client.execute(f"ALTER TABLE {table} ADD COLUMN more INT")
    admin_client.delete(table, "id = 2")
    admin_client.execute(f"ALTER TABLE {table} RENAME TO {to}")
    admin_client.drop_table(to)
    came = receiver.wait(8)
    told = sorted(
        (one.body["data"]["commit"], one.event, one.body["data"].get("rows")) for one in came
    )
    first = told[0][0]
    assert [(commit - first, event, rows) for commit, event, rows in told] == [
        (0, "data.inserted", 1),
        (0, "table.created", None),
        (1, "data.inserted", 1),
        (2, "data.updated", 2),
        (3, "table.updated", None),
        (4, "data.deleted", 2),
        (5, "table.updated", None),
        (6, "table.deleted", None),
    ]
    for one in came:
        one.check(made["secret"])
        assert set(one.body) == {"webhook_id", "event", "timestamp", "data", "signature"}
        assert one.body["webhook_id"] == made["id"]
        assert one.body["data"]["principal"] == "admin"
        assert one.headers["x-team"] == "fleet"
        assert one.headers["content-type"] == "application/json"
    assert len({one.id for one in came}) == len(came)
    (renamed,) = [one for one in came if "renamed_to" in one.body["data"]]
    assert (renamed.body["data"]["table"], renamed.body["data"]["renamed_to"]) == (table, to)


def test_a_hook_hears_of_its_events_and_tables_from_now_on(
    admin_client: Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    table, other = named(), named()
    admin_client.put(table, ONE, mode="create")
    hook("data.inserted", tables=[table])
    admin_client.put(other, ONE, mode="create")
    admin_client.update(table, {"id": "7"}, "id = 1")
    admin_client.put(table, ONE)
    hook("data.inserted", tables=[table], url=receiver.url("/later"))
    admin_client.put(table, ONE)
    receiver.wait(1, "/later")
    came = receiver.wait(2, "/")
    assert [one.body["data"]["table"] for one in came] == [table, table]
    assert len(receiver.came) == 3


def test_a_namespace_is_a_filter(
    admin_client: Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    place = named()
    admin_client.create_namespace(place)
    admin_client.create_namespace(f"{place}/in")
    hook("table.created", tables=[f"{place}.*"])
    admin_client.create_table(named(), ONE.schema)
    admin_client.create_table(f"{place}.a", ONE.schema)
    admin_client.create_table(f"{place}/in.b", ONE.schema)
    came = receiver.wait(2)
    assert {one.body["data"]["table"] for one in came} == {f"{place}.a", f"{place}/in.b"}


def test_only_what_the_owner_may_see_is_told(
    doors: TwoDoors,
    api: httpx.Client,
    admin_client: Client,
    receiver: Receiver,
    hook: Callable[..., dict[str, Any]],
    sign_in: Callable[..., httpx.Client],
) -> None:
    open_, partly, hidden = named(), named(), named()
    for table in (open_, partly, hidden):
        admin_client.create_table(table, ONE.schema)
    role = new_role(
        api,
        {"actions": ["read"], "table": open_},
        {"actions": ["read"], "table": partly, "rows": "id > 1"},
    )
    reader = sign_in(role)
    made = hook("*", by=reader)
    for table in (hidden, partly, open_):
        admin_client.put(table, ONE)
    admin_client.execute(f"ALTER TABLE {open_} RENAME TO {named()}")
    came = receiver.wait(3)
    told = {(one.event, one.body["data"]["table"]): one.body["data"] for one in came}
    assert set(told) == {
        ("data.inserted", partly),
        ("data.inserted", open_),
        ("table.updated", open_),
    }
    assert told["data.inserted", open_]["rows"] == 1
    assert "rows" not in told["data.inserted", partly]
    assert "renamed_to" not in told["table.updated", open_]
    assert [one["event"] for one in deliveries(reader, made)].count("data.inserted") == 2


def test_others_know_nothing_of_a_hook(
    api: httpx.Client, sign_in: Callable[..., httpx.Client], hook: Callable[..., dict[str, Any]]
) -> None:
    owner, other = sign_in("writer"), sign_in("writer")
    made = hook("data.*", by=owner)
    path = f"{HOOKS}/{made['id']}"
    asked = [
        other.get(path),
        other.patch(path, json={"active": False}),
        other.delete(path),
        other.post(f"{path}/rotate"),
        other.post(f"{path}/test"),
        other.get(f"{path}/deliveries"),
        other.post(f"{path}/deliveries/msg_1/replay"),
    ]
    missing = other.get(f"{HOOKS}/wh_none")
    for answer in asked:
        told = answer.text.replace(made["id"], "wh_none")
        assert refused(answer)[:2] == (404, "not_found")
        assert told.split("request_id")[0] == missing.text.split("request_id")[0]
    assert other.get(HOOKS).json() == {"webhooks": []}
    assert api.get(path).status_code == owner.get(path).status_code == 200


def test_a_narrower_credential_knows_nothing_of_a_wider_ones_hook(
    doors: TwoDoors, hook: Callable[..., dict[str, Any]]
) -> None:
    doors.services.users.create("wanda", ["writer"], created_by="test")
    keys = [
        doors.services.keys.create(f"k{n}", owner="wanda", created_by="test", scopes=scopes)[0]
        for n, scopes in enumerate((None, ["read"]))
    ]
    with doors.client(keys[0]) as wide, doors.client(keys[1]) as narrow:
        of_wide, of_narrow = hook("data.*", by=wide), hook("data.*", by=narrow)
        assert narrow.get(f"{HOOKS}/{of_wide['id']}").status_code == 404
        assert wide.get(f"{HOOKS}/{of_narrow['id']}").status_code == 200


def test_ten_are_enough(sign_in: Callable[..., httpx.Client]) -> None:
    writer = sign_in("writer")
    given = {"url": "http://127.0.0.1:9/", "events": ["job.completed"]}
    made = [writer.post(HOOKS, json=given).json()["id"] for _ in range(10)]
    status, code, message = refused(writer.post(HOOKS, json=given))
    assert (status, code) == (429, "limit_exceeded")
    assert "10" in message
    for one in made:
        assert writer.delete(f"{HOOKS}/{one}").status_code == 204
    assert writer.get(HOOKS).json() == {"webhooks": []}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"url": "http://169.254.169.254/latest"}, "outbound_networks"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, "outbound_networks"),
        ({"url": "http://2852039166/"}, "outbound_networks"),
        ({"url": "ftp://127.0.0.1/"}, "must begin with http"),
        ({"url": "http://me:secret-word@127.0.0.1/"}, "user name"),
        ({"events": []}, "at least one event"),
        ({"events": ["data.insert"]}, "Did you mean 'data.inserted'?"),
        ({"tables": []}, "leave it out"),
        ({"tables": ["a.b.c.d"]}, "not a table name"),
        ({"headers": {"Host": "example.com"}}, "'Host' is the server's"),
        ({"headers": {"webhook-id": "1"}}, "the server's"),
        ({"headers": {"X-A": "secret-word\r\nX-B: 1"}}, "printable ASCII"),
        ({"headers": {"X-A": 7317}}, "headers"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "twice"),
        ({"secret": "words"}, "has 5 bytes"),
        ({"secret": "whsec_secret-word!"}, "goes on in base64"),
        ({"retry_config": {"max_retries": 1000}}, "max_retries"),
        ({"evnets": ["*"]}, "evnets"),
    ],
)
def test_what_is_wrong_is_said(api: httpx.Client, given: dict[str, Any], says: str) -> None:
    answer = api.post(HOOKS, json={"url": "http://127.0.0.1/", "events": ["*"]} | given)
    assert answer.status_code in (400, 403)
    assert says in answer.text
    error = answer.json()["error"]
    # The request's id is made of such digits, too.
    assert not re.search("secret-word|7317", f"{error['message']} {error['details']}")


def test_a_hook_is_not_led_inward_later(
    api: httpx.Client, hook: Callable[..., dict[str, Any]]
) -> None:
    made = hook("table.created")
    answer = api.patch(f"{HOOKS}/{made['id']}", json={"url": "http://10.0.0.1/"})
    assert refused(answer)[:2] == (403, "address_refused")
    assert api.get(f"{HOOKS}/{made['id']}").json()["url"] == made["url"]


def test_nothing_secret_is_kept_in_the_trail(
    doors: TwoDoors, api: httpx.Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    secret = "a-secret-of-my-own"
    made = hook("*", url=receiver.url("/hidden/path?token=t0ken"), secret=secret)
    path = f"{HOOKS}/{made['id']}"
    api.patch(path, json={"headers": {"X-Key": "h1dden-value"}, "secret": secret + "2"})
    api.post(f"{path}/rotate", json={"secret": secret + "3"})
    api.post(f"{path}/test")
    api.delete(path)
    doors.services.audit.settle()
    trail = api.get(f"{V1}/audit", params={"limit": 1000}).text
    assert made["id"] in trail
    for word in (secret, "hidden/path", "t0ken", "h1dden-value", made["secret"]):
        assert word not in trail
