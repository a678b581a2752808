"""What Prometheus reads: requests of both doors, rows and bytes, and what the lake is made of."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import httpx
import pyarrow as pa
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pyarrow import flight

from flight_server.operations import measures
from flight_server.telemetry import metrics
from tests.fix_flight_sql import SqlClient
from tests.fix_http import TwoDoors
from tests.fix_lake import wait_until

LABELS = ("catalog", "queue", "door", "operation", "direction", "code", "le")
ROWS = pa.table({"id": list(range(1000))})


@pytest.fixture(autouse=True)
def read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape tells of this moment."""
    for module in (metrics, measures):
        monkeypatch.setattr(module, "READ_SECONDS", 0.0)


def labels_of(labels: dict[str, str]) -> tuple[str, ...]:
    return tuple(labels[name] for name in LABELS if name in labels)


def values(doors: TwoDoors, key: str = "") -> dict[str, dict[tuple[str, ...], float]]:
    """All samples by their names and the values of their labels."""
    with doors.client(key) as client:
        answer = client.get("/metrics")
    assert answer.status_code == 200
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[labels_of(sample.labels)] = sample.value
    return found


def connect(doors: TwoDoors) -> tuple[flight.FlightClient, flight.FlightCallOptions]:
    options = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {doors.key}".encode())])
    return flight.connect(doors.flight.url), options


def put(doors: TwoDoors, name: str) -> None:
    client, options = connect(doors)
    descriptor = flight.FlightDescriptor.for_command(
        f'{{"ingest": {{"table": "{name}", "mode": "create"}}}}'.encode()
    )
    writer, reader = client.do_put(descriptor, ROWS.schema, options)
    writer.write_table(ROWS)
    writer.done_writing()
    while reader.read() is not None:
        continue
    writer.close()


def test_both_doors_count_what_they_do(doors: TwoDoors, api: httpx.Client) -> None:
    before = values(doors)
    put(doors, "counted")
    client, options = connect(doors)
    ticket = flight.Ticket(b'{"scan": {"table": "counted"}}')
    assert client.do_get(ticket, options).read_all().num_rows == 1000
    with pytest.raises(flight.FlightError):
        client.do_get(flight.Ticket(b'{"scan": {"table": "missing"}}'), options).read_all()
    with pytest.raises(flight.FlightError):
        list(client.do_action(flight.Action("invented-by-a-client", b""), options))
    with pytest.raises(flight.FlightUnauthenticatedError):
        list(client.list_flights())
    assert api.get("/api/v1/namespaces").status_code == 200
    assert len(api.get("/api/v1/tables/counted/rows").json()["rows"]) == 1000
    assert api.get("/invented/by/a/client").status_code == 404

    # A call is counted when it is completed, a moment after its client has all of it.
    counted = [("do_get scan", "ok"), ("do_put ingest", "ok"), ("list_flights", "unauthenticated")]
    wait_until(
        lambda: (
            {("flight", *call) for call in counted}
            <= set(values(doors)["pixelflight_requests_total"])
        ),
        "every call was counted",
    )
    after = values(doors)

    def more(name: str, *labels: str) -> float:
        return after[name][labels] - before.get(name, {}).get(labels, 0)

    requests = "pixelflight_requests_total"
    assert more(requests, "flight", "do_get scan", "ok") == 1
    assert more(requests, "flight", "do_get scan", "table_not_found") == 1
    assert more(requests, "flight", "do_put ingest", "ok") == 1
    assert more(requests, "flight", "do_action unknown", "unsupported") == 1
    assert more(requests, "flight", "list_flights", "unauthenticated") == 1
    assert more(requests, "http", "list_namespaces", "ok") == 1
    assert more(requests, "http", "none", "not_found") == 1
    assert "invented" not in str(after)

    assert more("pixelflight_rows_total", "flight", "do_get scan", "out") == 1000
    assert more("pixelflight_rows_total", "flight", "do_put ingest", "in") == 1000
    assert more("pixelflight_rows_total", "http", "read_rows", "out") == 1000
    assert more("pixelflight_bytes_total", "flight", "do_get scan", "out") >= 8000
    assert more("pixelflight_bytes_total", "flight", "do_put ingest", "in") >= 8000
    assert more("pixelflight_bytes_total", "http", "read_rows", "out") > 8000
    assert more("pixelflight_request_seconds_count", "flight", "do_get scan") == 2
    assert more("pixelflight_request_seconds_sum", "flight", "do_get scan") > 0


