"""Limits, alike on both doors, and what clients are told of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.errors import InvalidRequest, LimitExceeded
from flight_server.operations.limits import RouteClass
from flight_server.settings import load
from tests.fix_client import Client, refusal
from tests.fix_http import TwoDoors
from tests.fix_lake import wait_until

CREATE = {"mode": "append", "create_if_missing": True}
ARROW = {"content-type": "application/vnd.apache.arrow.stream"}


def arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body: bytes = sink.getvalue().to_pybytes()
    return body


def numbers(count: int) -> pa.Table:
    return pa.table({"a": pa.array(range(count), pa.int64())})


def told(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return error


def limit_workspace(doors: TwoDoors, limits: Mapping[str, Any]) -> None:
    """Gives the server's own workspace these limits."""
    with doors.client() as admin:
        changed = admin.patch("/api/v1/workspaces/default", json={"limits": limits})
    assert changed.status_code == 200, changed.text


def test_a_rate_is_told_before_and_when_it_is_used_up(start_doors: Callable[..., TwoDoors]) -> None:
    doors = start_doors(limit_read="3/2second")
    with doors.client() as admin:
        answers = [admin.get("/api/v1/namespaces") for _ in range(4)]
        assert [one.status_code for one in answers] == [200, 200, 200, 429]
        assert [one.headers["ratelimit-remaining"] for one in answers] == ["2", "1", "0", "0"]
        assert {one.headers["ratelimit-limit"] for one in answers} == {"3"}
        assert {one.headers["ratelimit-policy"] for one in answers} == {'"read";q=3;w=2'}
        refused = answers[-1]
        wait = int(refused.headers["retry-after"])
        assert refused.headers["ratelimit-reset"] == str(wait)
        assert refused.headers["ratelimit"] == f'"read";r=0;t={wait}'
        error = told(refused)
        assert error["code"] == "limit_exceeded"
        assert error["retryable"] is True
        assert error["details"]["limit"] == 3
        assert error["details"]["retry_after_seconds"] == wait
        # Writing is another class, and has no limit here.
        made = admin.post("/api/v1/namespaces", json={"namespace": "n"})
        assert made.status_code == 201
        assert "ratelimit-limit" not in made.headers
        # Whoever waits as long as was told is let in.
        time.sleep(wait)
        again = admin.get("/api/v1/namespaces")
        assert (again.status_code, again.headers["ratelimit-remaining"]) == (200, "2")


def test_both_doors_count_together_and_each_principal_alone(
    start_doors: Callable[..., TwoDoors], connect: Callable[..., Client]
) -> None:
    doors = start_doors(limit_read="3/hour", limit_write="1/hour")
    client = connect(doors.flight)
    client.action("health")
    client.put(numbers(1), ingest={"table": "t", **CREATE})
    with doors.client() as admin:
        assert admin.get("/api/v1/namespaces").headers["ratelimit-remaining"] == "1"
        assert admin.post("/api/v1/namespaces", json={"namespace": "n"}).status_code == 429
    client.action("health")
    found = refusal(lambda: client.action("health"))
    assert found.code == "limit_exceeded"
    assert found.shape["details"] | {"retry_after_seconds": 0} == {
        "limit": 3,
        "remaining": 0,
        "retry_after_seconds": 0,
        "window_seconds": 3600,
        "rate": "read",
    }
    assert 3500 < found.shape["details"]["retry_after_seconds"] <= 3600
    found = refusal(lambda: client.put(numbers(1), ingest={"table": "t", **CREATE}))
    assert found.code == "limit_exceeded"
    other = connect(doors.flight, doors.key_of("reader"))
    assert other.action("health")["status"] == "ready"


def test_the_tightest_of_several_rates_is_told(start_doors: Callable[..., TwoDoors]) -> None:
    doors = start_doors(limit_admin="5/minute; 2/hour")
    with doors.client() as admin:
        answers = [admin.get("/api/v1/usage") for _ in range(3)]
    assert [one.headers["ratelimit-policy"] for one in answers] == ['"admin";q=2;w=3600'] * 3
    assert [one.status_code for one in answers] == [200, 200, 429]


