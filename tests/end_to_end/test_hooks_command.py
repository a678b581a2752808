"""Webhooks on the command line, and over Flight by the client that it is made of."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from flight_server.client import Client, connect
from flight_server.errors import LimitExceeded, NotFound
from flight_server.testing.server import LocalServer, local_server
from tests.fix_server import QUIET
from tests.fix_webhooks import Receiver, Reply, eventually

ONE = pa.table({"id": pa.array([1], pa.int64())})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    settings = {**QUIET, "outbound_networks": ("127.0.0.1/32",), "webhooks_max": 2}
    with local_server(tmp_path, **settings) as running:
        yield running


@pytest.fixture
def admin(server: LocalServer) -> Iterator[Client]:
    with connect(server.url, server.key) as opened:
        yield opened


def hooks(
    server: LocalServer, *arguments: str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flight_server", "hooks", *arguments]
    where = ["--url", server.url, "--key", server.key]
    return subprocess.run(
        [*command, *where], input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


def done(server: LocalServer, *arguments: str, stdin: str = "") -> tuple[str, str]:
    ended = hooks(server, *arguments, stdin=stdin)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip(), ended.stderr


def test_a_hook_from_its_making_to_its_end(
    server: LocalServer, admin: Client, receiver: Receiver
) -> None:
    options = ["-e", "table.created,data.inserted", "-t", "t", "--header", "X-Team=fleet"]
    retry = ["--retries", "1", "--retry-delay", "0"]
    secret, said = done(server, "create", receiver.url(), *options, *retry)
    hook = said.split()[1].rstrip(".")
    (listed,) = map(json.loads, done(server, "list", "-O", "json")[0].splitlines())
    assert (listed["id"], listed["tables"], listed["active"]) == (hook, "t", True)

    assert "answered 204" in done(server, "test", hook)[1]
    receiver.wait(1)[0].check(secret)
    receiver.replies.append(Reply(500))
    failed = hooks(server, "test", hook)
    assert (failed.returncode, "status 500" in failed.stderr) == (1, True)

    receiver.replies.extend([Reply(500), Reply(500)])
    admin.create_table("t", ONE.schema)
    asked = ("deliveries", hook, "--status", "failed", "-O", "json")
    eventually(lambda: "table.created" in done(server, *asked)[0], "it is given up")
    assert "2 are sent again" in done(server, "replay", hook, "--failed")[1]
    assert receiver.wait(6)[-1].headers["x-team"] == "fleet"

    renewed, said = done(server, "rotate", hook, "--overlap", "0")
    assert (renewed != secret, "has ended" in said) == (True, True)
    assert "at rest" in done(server, "change", hook, "--off")[1]
    shown = done(server, "show", hook)[0]
    assert secret not in shown
    assert renewed not in shown
    assert "fleet" not in shown
    assert "is removed" in done(server, "remove", hook)[1]
    assert done(server, "list", "-O", "json")[0] == ""


def test_a_secret_is_read_from_a_file_and_mistakes_are_told(
    server: LocalServer, receiver: Receiver
) -> None:
    made = done(
        server, "create", receiver.url(), "-e", "*", "--secret-file", "-", stdin="my own secret!!\n"
    )
    assert made[0] == "my own secret!!"
    hook = made[1].split()[1].rstrip(".")
    for arguments, says in (
        (("create", "http://10.0.0.1/", "-e", "*"), "outbound_networks"),
        (("create", receiver.url(), "-e", "data.insert"), "Did you mean 'data.inserted'?"),
        (("create", receiver.url(), "-e", "*", "--header", "x"), "is not NAME=VALUE"),
        (("show", "wh_1"), "no webhook with the id 'wh_1'"),
        (("change", hook), "Say what is to be changed"),
        (("replay", hook), "or give --failed"),
        (("replay", hook, "msg_1"), "no delivery with the id 'msg_1'"),
    ):
        ended = hooks(server, *arguments)
        assert (ended.returncode != 0, says in ended.stderr) == (True, True), ended.stderr


def test_the_client(admin: Client, receiver: Receiver) -> None:
    made = admin.create_webhook(
        receiver.url(), ["data.*"], tables=["t"], headers={"X-A": "1"}, retry_config={}
    )
    assert made["retry_config"] == {"max_retries": 3, "retry_delay_seconds": 60.0}
    again = admin.create_webhook(receiver.url("/2"), ["job.failed"], secret="a secret of mine")
    with pytest.raises(LimitExceeded, match="2 are allowed"):
        admin.create_webhook(receiver.url(), ["*"])
    assert [hook["id"] for hook in admin.webhooks()] == [made["id"], again["id"]]
    changed = admin.change_webhook(made["id"], events=["data.inserted"], active=True)
    assert changed == admin.webhook(made["id"])
    admin.put("t", ONE, mode="create")
    receiver.wait(1)[0].check(made["secret"])
    eventually(lambda: admin.deliveries(made["id"])[0]["status"] == "delivered", "it is told")
    (delivery,) = admin.deliveries(made["id"], status="delivered")
    assert admin.replay_delivery(made["id"], delivery["id"])["status"] == "pending"
    assert {one.id for one in receiver.wait(2)} == {delivery["id"]}
    renewed = admin.rotate_webhook(made["id"])
    assert renewed["previous_secret_until"] is not None
    assert admin.test_webhook(made["id"])["status"] == "delivered"
    receiver.wait(3)[-1].check(renewed["secret"])
    admin.delete_webhook(made["id"])
    with pytest.raises(NotFound, match="There is no webhook"):
        admin.webhook(made["id"])
