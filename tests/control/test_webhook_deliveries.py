"""What becomes of deliveries: signed, tried again, given up, withheld, sent once more."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from flight_server.client import Client, connect
from flight_server.testing.server import local_server
from tests.fix_http import TwoDoors, two_doors
from tests.fix_permissions import new_role
from tests.fix_server import QUIET
from tests.fix_webhooks import (
    HOOKS,
    ONE,
    V1,
    Receiver,
    Reply,
    deliveries,
    eventually,
    named,
    serving_hooks,
)

SOON = {"max_retries": 5, "retry_delay_seconds": 0}


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoDoors]:
    with serving_hooks(tmp_path_factory.mktemp("hooks")) as opened:
        yield opened


def status_of(doors: TwoDoors, delivery: str) -> str:
    """What the metastore says of a delivery; no door tells of one that is withheld."""
    path = doors.services.settings.data / "metastore.sqlite"
    with closing(sqlite3.connect(path)) as database:
        asked = "SELECT status FROM webhook_deliveries WHERE id = ?"
        ((status,),) = database.execute(asked, (delivery,)).fetchall()
    return str(status)


def test_rights_are_judged_when_it_is_sent(
    doors: TwoDoors,
    api: httpx.Client,
    admin_client: Client,
    receiver: Receiver,
    hook: Callable[..., dict[str, Any]],
    sign_in: Callable[..., httpx.Client],
) -> None:
    table = named()
    admin_client.create_table(table, ONE.schema)
    role = new_role(api)
    grant = api.post(
        f"{V1}/auth/grants", json={"role": role, "actions": ["read"], "table": table}
    ).json()
    reader = sign_in(role)
    made = hook("data.*", by=reader, retry_config={"max_retries": 9, "retry_delay_seconds": 1})
    receiver.replies.append(Reply(500))
    admin_client.put(table, ONE)
    receiver.wait(1)
    eventually(lambda: deliveries(reader, made)[0]["attempts"] == 1, "it is written down")
    assert api.delete(f"{V1}/auth/grants/{grant['id']}").status_code < 300
    assert deliveries(reader, made) == []
    sent = receiver.came[0].id
    eventually(lambda: status_of(doors, sent) == "withheld", "it is withheld")
    assert len(receiver.came) == 1
    answer = reader.post(f"{HOOKS}/{made['id']}/deliveries/{sent}/replay")
    assert answer.status_code == 404


def test_what_fails_comes_again_under_its_id(
    api: httpx.Client, admin_client: Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    table = named()
    made = hook("table.created", retry_config=SOON)
    receiver.replies.extend([Reply(500), Reply(0), Reply(302, {"Location": "/elsewhere"})])
    admin_client.create_table(table, ONE.schema)
    came = receiver.wait(4)
    assert len({one.id for one in came}) == 1
    assert len({one.text for one in came}) == 1
    assert {one.path for one in came} == {"/"}
    eventually(lambda: deliveries(api, made)[0]["status"] == "delivered", "it is written down")
    (told,) = deliveries(api, made)
    assert (told["attempts"], told["response_status"], told["error"]) == (4, 204, None)


def test_one_that_is_too_slow_is_tried_again(
    api: httpx.Client, admin_client: Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    hook("table.created", retry_config=SOON)
    receiver.replies.append(Reply(seconds=1.5))
    admin_client.create_table(named(), ONE.schema)
    came = receiver.wait(2)
    assert came[0].id == came[1].id


def test_a_receiver_may_ask_to_be_spared(
    api: httpx.Client, admin_client: Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    made = hook("table.created", retry_config=SOON)
    receiver.replies.append(Reply(429, {"Retry-After": "3600"}))
    admin_client.create_table(named(), ONE.schema)
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
    api: httpx.Client, admin_client: Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    made = hook("table.created", retry_config={"max_retries": 1, "retry_delay_seconds": 0})
    receiver.replies.extend([Reply(500), Reply(500)])
    admin_client.create_table(named(), ONE.schema)
    eventually(lambda: deliveries(api, made, status="failed") != [], "it is given up")
    (told,) = deliveries(api, made)
    assert (told["attempts"], told["next_attempt_at"]) == (2, None)
    api.post(f"{HOOKS}/{made['id']}/deliveries/{told['id']}/replay")
    assert len({one.id for one in receiver.wait(3)}) == 1


def test_410_ends_it(
    api: httpx.Client, admin_client: Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    made = hook("table.created")
    receiver.replies.append(Reply(410))
    admin_client.create_table(named(), ONE.schema)
    path = f"{HOOKS}/{made['id']}"
    eventually(lambda: not api.get(path).json()["active"], "it is disabled")
    assert "410" in api.get(path).json()["disabled_reason"]
    admin_client.create_table(named(), ONE.schema)
    assert api.patch(path, json={"active": True}).json()["disabled_reason"] is None
    table = named()
    admin_client.create_table(table, ONE.schema)
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


def test_a_courier_that_is_killed_is_followed_by_another(
    doors: TwoDoors, admin_client: Client, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    hook("table.created")
    admin_client.create_table(named(), ONE.schema)
    receiver.wait(1)
    (courier,) = doors.services.webhooks.processes
    receiver.replies.append(Reply(seconds=0.5))
    admin_client.create_table(named(), ONE.schema)
    receiver.wait(2)
    os.kill(courier, signal.SIGKILL)
    admin_client.create_table(named(), ONE.schema)
    came = receiver.wait(4)
    assert len({one.id for one in came}) == 3
    assert doors.services.webhooks.processes != [courier]


def test_what_waited_when_the_server_ended_goes_out_when_it_is_back(
    receivers: Callable[..., Receiver], tmp_path: Path
) -> None:
    gone = receivers()
    url, port = gone.url(), gone.port
    gone.close()
    more = {**QUIET, "outbound_networks": ("127.0.0.1/32",)}
    with local_server(tmp_path, **more) as server, connect(server.url, server.key) as client:
        made = client.create_webhook(url, ["table.created"], retry_config=SOON | {"max_retries": 9})
        client.change_webhook(made["id"], retry_config={"retry_delay_seconds": 1})
        client.create_table("t", ONE.schema)
        eventually(lambda: bool(client.deliveries(made["id"])), "it is in the outbox")
    receiver = receivers("127.0.0.1", port)
    with local_server(tmp_path, **more):
        (came,) = receiver.wait(1)
    assert came.body["data"]["table"] == "t"


def test_a_server_without_webhooks_runs_nothing_for_them(
    start_doors: Callable[..., TwoDoors], receiver: Receiver
) -> None:
    own = start_doors(outbound_networks=("127.0.0.1/32",))
    webhooks = own.services.webhooks
    assert not webhooks.is_running()
    with own.client() as api:
        given = {"url": receiver.url(), "events": ["*"]}
        made = api.post(HOOKS, json=given).json()
        assert webhooks.is_running()
        assert api.delete(f"{HOOKS}/{made['id']}").status_code == 204
    assert not webhooks.is_running()
    assert webhooks.processes == []