def test_wrong_credentials_are_limited_by_address_and_good_ones_are_not(
    start_doors: Callable[..., TwoDoors], connect: Callable[..., Client]
) -> None:
    doors = start_doors(limit_auth="2/hour")
    with doors.client("pf_wrong") as stranger, doors.client() as admin:
        statuses = [stranger.get("/api/v1/namespaces").status_code for _ in range(5)]
        assert statuses == [401, 401, 429, 429, 429]
        assert int(stranger.get("/api/v1/namespaces").headers["retry-after"]) > 3000
        assert admin.get("/api/v1/namespaces").status_code == 200
        found = refusal(lambda: connect(doors.flight, "pf_wrong").action("health"))
        assert found.code == "limit_exceeded"
        # Whoever tries for long does not fill the audit trail.
        entries = admin.get("/api/v1/audit", params={"outcome": "refused"}).json()["entries"]
        codes = [entry["code"] for entry in reversed(entries)]
        assert codes == ["unauthenticated", "unauthenticated", "limit_exceeded"]


def test_streams_are_limited_alike(
    start_doors: Callable[..., TwoDoors], connect: Callable[..., Client]
) -> None:
    doors = start_doors(streams_max=1, batch_bytes=65536)
    client = connect(doors.flight)
    client.put(numbers(4_000_000), ingest={"table": "t", **CREATE})
    stream = client.stream(b'{"scan": {"table": "t"}}')
    next(iter(stream))
    try:
        found = refusal(lambda: client.read(scan={"table": "t"}))
        assert (found.code, found.shape["details"]["limit"]) == ("limit_exceeded", 1)
        found = refusal(lambda: client.put(numbers(1), ingest={"table": "t", **CREATE}))
        assert found.code == "limit_exceeded"
        with doors.client() as admin:
            refused = admin.get("/api/v1/tables/t/rows", params={"limit": 1})
            assert (refused.status_code, told(refused)["code"]) == (429, "limit_exceeded")
            assert refused.headers["retry-after"] == "1"
            body = arrow(numbers(1))
            refused = admin.post("/api/v1/tables/t/rows", content=body, headers=ARROW)
            assert refused.status_code == 429
    finally:
        stream.cancel()
    wait_until(lambda: not doors.services.limits._streams, "the stream has ended")
    with doors.client() as admin:
        whole = admin.get("/api/v1/tables/t/rows", params={"limit": 100_000})
        assert len(whole.json()["rows"]) == 100_000
    wait_until(lambda: not doors.services.limits._streams, "that one has, too")


def test_requests_and_results_that_are_too_large_are_refused_alike(
    start_doors: Callable[..., TwoDoors], connect: Callable[..., Client]
) -> None:
    doors = start_doors(request_rows_max=100, result_rows_max=150, batch_bytes=4096)
    client = connect(doors.flight)
    for _ in range(2):
        client.put(numbers(100), ingest={"table": "t", **CREATE})
    found = refusal(lambda: client.put(numbers(101), ingest={"table": "t", **CREATE}))
    assert (found.code, found.shape["details"]["limit"]) == ("too_large", 100)
    assert "100 rows" in found.message
    found = refusal(lambda: client.read(scan={"table": "t"}))
    assert (found.code, found.shape["details"]["limit"]) == ("too_large", 150)
    assert client.read(scan={"table": "t", "limit": 150}).num_rows == 150
    with doors.client() as admin:
        url = "/api/v1/tables/t/rows"
        refused = admin.post(url, content=arrow(numbers(101)), headers=ARROW)
        assert (refused.status_code, told(refused)["code"]) == (413, "too_large")
        assert told(refused)["details"]["limit"] == 100
        assert admin.post(url, json=[{"a": 1}] * 101).status_code == 413
        refused = admin.get(url)
        assert (refused.status_code, told(refused)["code"]) == (413, "too_large")
        assert admin.get(url, params={"limit": 150}).status_code == 200
        count = admin.get(url, params={"limit": 1})
        assert count.status_code == 200
    assert client.action("describe_table", table="t")["rows"] == 200, "nothing of them is there"


