"""What was used, as it is counted on both doors and held against quotas."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.operations.metering import AMOUNTS
from tests.control.test_limits import ARROW, CREATE, arrow, limit_workspace, numbers, told
from tests.fix_client import Client, refusal
from tests.fix_http import TwoDoors

TODAY = dt.datetime.now(dt.UTC).date()


@pytest.fixture
def own(start_doors: Callable[..., TwoDoors]) -> TwoDoors:
    """A server on which nothing has been used yet."""
    return start_doors()


def usage(doors: TwoDoors, key: str | None = None, **wanted: Any) -> list[dict[str, Any]]:
    with doors.client(key) as client:
        answer = client.get("/api/v1/usage", params=wanted)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["usage"]
    return found


def test_what_is_counted_is_what_was_sent(own: TwoDoors, connect: Callable[..., Client]) -> None:
    """The same rows by each way, held against numbers that are known beforehand."""
    key = own.key_of("writer", name="ada")
    client = connect(own.flight, key)
    rows = numbers(1000)
    client.put(rows, ingest={"table": "t", **CREATE})
    assert client.read(scan={"table": "t"}).num_rows == 1000
    client.action("execute", sql="INSERT INTO t SELECT a FROM t LIMIT 10")
    with pytest.raises(flight.FlightError):
        client.read(scan={"table": "missing"})
    with own.client(key) as http:
        url = "/api/v1/tables/t/rows"
        assert http.post(url, content=arrow(rows), headers=ARROW).status_code == 201
        assert http.post(url, json=[{"a": 1}, {"a": 2}]).status_code == 201
        assert http.get(url, params={"limit": 500}).status_code == 200
        assert http.get("/api/v1/tables/missing/rows").status_code == 404
    (mine,) = usage(own, key)
    assert {name: mine[name] for name in AMOUNTS} == {
        "requests": 8,
        "rows_in": 1000 + 10 + 1000 + 2,
        "rows_out": 1000 + 500,
        "bytes_in": 8 * (1000 + 1000 + 2),
        # What comes from a table has a bit for each row that says whether it is null.
        "bytes_out": 8 * (1000 + 500) + 125 + 63,
        "errors": 2,
    }
    assert (mine["principal"], mine["workspace"]) == ("ada", "default")
    assert mine["day"] == TODAY.isoformat()


@pytest.mark.parametrize("form", ["application/json", ARROW["content-type"]])
def test_one_row_counts_as_one(own: TwoDoors, form: str) -> None:
    key = own.key_of("writer", name="ada")
    with own.client(key) as http:
        made = http.post(
            "/api/v1/tables/t/rows?create_if_missing=true",
            content=arrow(numbers(3)),
            headers=ARROW,
        )
        assert made.status_code == 201, made.text
        assert http.get("/api/v1/tables/t/rows/1", headers={"accept": form}).status_code == 200
    (mine,) = usage(own, key)
    assert mine["rows_out"] == 1
    assert mine["bytes_out"] >= 8


def test_everybody_sees_their_own_and_admins_all(own: TwoDoors) -> None:
    ada, bob = own.key_of("reader", name="ada"), own.key_of("reader", name="bob")
    for key in (ada, bob, bob):
        with own.client(key) as client:
            client.get("/api/v1/namespaces")
    assert [one["principal"] for one in usage(own, bob)] == ["bob"]
    everybody = {one["principal"]: one["requests"] for one in usage(own, of="all")}
    # Its own asking counts once it is done.
    assert everybody == {"ada": 1, "bob": 3}
    assert {one["principal"] for one in usage(own, of="workspace")} == {"admin", "ada", "bob"}
    with own.client(bob) as client:
        for of in ("all", "workspace"):
            assert client.get("/api/v1/usage", params={"of": of}).status_code == 403
        assert client.get("/api/v1/usage", params={"of": "nobody"}).status_code == 400


def test_who_manages_a_workspace_sees_its_usage_and_its_audit_trail(own: TwoDoors) -> None:
    with own.client() as admin:
        assert admin.post("/api/v1/workspaces", json={"name": "films"}).status_code == 201
    boss = own.key_of("admin", name="boss", workspace="films")
    member = own.key_of("reader", name="member", workspace="films")
    with own.client(member) as client:
        client.get("/api/v1/namespaces")
        assert client.get("/api/v1/audit").status_code == 403
    assert {one["principal"] for one in usage(own, boss, of="workspace")} == {"member"}
    with own.client(boss) as client:
        entries = client.get("/api/v1/audit").json()["entries"]
        assert {entry["workspace"] for entry in entries} == {"films"}
        assert {entry["principal"] for entry in entries} == {"member", "boss"}
        assert client.get("/api/v1/audit", params={"workspace": "default"}).status_code == 403
        assert client.get("/api/v1/usage", params={"of": "all"}).status_code == 403


def test_days_are_chosen(own: TwoDoors) -> None:
    with own.client() as client:
        client.get("/api/v1/namespaces")
    tomorrow = TODAY + dt.timedelta(days=1)
    assert usage(own, **{"from": TODAY.isoformat(), "to": tomorrow.isoformat()})
    assert usage(own, **{"from": tomorrow.isoformat()}) == []
    assert usage(own, to=TODAY.isoformat()) == []


def test_counters_outlive_a_restart(
    start_doors: Callable[..., TwoDoors], tmp_path: Path, connect: Callable[..., Client]
) -> None:
    doors = start_doors(data=tmp_path / "kept")
    connect(doors.flight).put(numbers(10), ingest={"table": "t", **CREATE})
    doors.flight.door.stop(0)
    doors.services.close()
    again = start_doors(data=tmp_path / "kept")
    (mine,) = usage(again)
    assert (mine["requests"], mine["rows_in"]) == (1, 10)
    day = again.services.usage.today()
    assert again.services.usage.used("default", day).rows_in == 10
    assert again.services.usage.used("default", day[:7]).rows_in == 10


def test_a_quota_lets_what_has_begun_end_and_refuses_what_comes_after(
    own: TwoDoors, connect: Callable[..., Client]
) -> None:
    limit_workspace(own, {"quotas": {"rows_in_per_day": 100, "rows_out_per_month": 1000}})
    client = connect(own.flight)
    client.put(numbers(60), ingest={"table": "t", **CREATE})
    client.put(numbers(60), ingest={"table": "t", **CREATE})
    found = refusal(lambda: client.put(numbers(1), ingest={"table": "t", **CREATE}))
    assert found.code == "limit_exceeded"
    assert found.shape["details"]["quota"] == "rows_in_per_day"
    assert 0 < found.shape["details"]["retry_after_seconds"] <= 24 * 3600
    with own.client() as admin:
        refused = admin.post("/api/v1/tables/t/rows", json={"a": 1})
        assert (refused.status_code, told(refused)["code"]) == (429, "limit_exceeded")
        wait = int(refused.headers["retry-after"])
        midnight = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=wait)
        assert midnight.date() > TODAY
        # Whoever manages it can still see why.
        quotas = {one["quota"]: one for one in admin.get("/api/v1/usage").json()["quotas"]}
    assert quotas["rows_in_per_day"]["used"] == 120
    assert quotas["rows_in_per_day"]["remaining"] == 0
    assert quotas["rows_out_per_month"]["remaining"] == 1000
    assert quotas["rows_out_per_month"]["resets_at"].endswith("-01T00:00:00+00:00")


def test_requests_have_a_quota_of_their_own(own: TwoDoors, connect: Callable[..., Client]) -> None:
    limit_workspace(own, {"quotas": {"requests_per_day": 4}})
    client = connect(own.flight)
    # Setting it was the first one.
    for _ in range(3):
        client.action("health")
    assert refusal(lambda: client.action("health")).code == "limit_exceeded"


def test_bytes_are_those_of_the_rows_and_not_of_what_they_lie_in(
    own: TwoDoors, connect: Callable[..., Client]
) -> None:
    """A few rows of a large batch count as a few rows."""
    client = connect(own.flight)
    client.put(numbers(100_000), ingest={"table": "t", **CREATE})
    before = usage(own)[0]["bytes_out"]
    assert client.read(scan={"table": "t", "limit": 3, "offset": 50_000}).num_rows == 3
    assert usage(own)[0]["bytes_out"] - before == 3 * 8 + 1


def test_a_long_stream_is_counted_while_it_runs(
    own: TwoDoors, connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flight_server.operations.metering.TELL_BYTES", 80)
    client = connect(own.flight)
    writer, acks = client.open_put(numbers(1).schema, ingest={"table": "t", **CREATE})
    with writer:
        for _ in range(5):
            writer.write_batch(pa.record_batch({"a": pa.array(range(10), pa.int64())}))
        deadline = dt.datetime.now() + dt.timedelta(seconds=20)
        while not own.services.usage.used("default", own.services.usage.today()).rows_in:
            assert dt.datetime.now() < deadline
        writer.done_writing()
        while acks.read() is not None:
            pass
    (mine,) = usage(own)
    assert (mine["requests"], mine["rows_in"]) == (1, 50)
