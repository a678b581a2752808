"""The audit trail as it is asked: by filter, page by page, in streams, on both doors."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import httpx
import pyarrow as pa
import pytest

from flight_server.metastore.audit import AuditEntry
from flight_server.operations import audit_reading
from tests.fix_audit import Entries, put, read
from tests.fix_client import Client, refusal
from tests.fix_http import TwoDoors

ARROW = "application/vnd.apache.arrow.stream"


def test_entries_are_found_by_everything(own: TwoDoors, ada: Client) -> None:
    before = dt.datetime.now(dt.UTC)
    put(ada, 1)
    with own.client() as admin:
        admin.post("/api/v1/namespaces", json={"namespace": "n"}, headers={"x-request-id": "r-7"})
    after = dt.datetime.now(dt.UTC)
    writes = read(own, principal="ada", action="ingest")
    assert [entry["resource"] for entry in writes] == ["table:t"]
    assert read(own, principal=writes[0]["principal_id"], action="ingest") == writes
    assert read(own, resource="table:*", outcome="ok") == writes
    assert read(own, resource="table:t") == writes
    assert read(own, resource="table:") == []
    assert [e["resource"] for e in read(own, request_id="r-7", text="NAMESPACE")] == ["namespace:n"]
    assert read(own, text="100%") == []
    assert read(own, workspace="elsewhere") == []
    assert writes[0] in read(own, **{"from": before.isoformat(), "to": after.isoformat()})
    assert read(own, to=before.isoformat(), action="ingest") == []


def test_pages_follow_each_other(own: TwoDoors, ada: Client) -> None:
    for number in range(7):
        put(ada, number)
    read(own)
    every = list(reversed(read(own, action="ingest")))
    found: Entries = []
    with own.client() as admin:
        cursor = None
        while cursor is not None or not found:
            params: dict[str, Any] = {"limit": 3, "action": "ingest"} | (
                {"cursor": cursor} if cursor else {}
            )
            page = admin.get("/api/v1/audit", params=params).json()
            found += page["entries"]
            cursor = page["cursor"]
    assert found == every


def test_both_doors_tell_the_same(own: TwoDoors, connect: Callable[..., Client]) -> None:
    client = connect(own.flight)
    for number in range(3):
        put(client, number)
    with own.client() as admin:
        params: dict[str, Any] = {"action": "ingest", "limit": 2}
        page = admin.get("/api/v1/audit", params=params).json()
        assert client.action("read_audit", **params) == page
        assert len(page["entries"]) == 2
        quotas = admin.get("/api/v1/usage").json()["quotas"]
        assert client.action("read_usage")["quotas"] == quotas
    reader = connect(own.flight, own.key_of("reader"))
    assert refusal(lambda: reader.action("read_audit")).code == "forbidden"
    found = refusal(lambda: client.action("read_audit", outcomes="ok"))
    assert "Did you mean 'outcome'?" in found.message


@pytest.mark.parametrize("form", ["application/x-ndjson", "text/csv", ARROW])
def test_all_that_is_asked_for_comes_in_a_stream(
    own: TwoDoors, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(audit_reading, "EXPORT_ROWS", 3)
    trail = own.services.audit._trail
    for number in range(10):
        trail.record(AuditEntry("test", f"table:t{number}", details={"n": 1, "q": '"'}))
    every = list(reversed(read(own, action="test")))
    with own.client() as admin:
        params: dict[str, Any] = {"action": "test", "limit": 8, "cursor": every[0]["id"]}
        answer = admin.get("/api/v1/audit", params=params, headers={"accept": form})
        assert answer.headers["content-type"].startswith(form)
    if form == ARROW:
        found = pa.ipc.open_stream(answer.content).read_all()
        assert found.schema == audit_reading.AUDIT_SCHEMA
        assert found["details"].to_pylist() == ['{"n": 1, "q": "\\""}'] * 8
        resources = found["resource"].to_pylist()
    elif form == "text/csv":
        resources = [row["resource"] for row in csv.DictReader(answer.text.splitlines())]
    else:
        resources = [json.loads(line)["resource"] for line in answer.text.splitlines()]
    assert resources == [entry["resource"] for entry in every[1:9]]


@pytest.mark.parametrize(
    "wrong", [{"limit": 0}, {"from": "yesterday"}, {"to": "2031-01-01T00:00:00"}, {"outcome": "x"}]
)
def test_wrong_questions_are_told(api: httpx.Client, wrong: dict[str, Any]) -> None:
    answer = api.get("/api/v1/audit", params=wrong)
    assert answer.status_code == 400
    assert next(iter(wrong)) in answer.json()["error"]["message"]
