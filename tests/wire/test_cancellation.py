"""Work ends when its client leaves, when its time is up, and when its owner says so."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.testing.server import LocalServer
from flight_server.wire.protobuf import MESSAGES
from tests.fix_client import Client, descriptor, refusal

# A join that DuckDB would need hours for, and whose first row comes after all of them.
ENDLESS = "SELECT sum(a.range * b.range % 7) AS n FROM range(10000000) a, range(10000000) b"
# Rows come at once, and there is no end to them that a test would wait for.
FLOOD = "SELECT range AS n FROM range(2000000000)"


@pytest.fixture
def own_server(start_server: Callable[..., LocalServer]) -> LocalServer:
    """A server with one place for queries: while one runs, the next is refused at once."""
    return start_server(queries_max=1, query_wait_seconds=0.2)


def assert_free(server: LocalServer, client: Client, seconds: float = 5) -> None:
    """No call runs, and DuckDB's only place is free again."""
    assert server.door.calls.wait(seconds)
    assert client.read(sql="SELECT 1 AS one").to_pylist() == [{"one": 1}]


def test_a_query_runs_alone(own_server: LocalServer, connect: Callable[..., Client]) -> None:
    # The test of the tests below: without cancellation they would be refused.
    client = connect(own_server)
    reader = client.stream(json.dumps({"sql": FLOOD}).encode())
    reader.read_chunk()
    assert refusal(lambda: client.read(sql="SELECT 1")).code == "limit_exceeded"
    reader.cancel()
    assert_free(own_server, client)


def test_leaving_in_the_middle_of_a_scan_ends_it(
    own_server: LocalServer, connect: Callable[..., Client]
) -> None:
    client = connect(own_server)
    with closing(Client(own_server.url, own_server.key)) as leaving:
        reader = leaving.stream(json.dumps({"sql": FLOOD}).encode())
        assert reader.read_chunk().data.num_rows > 0
        del reader
    assert_free(own_server, client)


def test_a_deadline_of_the_client_ends_duckdbs_work(
    own_server: LocalServer, connect: Callable[..., Client]
) -> None:
    client = connect(own_server)
    began = time.monotonic()
    with pytest.raises(flight.FlightTimedOutError):
        client.stream(json.dumps({"sql": ENDLESS}).encode(), timeout=0.5).read_all()
    assert time.monotonic() - began < 3
    assert_free(own_server, client)


def test_a_deadline_in_a_header_is_told_in_our_words(
    own_server: LocalServer, connect: Callable[..., Client]
) -> None:
    client = connect(own_server)
    ticket = json.dumps({"sql": ENDLESS}).encode()
    found = refusal(
        lambda: client.stream(ticket, headers=[("x-timeout-seconds", "0.3")]).read_all()
    )
    assert found.code == "timed_out"
    assert type(found.error) is flight.FlightTimedOutError
    assert_free(own_server, client)


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan"])
def test_headers_that_are_no_deadline(client: Client, text: str) -> None:
    headers = [("x-timeout-seconds", text)]
    found = refusal(lambda: client.raw_action("health", b"", headers))
    assert found.code == "invalid_request"
    assert f"'{text}'" in found.message


def test_the_servers_longest_time(
    start_server: Callable[..., LocalServer], connect: Callable[..., Client]
) -> None:
    client = connect(start_server(deadline_seconds_max=0.3))
    ticket = json.dumps({"sql": ENDLESS}).encode()
    found = refusal(lambda: client.stream(ticket, headers=[("x-timeout-seconds", "60")]).read_all())
    assert found.code == "timed_out"


def cancel(client: Client, info: flight.FlightInfo) -> int:
    request = MESSAGES["CancelFlightInfoRequest"](info=info.serialize())
    answer = client.raw_action("CancelFlightInfo", request.SerializeToString())
    status: int = MESSAGES["CancelFlightInfoResult"].FromString(answer).status
    return status


def test_cancelling_a_flight(own_server: LocalServer, connect: Callable[..., Client]) -> None:
    client = connect(own_server)
    info = client.info(sql=FLOOD)
    reader = client.stream(info.endpoints[0].ticket)
    assert reader.read_chunk().data.num_rows > 0
    assert cancel(client, info) == 1

    def read_on() -> Iterator[pa.RecordBatch]:
        while True:
            yield reader.read_chunk()

    found = refusal(lambda: list(read_on()))
    assert found.code == "cancelled"
    assert "by its owner" in found.message
    assert refusal(lambda: client.stream(info.endpoints[0].ticket)).code == "cancelled"
    assert_free(own_server, client)


def test_cancelling_what_cannot_be(
    server: LocalServer, client: Client, connect: Callable[..., Client], name: str
) -> None:
    client.put(pa.table({"a": [1]}), ingest={"table": name, "mode": "create"})
    (listed,) = client.flight.list_flights(json.dumps({"pattern": name}).encode(), client.options())
    assert cancel(client, listed) == 3
    key, _ = server.services.keys.create("other", ["admin"], created_by="test")
    info = client.info(name)
    assert refusal(lambda: cancel(connect(server, key), info)).code == "invalid_ticket"
    assert client.stream(info.endpoints[0].ticket).read_all().num_rows == 1
    for body in (b"\xff", b"\x0a\x02\xff\xff", b""):
        found = refusal(lambda body=body: client.raw_action("CancelFlightInfo", body))  # type: ignore[misc]
        assert found.code == "invalid_request"


def test_renewing_an_endpoint(client: Client, name: str) -> None:
    client.put(pa.table({"a": [1]}), ingest={"table": name, "mode": "create"})
    old = client.info(name).endpoints[0]
    new = client.renewed(old)
    assert new.expiration_time.as_py() > old.expiration_time.as_py()
    assert client.stream(new.ticket).read_all().num_rows == 1
    assert client.stream(old.ticket).read_all().num_rows == 1
    forged = flight.FlightEndpoint(b"PF1 forged", [])
    assert refusal(lambda: client.renewed(forged)).code == "invalid_ticket"


def test_what_was_cancelled_is_not_renewed(
    start_server: Callable[..., LocalServer], connect: Callable[..., Client], name: str
) -> None:
    """Nor does a ticket that was renewed before live on once that of the info would be over."""
    client = connect(start_server(ticket_seconds=4))
    client.put(pa.table({"a": [1]}), ingest={"table": name, "mode": "create"})
    info = client.info(name)
    time.sleep(2)
    renewed = client.renewed(info.endpoints[0])
    assert cancel(client, info) == 1
    for endpoint in (info.endpoints[0], renewed):
        assert refusal(lambda one=endpoint: client.renewed(one)).code == "cancelled"  # type: ignore[misc]
    time.sleep(2.2)
    assert refusal(lambda: client.stream(info.endpoints[0].ticket)).code == "ticket_expired"
    assert refusal(lambda: client.stream(renewed.ticket)).code == "cancelled"


def test_explain_and_plan_have_deadlines_too(client: Client) -> None:
    headers = [("x-timeout-seconds", "0.3")]
    body = json.dumps({"sql": f"EXPLAIN ANALYZE {ENDLESS}"}).encode()
    assert refusal(lambda: client.raw_action("explain", body, headers)).code == "timed_out"
    info = client.flight.get_flight_info(descriptor(sql=ENDLESS), client.options(headers))
    assert info.schema.names == ["n"]
