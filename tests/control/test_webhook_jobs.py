"""What webhooks are told of jobs, and what a job tells a URL of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.fix_http import TwoDoors
from tests.fix_permissions import refused
from tests.fix_webhooks import HOOKS, Receiver, eventually, named, serving_hooks

JOBS = "/api/v1/batch/jobs"


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoDoors]:
    folder = tmp_path_factory.mktemp("hooks")
    with serving_hooks(folder, job_workers=1, job_grace_seconds=1) as opened:
        yield opened


def batch(table: str, **more: Any) -> dict[str, Any]:
    operation = {"operation": "insert", "table": table, "data": [{"id": 7}]}
    return {"job_type": "batch_operation", "parameters": {"operations": [operation]}, **more}


def submitted(api: httpx.Client, job: dict[str, Any]) -> str:
    answer = api.post(JOBS, json=job)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["job_id"])


@pytest.fixture
def table(doors: TwoDoors, api: httpx.Client) -> str:
    name = named()
    columns = [{"name": "id", "type": "int64"}]
    assert api.post("/api/v1/tables", json={"table": name, "columns": columns}).status_code == 201
    return name


def test_what_becomes_of_jobs_is_told(
    api: httpx.Client, table: str, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    made = hook("job.started", "job.completed", "job.failed", "data.inserted")
    job, wrong = submitted(api, batch(table)), submitted(api, batch("missing"))
    came = receiver.wait(5)
    told = {(one.event, one.body["data"].get("job_id")) for one in came}
    assert told == {
        ("job.started", job),
        ("job.started", wrong),
        ("data.inserted", None),
        ("job.completed", job),
        ("job.failed", wrong),
    }
    for one in came:
        one.check(made["secret"])
    (failed,) = [one for one in came if one.event == "job.failed"]
    assert failed.body["data"]["error"]["code"] == "table_not_found"


def test_jobs_of_others_are_not_told(
    api: httpx.Client,
    table: str,
    receiver: Receiver,
    hook: Callable[..., dict[str, Any]],
    sign_in: Callable[..., httpx.Client],
) -> None:
    one, other = sign_in("writer"), sign_in("writer")
    hook("job.completed", by=one)
    hook("job.completed", url=receiver.url("/admin"))
    jobs = [submitted(by, batch(table)) for by in (other, one)]
    assert {came.body["data"]["job_id"] for came in receiver.wait(2, "/admin")} == set(jobs)
    (came,) = receiver.wait(1, "/")
    assert came.body["data"]["job_id"] == jobs[1]


def test_a_job_tells_its_own_url(
    api: httpx.Client, table: str, receiver: Receiver, sign_in: Callable[..., httpx.Client]
) -> None:
    writer = sign_in("writer")
    job = submitted(writer, batch(table, webhook_url=receiver.url("/own")))
    (came,) = receiver.wait(1, "/own")
    assert (came.event, came.body["webhook_id"]) == ("job.completed", job)
    assert "signature" not in came.body
    assert "webhook-signature" not in came.headers
    path = f"{HOOKS}/{job}/deliveries"
    eventually(
        lambda: writer.get(path).json()["deliveries"][0]["status"] == "delivered",
        "it is written down",
    )
    assert refused(sign_in("writer").get(path))[:2] == (404, "not_found")
    (told,) = writer.get(path).json()["deliveries"]
    assert writer.post(f"{path}/{told['id']}/replay").status_code == 202
    assert len({one.id for one in receiver.wait(2, "/own")}) == 1


def test_a_hook_of_the_same_url_signs_for_a_job(
    api: httpx.Client, table: str, receiver: Receiver, hook: Callable[..., dict[str, Any]]
) -> None:
    made = hook("table.deleted", headers={"X-Key": "mine"})
    submitted(api, batch(table, webhook_url=receiver.url("/"), webhook_events=["started"]))
    (came,) = receiver.wait(1)
    came.check(made["secret"])
    assert (came.event, came.headers["x-key"]) == ("job.started", "mine")


def test_a_job_may_not_tell_where_the_server_may_not_connect(api: httpx.Client) -> None:
    answer = api.post(JOBS, json=batch("t", webhook_url="http://169.254.169.254/"))
    assert refused(answer)[:2] == (403, "address_refused")


def test_a_url_of_a_job_alone_is_enough_to_run(
    start_doors: Callable[..., TwoDoors], receiver: Receiver
) -> None:
    own = start_doors(outbound_networks=("127.0.0.1/32",), job_workers=1)
    with own.client() as api:
        api.post(
            "/api/v1/tables", json={"table": "t", "columns": [{"name": "id", "type": "int64"}]}
        )
        assert not own.services.webhooks.is_running()
        job = submitted(api, batch("t", webhook_url=receiver.url("/only")))
        assert own.services.webhooks.is_running()
        assert receiver.wait(1)[0].body["data"]["job_id"] == job
