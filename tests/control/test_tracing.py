"""Traces that follow a request from either door to DuckDB."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pyarrow import flight

from flight_server import operations
from flight_server.operations.services import is_operation
from flight_server.telemetry import Telemetry
from flight_server.telemetry.tracing import Tracing
from flight_server.testing.server import LocalServer
from flight_server.wire import FlightDoor
from tests.fix_client import Client
from tests.fix_http import TwoDoors, two_doors

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
NOT_SAMPLED = f"00-{TRACE}-b7ad6b7169203331-00"


class Traced:
    """Both doors over services that keep their spans in memory."""

    def __init__(self, doors: TwoDoors, client: Client, exporter: InMemorySpanExporter) -> None:
        self.doors, self.client, self._exporter = doors, client, exporter

    def spans(self, root: str) -> dict[str, ReadableSpan]:
        """The spans of the one trace whose first span has this name, by their names."""
        while True:
            found = self._exporter.get_finished_spans()
            traces = {span.context.trace_id for span in found if span.name == root and span.context}
            if traces:
                break
        (trace,) = traces
        return {
            span.name: span for span in found if span.context and span.context.trace_id == trace
        }


@contextmanager
def traced_doors(server: LocalServer) -> Iterator[Traced]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    services = replace(server.services, telemetry=Telemetry(Tracing(provider)))
    door = FlightDoor(services).start()
    client = Client(door.url, server.key)
    try:
        with two_doors(replace(server, services=services, door=door)) as doors:
            yield Traced(doors, client, exporter)
    finally:
        client.close()
        door.stop(5)


@pytest.fixture
def traced(server: LocalServer) -> Iterator[Traced]:
    with traced_doors(server) as found:
        yield found


def parents(spans: dict[str, ReadableSpan], name: str) -> list[str]:
    """The names of the spans above one, the nearest first."""
    by_id = {span.context.span_id: span for span in spans.values() if span.context}
    above, span = [], spans[name]
    while span.parent is not None and span.parent.span_id in by_id:
        span = by_id[span.parent.span_id]
        above.append(span.name)
    return above


def test_a_read_over_http_is_followed_to_duckdb(traced: Traced) -> None:
    with traced.doors.client(headers={"traceparent": PARENT, "x-request-id": "mine"}) as api:
        answer = api.post("/api/v1/query", json={"sql": "select 'secret' as a from range(3)"})
    assert answer.status_code == 200
    spans = traced.spans("query")
    assert parents(spans, "lake.read") == ["operation pinned_query", "query"]
    root = spans["query"]
    assert root.context is not None
    assert f"{root.context.trace_id:032x}" == TRACE
    assert root.parent is not None
    assert f"{root.parent.span_id:016x}" == "b7ad6b7169203331"
    assert dict(root.attributes or {})["pixelflight.request_id"] == "mine"
    assert dict(root.attributes or {})["pixelflight.rows_out"] == 3
    assert dict(spans["lake.read"].attributes or {})["pixelflight.rows"] == 3
    assert "secret" not in str([span.to_json() for span in spans.values()])


def test_a_write_over_flight_is_followed_to_its_commit(traced: Traced) -> None:
    client = traced.client
    descriptor = flight.FlightDescriptor.for_command(
        b'{"ingest": {"table": "traced", "mode": "create"}}'
    )
    rows = pa.table({"id": range(20_000)})
    writer, reader = client.flight.do_put(
        descriptor, rows.schema, client.options([("traceparent", PARENT)])
    )
    writer.write_table(rows)
    writer.done_writing()
    while reader.read() is not None:
        continue
    writer.close()
    spans = traced.spans("do_put ingest")
    assert parents(spans, "lake.commit") == ["lake.ingest", "operation ingest", "do_put ingest"]
    root = spans["do_put ingest"]
    assert root.context is not None
    assert f"{root.context.trace_id:032x}" == TRACE
    assert dict(root.attributes or {})["pixelflight.door"] == "flight"


def test_a_stream_over_flight_is_one_span_to_its_end(traced: Traced) -> None:
    ticket = flight.Ticket(b'{"sql": "select * from range(300000)"}')
    assert traced.client.stream(ticket).read_all().num_rows == 300_000
    spans = traced.spans("do_get sql")
    read = spans["lake.read"]
    assert parents(spans, "lake.read")[-1] == "do_get sql"
    assert dict(read.attributes or {})["pixelflight.rows"] == 300_000
    assert dict(read.attributes or {})["pixelflight.batches"] != 1
    assert read.end_time is not None
    assert spans["do_get sql"].end_time is not None
    assert read.end_time <= spans["do_get sql"].end_time


def test_an_error_is_told_by_its_code_alone(traced: Traced) -> None:
    with traced.doors.client() as api:
        api.post("/api/v1/query", json={"sql": "select error('secret')"})
    spans = traced.spans("query")
    for span in (spans["query"], spans["lake.read"]):
        assert not span.status.is_ok
        assert dict(span.attributes or {})["error.type"] in ("invalid_sql", "InvalidInputException")
    assert "secret" not in str([span.to_json() for span in spans.values()])


def test_nothing_is_traced_unless_an_endpoint_is_set(server: LocalServer) -> None:
    assert Telemetry.of(server.services.settings).tracing is None


def test_every_operation_is_a_part_of_a_trace() -> None:
    plain = [
        name
        for name in operations.__all__
        if is_operation(getattr(operations, name))
        and not hasattr(getattr(operations, name), "__wrapped__")
    ]
    assert plain == []
    assert hasattr(operations.scan, "__wrapped__")


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes what is exported over HTTP."""

    received: list[ExportTraceServiceRequest]

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


def test_spans_are_sent_where_the_settings_say(start_doors: Callable[..., TwoDoors]) -> None:
    received: list[ExportTraceServiceRequest] = []
    kind = type("ThisReceiver", (Receiver,), {"received": received})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as receiver:
        threading.Thread(target=receiver.serve_forever).start()
        endpoint = f"http://127.0.0.1:{receiver.server_port}/v1/traces"
        doors = start_doors(otel_endpoint=endpoint, otel_sample_ratio=0)
        with doors.client() as api:
            api.get("/api/v1/namespaces")
            api.get("/api/v1/namespaces", headers={"traceparent": NOT_SAMPLED})
            api.get("/api/v1/namespaces", headers={"traceparent": PARENT})
        doors.services.telemetry.close()
        receiver.shutdown()
    spans = [
        span
        for request in received
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    # Only the one that came with a trace that is sampled.
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert {span.name for span in spans} >= {"list_namespaces", "operation list_namespaces"}
    service = received[0].resource_spans[0].resource.attributes
    assert any(pair.value.string_value == "pixelflight" for pair in service)