def test_the_lake_and_the_process_are_told_of(doors: TwoDoors) -> None:
    before = values(doors)
    put(doors, "kept")
    after = values(doors)
    lake = ("lake",)
    assert after["pixelflight_commits_total"][lake] == before["pixelflight_commits_total"][lake] + 1
    for name, least in {"tables": 1, "snapshots": 1}.items():
        grown = f"pixelflight_lake_{name}"
        assert after[grown][lake] >= before[grown][lake] + least
    assert {"pixelflight_lake_files", "pixelflight_lake_bytes"} <= set(after)
    assert set(after["pixelflight_queue_length"]) == {("admission",), ("audit",), ("group_commit",)}
    assert after["process_resident_memory_bytes"][()] > 10e6
    assert after["pixelflight_arrow_bytes"][()] >= 0


def test_what_is_open_is_counted_until_it_ends(doors: TwoDoors) -> None:
    put(doors, "streamed")
    client, options = connect(doors)
    cross = b'{"sql": "select a.id from streamed a, streamed b, streamed c"}'
    reader = client.do_get(flight.Ticket(cross), options)
    reader.read_chunk()
    during = values(doors)
    assert during["pixelflight_streams_open"]["flight",] == 1
    assert during["pixelflight_requests_running"]["flight",] == 1
    assert during["pixelflight_requests_running"]["http",] == 1
    assert during["pixelflight_queries_running"][()] == 1
    cancelled = ("flight", "do_get sql", "cancelled")
    before = during["pixelflight_requests_total"].get(cancelled, 0)
    reader.cancel()
    while values(doors)["pixelflight_streams_open"]["flight",]:
        continue
    after = values(doors)
    assert after["pixelflight_requests_running"]["flight",] == 0
    assert after["pixelflight_requests_total"][cancelled] == before + 1


def test_flight_sql_is_told_apart(doors: TwoDoors, sql: SqlClient) -> None:
    assert sql.rows("select 1 as one") == [{"one": 1}]
    requests = values(doors)["pixelflight_requests_total"]
    assert requests["flight_sql", "get_flight_info CommandStatementQuery", "ok"] == 1


def test_openmetrics_is_spoken_when_asked_for(doors: TwoDoors) -> None:
    with doors.client("") as client:
        asked = {"accept": "application/openmetrics-text; version=1.0.0"}
        answer = client.get("/metrics", headers=asked)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_who_may_read_is_a_setting(start_doors: Callable[..., TwoDoors]) -> None:
    closed = start_doors(metrics_access="admin", limit_auth="2/hour")
    with closed.client("") as nobody, closed.client(closed.key_of("reader")) as reader:
        assert nobody.get("/metrics").status_code == 401
        assert reader.get("/metrics").status_code == 403
    with closed.client() as admin:
        assert admin.get("/metrics").status_code == 200
    with closed.client("pf_wrong") as guesser:
        assert [guesser.get("/metrics").status_code for _ in "ab"] == [401, 429]


def test_what_cannot_be_read_hides_nothing_else(
    doors: TwoDoors, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: object) -> None:
        raise RuntimeError("no figures today")

    monkeypatch.setattr(type(doors.services.engines["lake"]), "figures", broken)
    found = values(doors)
    assert "pixelflight_lake_files" not in found
    assert "pixelflight_requests_running" in found
    assert "no figures today" in caplog.text


def test_operations_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "OPERATIONS_MAX", 3)
    measured = metrics.Metrics()
    for number in range(10):
        measured.refused("http", f"operation {number}", "ok")
    text = measured.exposition("")[0].decode()
    assert set(re.findall(r'requests_total\{.*operation="([^"]*)"', text)) == {
        "operation 0",
        "operation 1",
        "operation 2",
        "other",
    }


def test_a_line_for_every_request_if_wanted(
    start_doors: Callable[..., TwoDoors], caplog: pytest.LogCaptureFixture
) -> None:
    doors = start_doors(access_log=True)
    with doors.client() as api, caplog.at_level(logging.INFO, "flight_server.access"):
        api.get("/api/v1/namespaces?catalog=secret", headers={"x-request-id": "mine"})
        put(doors, "logged")
    lines = [record.getMessage() for record in caplog.records]
    http = next(line for line in lines if "door=http" in line)
    assert "operation=list_namespaces code=catalog_not_found peer=127.0.0.1:" in http
    assert "secret" not in caplog.text
    flight_line = next(line for line in lines if "door=flight " in line)
    assert "operation=do_put ingest code=ok peer=127.0.0.1:" in flight_line
    assert "rows_in=1000" in flight_line
    assert "logged" not in flight_line