def test_bytes_are_limited_alike(
    start_doors: Callable[..., TwoDoors], connect: Callable[..., Client]
) -> None:
    doors = start_doors(request_bytes_max=8000, result_bytes_max=4063)
    client = connect(doors.flight)
    client.put(numbers(1000), ingest={"table": "t", **CREATE})
    found = refusal(lambda: client.put(numbers(1001), ingest={"table": "t", **CREATE}))
    assert found.shape["details"] == {"limit": 8000, "remaining": 0, "unit": "bytes"}
    # What comes from a table has a bit for each row that says whether it is null.
    assert client.read(scan={"table": "t", "limit": 500}).num_rows == 500
    found = refusal(lambda: client.read(scan={"table": "t", "limit": 501}))
    assert found.code == "too_large"
    with doors.client() as admin:
        body = arrow(numbers(1001))
        refused = admin.post("/api/v1/tables/t/rows", content=body, headers=ARROW)
        assert refused.status_code == 413
        assert admin.get("/api/v1/tables/t/rows", params={"limit": 501}).status_code == 413


def test_a_workspace_may_have_limits_of_its_own(
    start_doors: Callable[..., TwoDoors], connect: Callable[..., Client]
) -> None:
    doors = start_doors(limit_read="1/hour")
    limit_workspace(doors, {"read": "1000/hour", "request_rows_max": 5, "streams_max": 0})
    client = connect(doors.flight)
    for _ in range(3):
        client.action("health")
    found = refusal(lambda: client.put(numbers(1), ingest={"table": "t", **CREATE}))
    assert found.shape["details"]["limit"] == 0
    limit_workspace(doors, {"read": "", "request_rows_max": 5})
    found = refusal(lambda: client.put(numbers(6), ingest={"table": "t", **CREATE}))
    assert found.shape["details"]["limit"] == 5
    client.put(numbers(5), ingest={"table": "t", **CREATE})


def test_limits_of_a_workspace_are_checked_when_they_are_set(api: httpx.Client) -> None:
    url = "/api/v1/workspaces/default"
    refused = api.patch(url, json={"limits": {"reads": "1/hour"}})
    assert refused.status_code == 400
    assert "Did you mean 'read'?" in told(refused)["message"]
    refused = api.patch(url, json={"limits": {"quotas": {"rows_in_per_day": -1}}})
    assert refused.status_code == 400


def test_workspaces_do_not_share_limits_or_quotas(start_doors: Callable[..., TwoDoors]) -> None:
    doors = start_doors()
    with doors.client() as admin:
        for name in ("films", "books"):
            assert admin.post("/api/v1/workspaces", json={"name": name}).status_code == 201
        quotas = {"limits": {"quotas": {"requests_per_day": 2}}}
        assert admin.patch("/api/v1/workspaces/films", json=quotas).status_code == 200
    keys = {name: doors.key_of("reader", name=name, workspace=name) for name in ("films", "books")}
    statuses = {}
    for name, key in keys.items():
        with doors.client(key) as client:
            statuses[name] = [client.get("/api/v1/namespaces").status_code for _ in range(4)]
    assert statuses == {"films": [200, 200, 429, 429], "books": [200] * 4}


def test_a_rate_is_exact_under_many_threads(start_doors: Callable[..., TwoDoors]) -> None:
    doors = start_doors(limit_read="100/hour")
    principal = doors.services.keys.list()[0].principal
    admitted: list[int] = []

    def ask() -> None:
        for _ in range(50):
            try:
                doors.services.limits.admit(principal, RouteClass.READ)
            except LimitExceeded:
                return
            admitted.append(1)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 100


@pytest.mark.parametrize("wrong", ["fast", "0/minute", "-1/minute", "5/fortnight", "5"])
def test_a_wrong_rate_is_refused_at_the_start(wrong: str) -> None:
    with pytest.raises(InvalidRequest, match="limit_read"):
        load(environment={"PIXELFLIGHT_LIMIT_READ": wrong})


def test_a_client_of_flight_that_was_limited_can_go_on(
    start_doors: Callable[..., TwoDoors], connect: Callable[..., Client]
) -> None:
    doors = start_doors(limit_read="1/second")
    client = connect(doors.flight)
    client.action("health")
    with pytest.raises(flight.FlightError):
        client.action("health")
    time.sleep(1.05)
    assert client.action("health")["status"] == "ready"
