"""Jobs over HTTP: submitted, done by a worker's process, told of, ended, begun again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from flight_server.testing.server import LocalServer, local_server
from tests.fix_http import TwoDoors
from tests.fix_server import QUIET

JOBS = "/api/v1/batch/jobs"
SECONDS_MAX = 60
ROW = {"tail": "N1", "seats": 4}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """One whose jobs are done."""
    settings: dict[str, Any] = {**QUIET, "job_workers": 1, "job_grace_seconds": 1}
    with local_server(tmp_path_factory.mktemp("jobs"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def table(api: httpx.Client) -> str:
    rows = {"table": "planes", "rows": [ROW], "key": ["tail"]}
    assert api.post("/api/v1/tables", json=rows).status_code == 201
    assert api.post("/api/v1/tables/planes/rows", json=rows["rows"]).status_code < 300
    return "planes"


def batch(*operations: dict[str, Any], **more: Any) -> dict[str, Any]:
    parameters = {"operations": list(operations), **more.pop("parameters", {})}
    return {"job_type": "batch_operation", "parameters": parameters, **more}


def insert(tail: str) -> dict[str, Any]:
    return {"operation": "insert", "table": "planes", "data": [{"tail": tail, "seats": 1}]}


def submitted(api: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(JOBS, json=job)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ended(api: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    """The job once it has ended."""
    until = time.monotonic() + SECONDS_MAX
    while time.monotonic() < until:
        found: dict[str, Any] = api.get(f"{JOBS}/{job['job_id']}").json()
        if found["status"] not in ("pending", "running"):
            return found
        time.sleep(0.02)
    raise AssertionError(f"{found} goes on")


def count(api: httpx.Client, tail: str) -> int:
    rows = api.get("/api/v1/tables/planes/rows", params={"where": f"tail = '{tail}'"}).json()
    return len(rows["rows"])


def test_a_batch_is_done_in_the_background(api: httpx.Client, table: str) -> None:
    job = submitted(api, batch(insert("B1"), insert("B2"), priority=7))
    assert (job["status"], job["progress"], job["priority"]) == ("pending", 0.0, 7)
    done = ended(api, job)
    assert (done["status"], done["progress"], done["attempt"]) == ("completed", 100.0, 1)
    assert done["result"]["successful"] == 2
    assert (done["rows"], done["rows_total"], done["seconds_left"]) == (2, 2, None)
    assert done["started_at"] <= done["completed_at"]
    assert (count(api, "B1"), count(api, "B2")) == (1, 1)


def test_the_shape_that_earlier_users_know(api: httpx.Client, table: str) -> None:
    body = batch(insert("S1"), webhook_url="https://example.com/", timeout_seconds=3600)
    job = submitted(api, {**body, "webhook_events": ["job.completed", "failed"]})
    known = {
        "job_id", "job_type", "status", "progress", "parameters", "result", "error",
        "created_at", "started_at", "completed_at", "logs",
    }  # fmt: skip
    assert known <= set(job)
    assert (job["webhook_url"], job["webhook_events"]) == (
        "https://example.com/",
        ["completed", "failed"],
    )
    ended(api, job)


def test_operations_that_fail_fail_the_job(api: httpx.Client, table: str) -> None:
    wrong = {"operation": "update", "table": "planes", "where": {"sets": 1}, "set": {"seats": 2}}
    done = ended(api, submitted(api, batch(insert("F1"), wrong)))
    assert (done["status"], done["error"]["code"]) == ("failed", "column_not_found")
    assert "sets" in done["error"]["message"]
    assert [line["level"] for line in done["logs"]] == ["error", "error"]
    assert count(api, "F1") == 0


def test_what_goes_on_behind_a_failure_tells_of_it(api: httpx.Client, table: str) -> None:
    wrong = {"operation": "delete", "table": "nowhere", "where": {"a": 1}}
    job = batch(wrong, insert("G1"), parameters={"continue_on_error": True})
    done = ended(api, submitted(api, job))
    assert done["status"] == "completed"
    assert (done["result"]["successful"], done["result"]["failed"]) == (1, 1)
    assert "nowhere" in done["logs"][0]["text"]
    assert count(api, "G1") == 1


def test_a_view_is_recomputed(api: httpx.Client, table: str) -> None:
    view = {"view": "seats", "sql": "select sum(seats) as n from planes", "materialized": True}
    assert api.post("/api/v1/views", json=view).status_code == 201
    ended(api, submitted(api, batch(insert("R1"))))
    job = {"job_type": "table_recompute", "parameters": {"table_name": "seats"}}
    done = ended(api, submitted(api, job))
    assert (done["status"], done["result"]["mode"], done["rows"]) == ("completed", "full", 1)
    again = ended(api, submitted(api, job))
    assert (again["status"], again["result"]["mode"]) == ("completed", None)


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({"job_type": "data_imprt"}, "The field 'job_type' of the body is"),
        ({"job_type": "custom", "priorty": 3}, "Did you mean 'priority'?"),
        ({"job_type": "custom", "priority": 11}, "The field 'priority' of the body is 11"),
        (
            {"job_type": "media_processing", "timeout_seconds": 10**6},
            "a job may take 86400 at most",
        ),
        ({"job_type": "custom", "parameters": {}}, "needs the field 'name'"),
        ({"job_type": "custom", "parameters": {"name": "x"}}, "None is allowed"),
        ({"job_type": "batch_operation", "parameters": {}}, "needs the field 'operations'"),
        ({"job_type": "table_recompute", "parameters": {"table": "x"}}, "has no field 'table'"),
        ({"job_type": "custom", "webhook_url": "ftp://x/"}, "begin with https://"),
        ({"job_type": "custom", "webhook_events": ["done"]}, "The field 'webhook_events.0'"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(
    api: httpx.Client, job: dict[str, Any], says: str
) -> None:
    answer = api.post(JOBS, json={"parameters": {"name": "x"}, **job})
    assert answer.status_code == 400, answer.text
    assert says in answer.json()["error"]["message"]


def test_media_has_no_operations_yet_and_says_so(api: httpx.Client) -> None:
    job = {"job_type": "media_processing", "parameters": {"operation": "thumbnail"}}
    done = ended(api, submitted(api, job))
    assert (done["status"], done["error"]["code"]) == ("failed", "unsupported")
    assert "There are: none." in done["error"]["message"]


def test_a_job_may_do_what_its_owner_may_and_no_more(doors: TwoDoors, table: str) -> None:
    with doors.client(doors.key_of("reader", name="reader")) as reader:
        done = ended(reader, submitted(reader, batch(insert("P1"))))
    assert (done["status"], done["error"]["code"]) == ("failed", "forbidden")
    assert done["created_by"] == "reader"


def test_a_job_runs_within_the_scopes_it_was_submitted_with(doors: TwoDoors, table: str) -> None:
    key = doors.key_of("admin", name="narrow", scopes=["read"])
    with doors.client(key) as narrow:
        done = ended(narrow, submitted(narrow, batch(insert("P2"))))
    assert (done["status"], done["error"]["code"]) == ("failed", "forbidden")


def test_others_jobs_do_not_exist(doors: TwoDoors, api: httpx.Client, table: str) -> None:
    job = submitted(api, batch(insert("O1")))
    ended(api, job)
    with doors.client(doors.key_of("writer", name="other")) as other:
        for method, path in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/retry"),
            ("GET", "/logs"),
        ):
            hidden = other.request(method, f"{JOBS}/{job['job_id']}{path}")
            missing = other.request(method, f"{JOBS}/nothing{path}")
            assert (hidden.status_code, missing.status_code) == (404, 404)
            assert hidden.json()["error"]["code"] == "job_not_found"
            assert (
                hidden.json()["error"]["message"].replace(job["job_id"], "nothing")
                == (missing.json()["error"]["message"])
            )
        assert other.get(JOBS).json()["jobs"] == []
        mine = submitted(other, batch(insert("O2")))
        assert [one["job_id"] for one in other.get(JOBS).json()["jobs"]] == [mine["job_id"]]
    # An administrator sees all of them.
    assert mine["job_id"] in {one["job_id"] for one in api.get(JOBS).json()["jobs"]}
    assert ended(api, mine)["created_by"] == "other"


def test_jobs_are_listed_in_pages(api: httpx.Client, table: str) -> None:
    ids = [submitted(api, batch(insert(f"L{n}")))["job_id"] for n in range(3)]
    first = api.get(JOBS, params={"limit": 2, "job_type": "batch_operation"}).json()
    rest = api.get(JOBS, params={"limit": 1, "cursor": first["cursor"]}).json()
    assert [one["job_id"] for one in first["jobs"] + rest["jobs"]] == ids[::-1]
    for one in ids:
        assert ended(api, {"job_id": one})["status"] == "completed"


def test_a_job_that_has_ended_cannot_be_ended_again(api: httpx.Client, table: str) -> None:
    job = submitted(api, batch(insert("E1")))
    ended(api, job)
    for refused in (
        api.delete(f"{JOBS}/{job['job_id']}"),
        api.post(f"{JOBS}/{job['job_id']}/retry"),
    ):
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "job_over")


def test_a_workspace_has_so_many_jobs_an_hour(start_doors: Callable[..., TwoDoors]) -> None:
    doors = start_doors(limit_jobs="2/hour")
    with doors.client() as admin:
        for number in range(2):
            submitted(admin, batch(insert(f"W{number}")))
        refused = admin.post(JOBS, json=batch(insert("W3")))
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "limit_exceeded")
        assert 3500 < int(refused.headers["retry-after"]) <= 3600
        limits = {"limits": {"jobs": "3/hour"}}
        assert admin.patch("/api/v1/workspaces/default", json=limits).status_code == 200
        submitted(admin, batch(insert("W3")))


def test_a_job_that_waits_is_cancelled_and_begun_again(
    start_doors: Callable[..., TwoDoors],
) -> None:
    doors = start_doors()
    with doors.client() as admin:
        job = submitted(admin, batch(insert("C1")))
        place = f"{JOBS}/{job['job_id']}"
        assert admin.delete(place).json()["status"] == "cancelled"
        assert admin.delete(place).json()["status"] == "cancelled"
        assert admin.post(f"{place}/retry").json()["status"] == "pending"
        trail = admin.get("/api/v1/audit", params={"resource": f"job:{job['job_id']}"}).json()
        assert [entry["action"] for entry in trail["entries"]] == [
            "retry_job",
            "cancel_job",
            "submit_job",
        ]


def test_a_schedule_is_kept_and_switched(api: httpx.Client, doors: TwoDoors, table: str) -> None:
    place = "/api/v1/batch/schedules"
    body = {"cron": "0 4 * * *", "timezone": "Europe/Berlin", "job": batch(insert("T1"))}
    made = api.post(place, json=body).json()
    one = f"{place}/{made['schedule_id']}"
    assert (made["active"], made["job"]["job_type"]) == (True, "batch_operation")
    assert made["next_at"].endswith(":00:00Z")
    assert api.patch(one, json={"active": False}).json()["next_at"] is None
    assert api.patch(one, json={"active": True}).json()["next_at"] == made["next_at"]
    with doors.client(doors.key_of("writer", name="stranger")) as stranger:
        assert stranger.get(one).status_code == 404
        assert stranger.get(place).json() == {"schedules": []}
    assert api.delete(one).status_code == 204
    assert api.get(one).json()["error"]["code"] == "job_not_found"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cron": "every day"}, "give minute, hour"),
        ({"cron": "61 * * * *"}, "bad minute"),
        ({"cron": "* * * * * *"}, "give minute, hour"),
        ({"timezone": "Mars/Olympus"}, "no time zone 'Mars/Olympus'"),
        ({"job": {"job_type": "custom", "parameters": {"name": "x"}}}, "None is allowed"),
    ],
)
def test_a_schedule_that_never_comes_is_refused(
    api: httpx.Client, change: dict[str, Any], says: str
) -> None:
    body = {"cron": "0 4 * * *", "job": batch(insert("T2"))}
    answer = api.post("/api/v1/batch/schedules", json=body | change)
    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]


def test_what_a_job_does_is_counted_in_no_rate(start_doors: Callable[..., TwoDoors]) -> None:
    doors = start_doors(limit_batch="1/hour", job_workers=1)
    with doors.client() as admin:
        assert admin.post("/api/v1/tables", json={"table": "planes", "rows": [ROW]}).is_success
        jobs = [submitted(admin, batch(insert(f"R{number}"))) for number in range(3)]
        assert {ended(admin, job)["status"] for job in jobs} == {"completed"}
