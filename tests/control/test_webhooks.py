"""Webhooks over HTTP: what is told to whom, how it is signed, and what when nobody takes it."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from flight_server.client import Client, connect
from flight_server.testing.server import local_server
from tests.fix_http import TwoDoors, two_doors
from tests.fix_permissions import new_role, refused
from tests.fix_server import QUIET
from tests.fix_webhooks import Receiver, Reply, eventually

V1 = "/api/v1"
HOOKS = f"{V1}/batch/webhooks"
ONE = pa.table({"id": pa.array([1], pa.int64())})
SOON = {"max_retries": 5, "retry_delay_seconds": 0}


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoDoors]:
    """A server that may dial receivers of this machine.

    One hook stays, so that what delivers does not end with each test.
    """
    folder = tmp_path_factory.mktemp("hooks")
    more = {"outbound_networks": ("127.0.0.1/32",), "webhook_timeout_seconds": 1.0}
    with local_server(folder, **QUIET, **more) as server, two_doors(server) as opened:
        with opened.client() as api:
            made = api.post(HOOKS, json={"url": "http://127.0.0.1:9/", "events": ["job.started"]})
            api.patch(f"{HOOKS}/{made.json()['id']}", json={"active": False})
        yield opened


@pytest.fixture
def client(doors: TwoDoors) -> Iterator[Client]:
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


def named(name: str = "") -> str:
    """The name of a table that no other test uses."""
    return f"t{uuid.uuid4().hex[:8]}{name}"


def deliveries(api: httpx.Client, hook: dict[str, Any], **wanted: Any) -> list[dict[str, Any]]:
    answer = api.get(f"{HOOKS}/{hook['id']}/deliveries", params=wanted)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


def test_a_secret_is_shown_once_and_headers_never(
    api: httpx.Client, hook: Callable[..., dict[str, Any]]
) -> None:
    made = hook("data.inserted", headers={"Authorization": "Bearer of-the-receiver"})
    assert made.pop("secret").startswith("whsec_")
    assert made["headers"] == {"Authorization": "***"}
    assert api.get(f"{HOOKS}/{made['id']}").json() == made
    assert made in api.get(HOOKS).json()["webhooks"]


def test_what_happens_to_a_table_is_told(
    client: Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    table, to = named(), named()
    made = hook("table.*", "data.*", tables=[table, to], headers={"X-Team": "fleet"})
    client.put(table, ONE, mode="create")
    client.put(table, ONE)
    client.update(table, {"id": "2"}, "id = 1")
    client.execute(f"ALTER TABLE {table} ADD COLUMN more INT")
    client.delete(table, "id = 2")
    client.execute(f"ALTER TABLE {table} RENAME TO {to}")
    client.drop_table(to)
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
    client: Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    table, other = named(), named()
    client.put(table, ONE, mode="create")
    hook("data.inserted", tables=[table])
    client.put(other, ONE, mode="create")
    client.update(table, {"id": "7"}, "id = 1")
    client.put(table, ONE)
    hook("data.inserted", tables=[table], url=receiver.url("/later"))
    client.put(table, ONE)
    receiver.wait(1, "/later")
    came = receiver.wait(2, "/")
    assert [one.body["data"]["table"] for one in came] == [table, table]
    assert len(receiver.came) == 3


def test_a_namespace_is_a_filter(
    client: Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    place = named()
    client.create_namespace(place)
    client.create_namespace(f"{place}/in")
    hook("table.created", tables=[f"{place}.*"])
    client.create_table(named(), ONE.schema)
    client.create_table(f"{place}.a", ONE.schema)
    client.create_table(f"{place}/in.b", ONE.schema)
    came = receiver.wait(2)
    assert {one.body["data"]["table"] for one in came} == {f"{place}.a", f"{place}/in.b"}


def test_only_what_the_owner_may_see_is_told(
    doors: TwoDoors,
    api: httpx.Client,
    client: Client,
    receiver: Receiver,
    hook: Callable[..., dict[str, Any]],
    sign_in: Callable[..., httpx.Client],
) -> None:
    open_, partly, hidden = named(), named(), named()
    for table in (open_, partly, hidden):
        client.create_table(table, ONE.schema)
    role = new_role(
        api,
        {"actions": ["read"], "table": open_},
        {"actions": ["read"], "table": partly, "rows": "id > 1"},
    )
    reader = sign_in(role)
    made = hook("*", by=reader)
    for table in (hidden, partly, open_):
        client.put(table, ONE)
    client.execute(f"ALTER TABLE {open_} RENAME TO {named()}")
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


def test_rights_are_judged_when_it_is_sent(
    doors: TwoDoors,
    api: httpx.Client,
    client: Client,
    receiver: Receiver,
    hook: Callable[..., dict[str, Any]],
    sign_in: Callable[..., httpx.Client],
) -> None:
    table = named()
    client.create_table(table, ONE.schema)
    role = new_role(api)
    grant = api.post(
        f"{V1}/auth/grants", json={"role": role, "actions": ["read"], "table": table}
    ).json()
    reader = sign_in(role)
    made = hook("data.*", by=reader, retry_config={"max_retries": 9, "retry_delay_seconds": 1})
    receiver.replies.append(Reply(500))
    client.put(table, ONE)
    receiver.wait(1)
    eventually(lambda: deliveries(reader, made)[0]["attempts"] == 1, "it is written down")
    assert api.delete(f"{V1}/auth/grants/{grant['id']}").status_code < 300
    assert deliveries(reader, made) == []
    sent = receiver.came[0].id
    eventually(lambda: status_of(doors, sent) == "withheld", "it is withheld")
    assert len(receiver.came) == 1
    answer = reader.post(f"{HOOKS}/{made['id']}/deliveries/{sent}/replay")
    assert answer.status_code == 404


def status_of(doors: TwoDoors, delivery: str) -> str:
    """What the metastore says of a delivery; no door tells of one that is withheld."""
    path = doors.services.settings.data / "metastore.sqlite"
    with closing(sqlite3.connect(path)) as database:
        asked = "SELECT status FROM webhook_deliveries WHERE id = ?"
        ((status,),) = database.execute(asked, (delivery,)).fetchall()
    return str(status)


def test_what_fails_comes_again_under_its_id(
    api: httpx.Client, client: Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    table = named()
    made = hook("table.created", retry_config=SOON)
    receiver.replies.extend([Reply(500), Reply(0), Reply(302, {"Location": "/elsewhere"})])
    client.create_table(table, ONE.schema)
    came = receiver.wait(4)
    assert len({one.id for one in came}) == 1
    assert len({one.text for one in came}) == 1
    assert {one.path for one in came} == {"/"}
    eventually(lambda: deliveries(api, made)[0]["status"] == "delivered", "it is written down")
    (told,) = deliveries(api, made)
    assert (told["attempts"], told["response_status"], told["error"]) == (4, 204, None)


def test_one_that_is_too_slow_is_tried_again(
    api: httpx.Client, client: Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    hook("table.created", retry_config=SOON)
    receiver.replies.append(Reply(seconds=1.5))
    client.create_table(named(), ONE.schema)
    came = receiver.wait(2)
    assert came[0].id == came[1].id


def test_a_receiver_may_ask_to_be_spared(
    api: httpx.Client, client: Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    made = hook("table.created", retry_config=SOON)
    receiver.replies.append(Reply(429, {"Retry-After": "3600"}))
    client.create_table(named(), ONE.schema)
    receiver.wait(1)
    eventually(lambda: deliveries(api, made)[0]["attempts"] == 1, "it is written down")
    (told,) = deliveries(api, made)
    assert told["status"] == "pending"
    assert told["error"] == "It answered with the status 429."
    assert told["next_attempt_at"][:13] > told["attempted_at"][:13]
    answer = api.post(f"{HOOKS}/{made['id']}/deliveries/{told['id']}/replay")
    assert answer.status_code == 202
    assert {one.id for one in receiver.wait(2)} == {told["id"]}


def test_what_fails_too_often_is_given_up_and_can_be_sent_again(
    api: httpx.Client, client: Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    made = hook("table.created", retry_config={"max_retries": 1, "retry_delay_seconds": 0})
    receiver.replies.extend([Reply(500), Reply(500)])
    client.create_table(named(), ONE.schema)
    eventually(lambda: deliveries(api, made, status="failed") != [], "it is given up")
    (told,) = deliveries(api, made)
    assert (told["attempts"], told["next_attempt_at"]) == (2, None)
    api.post(f"{HOOKS}/{made['id']}/deliveries/{told['id']}/replay")
    assert len({one.id for one in receiver.wait(3)}) == 1


def test_410_ends_it(
    api: httpx.Client, client: Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    made = hook("table.created")
    receiver.replies.append(Reply(410))
    client.create_table(named(), ONE.schema)
    path = f"{HOOKS}/{made['id']}"
    eventually(lambda: not api.get(path).json()["active"], "it is disabled")
    assert "410" in api.get(path).json()["disabled_reason"]
    client.create_table(named(), ONE.schema)
    assert api.patch(path, json={"active": True}).json()["disabled_reason"] is None
    table = named()
    client.create_table(table, ONE.schema)
    assert receiver.wait(2)[1].body["data"]["table"] == table
    found = api.get(f"{V1}/audit", params={"resource": f"webhook:{made['id']}"}).json()["entries"]
    assert [one["action"] for one in found] == [
        "change_webhook",
        "disable_webhook",
        "create_webhook",
    ]


def test_one_that_keeps_failing_is_disabled(
    start_doors: Callable[..., TwoDoors], receiver: Receiver
) -> None:
    own = start_doors(outbound_networks=("127.0.0.1/32",), webhook_failing_seconds_max=0.0)
    receiver.always = Reply(503)
    given = {"url": receiver.url(), "events": ["table.created"], "retry_config": SOON}
    with own.client() as api, connect(own.flight.url, own.key) as client:
        made = api.post(HOOKS, json=given).json()
        client.create_table("t", ONE.schema)
        path = f"{HOOKS}/{made['id']}"
        eventually(lambda: not api.get(path).json()["active"], "it is disabled")
        assert "failed" in api.get(path).json()["disabled_reason"]
        receiver.always = Reply()
        # What waited goes out once it is active again.
        seen = len(receiver.came)
        api.patch(path, json={"active": True})
        assert receiver.wait(seen + 1)[-1].id == receiver.came[0].id
        assert api.get(path).json()["failing_since"] is None


def test_a_test_tells_how_it_went(
    api: httpx.Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    made = hook("job.completed")
    api.patch(f"{HOOKS}/{made['id']}", json={"active": False})
    told = api.post(f"{HOOKS}/{made['id']}/test").json()
    assert (told["event"], told["status"], told["response_status"]) == (
        "webhook.test",
        "delivered",
        204,
    )
    receiver.wait(1)[0].check(made["secret"])
    receiver.replies.append(Reply(500))
    told = api.post(f"{HOOKS}/{made['id']}/test").json()
    assert (told["status"], told["attempts"]) == ("failed", 1)


def test_both_secrets_sign_while_they_overlap(
    api: httpx.Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    made = hook("job.completed")
    path = f"{HOOKS}/{made['id']}"
    second = api.post(f"{path}/rotate", json={"overlap_seconds": 60}).json()
    assert second["secret"] != made["secret"]
    assert second["previous_secret_until"] is not None
    api.post(f"{path}/test")
    third = api.post(f"{path}/rotate", json={"overlap_seconds": 0}).json()
    api.post(f"{path}/test")
    during, after = receiver.wait(2)
    during.check(second["secret"])
    Webhook(made["secret"]).verify(during.text, during.headers)
    after.check(third["secret"])
    with pytest.raises(WebhookVerificationError):
        Webhook(second["secret"]).verify(after.text, after.headers)


def test_a_secret_can_be_brought_along(
    api: httpx.Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    made = hook("job.completed", secret="sixteen letters.")
    api.post(f"{HOOKS}/{made['id']}/test")
    (came,) = receiver.wait(1)
    Webhook(b"sixteen letters.").verify(came.text, came.headers)


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
        ({"secret": "secret-word"}, "has 11 bytes"),
        ({"secret": "whsec_secret-word!"}, "goes on in base64"),
        ({"retry_config": {"max_retries": 1000}}, "max_retries"),
        ({"evnets": ["*"]}, "evnets"),
    ],
)
def test_what_is_wrong_is_said(api: httpx.Client, given: dict[str, Any], says: str) -> None:
    answer = api.post(HOOKS, json={"url": "http://127.0.0.1/", "events": ["*"]} | given)
    assert answer.status_code in (400, 403)
    assert says in answer.text
    assert "secret-word" not in answer.text
    assert "7317" not in answer.text


def test_an_address_that_may_not_be_dialled_any_more_is_not(
    start_doors: Callable[..., TwoDoors], receiver: Receiver, tmp_path: Path
) -> None:
    """A name may lead elsewhere later; here it is the setting that says so."""
    with (
        local_server(tmp_path / "own", **QUIET, outbound_networks=("127.0.0.1/32",)) as server,
        two_doors(server) as before,
        before.client() as api,
    ):
        made = api.post(HOOKS, json={"url": receiver.url(), "events": ["*"]}).json()
    after = start_doors(data=tmp_path / "own")
    with after.client(before.key) as api:
        told = api.post(f"{HOOKS}/{made['id']}/test").json()
    assert told["status"] == "failed"
    assert "does not connect" in told["error"]
    assert receiver.came == []


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
