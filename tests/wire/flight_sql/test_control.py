"""Cancelling, renewing, and what is refused outright: by the actions of the protocol."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.testing.server import LocalServer
from flight_server.wire.flight_sql.actions import SQL_ACTIONS
from flight_server.wire.flight_sql.messages import MESSAGES, packed
from flight_server.wire.protobuf import MESSAGES as FLIGHT_MESSAGES
from tests.fix_client import refusal
from tests.fix_flight_sql import SqlClient

_CANCELLED, _NOT_CANCELLABLE = 1, 3
LONG = "SELECT range AS n, repeat('x', 1000) AS filler FROM range(5000000)"


def cancel_flight_info(sql: SqlClient, info: flight.FlightInfo) -> int:
    body = FLIGHT_MESSAGES["CancelFlightInfoRequest"](info=info.serialize()).SerializeToString()
    answer = sql.client.raw_action("CancelFlightInfo", body)
    return int(FLIGHT_MESSAGES["CancelFlightInfoResult"].FromString(answer).status)


def cancel_query(sql: SqlClient, info: flight.FlightInfo) -> int:
    answer = sql.act("CancelQuery", "ActionCancelQueryRequest", info=info.serialize())
    return int(answer.result)


@pytest.mark.parametrize("cancel", [cancel_flight_info, cancel_query])
def test_cancelling_ends_streams_and_tickets(
    sql: SqlClient, other: SqlClient, cancel: Callable[..., int]
) -> None:
    info = sql.info("CommandStatementQuery", query=LONG)
    reader = sql.client.stream(info.endpoints[0].ticket)
    assert reader.read_chunk().data.num_rows > 0
    assert cancel(other, info) == _CANCELLED
    assert refusal(reader.read_all).code == "cancelled"
    assert refusal(lambda: sql.fetch(info)).code == "cancelled"


@pytest.mark.parametrize("cancel", [cancel_flight_info, cancel_query])
def test_what_cannot_be_cancelled(
    sql: SqlClient, stranger: SqlClient, cancel: Callable[..., int], name: str
) -> None:
    assert cancel(sql, sql.info("CommandGetCatalogs")) == _NOT_CANCELLABLE
    done = sql.info("CommandStatementQuery", query=f"CREATE TABLE {name} (a INTEGER)")
    assert cancel(sql, done) == _NOT_CANCELLABLE
    info = sql.info("CommandStatementQuery", query="SELECT 1 AS one")
    assert refusal(lambda: cancel(stranger, info)).code == "invalid_ticket"
    assert sql.fetch(info).to_pylist() == [{"one": 1}]


def test_renewing_an_endpoint(
    start_server: Callable[..., LocalServer], connect_sql: Callable[..., SqlClient]
) -> None:
    sql = connect_sql(start_server(ticket_seconds=1.5))
    (endpoint,) = sql.info("CommandStatementQuery", query="SELECT 1 AS one").endpoints
    body = FLIGHT_MESSAGES["RenewFlightEndpointRequest"](endpoint=endpoint.serialize())
    until = time.monotonic() + 2
    renewed = endpoint
    while time.monotonic() < until:
        body = FLIGHT_MESSAGES["RenewFlightEndpointRequest"](endpoint=renewed.serialize())
        answer = sql.client.raw_action("RenewFlightEndpoint", body.SerializeToString())
        renewed = flight.FlightEndpoint.deserialize(answer)
        time.sleep(0.2)
    assert renewed.expiration_time.as_py() > endpoint.expiration_time.as_py()
    assert sql.client.stream(renewed.ticket).read_all().to_pylist() == [{"one": 1}]
    found = refusal(lambda: sql.client.stream(endpoint.ticket).read_all())
    assert found.code == "ticket_expired"


PLAN = MESSAGES["SubstraitPlan"](plan=b"plan", version="0.1")
REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    (
        "BeginSavepoint",
        "ActionBeginSavepointRequest",
        {"transaction_id": b"any", "name": "s"},
    ),
    ("EndSavepoint", "ActionEndSavepointRequest", {"savepoint_id": b"any", "action": 1}),
    (
        "CreatePreparedSubstraitPlan",
        "ActionCreatePreparedSubstraitPlanRequest",
        {"plan": PLAN},
    ),
]


@pytest.mark.parametrize(("action", "message", "fields"), REFUSED)
def test_refused_actions(sql: SqlClient, action: str, message: str, fields: dict[str, Any]) -> None:
    found = refusal(lambda: sql.act(action, message, **fields))
    assert found.code == "unsupported"
    assert "not supported" in found.message


def test_substrait_plans_are_refused(sql: SqlClient) -> None:
    plan = {"plan": PLAN}
    for call in (
        lambda: sql.info("CommandStatementSubstraitPlan", **plan),
        lambda: sql.put(None, "CommandStatementSubstraitPlan", **plan),
    ):
        found = refusal(call)
        assert found.code == "unsupported"
        assert "Substrait plans are not supported" in found.message
    with pytest.raises(pa.ArrowException, match="Substrait plans are not supported"):
        sql.schema("CommandStatementSubstraitPlan", **plan)


def test_every_action_is_listed(sql: SqlClient) -> None:
    listed = {
        action.type: action.description
        for action in sql.client.flight.list_actions(sql.client.options())
    }
    assert {*SQL_ACTIONS, "execute", "CancelFlightInfo", "SetSessionOptions"} <= set(listed)
    assert all(listed.values())


@pytest.mark.parametrize("action", SQL_ACTIONS)
def test_actions_that_are_given_something_else(sql: SqlClient, action: str) -> None:
    def send(body: bytes) -> object:
        return list(sql.client.flight.do_action(flight.Action(action, body), sql.client.options()))

    wrong = packed("CommandGetCatalogs")
    found = refusal(lambda: send(wrong))
    assert found.code == "invalid_request"
    assert "CommandGetCatalogs" in found.message
    assert refusal(lambda: send(b"\xff\xff")).code == "invalid_request"


def test_a_body_may_come_without_its_wrapping(sql: SqlClient) -> None:
    bare = MESSAGES["ActionBeginTransactionRequest"]().SerializeToString()
    answer = sql.client.raw_action("BeginTransaction", bare)
    assert b"ActionBeginTransactionResult" in answer
    request = MESSAGES["ActionCreatePreparedStatementRequest"](query="SELECT 1 AS one")
    action = flight.Action("CreatePreparedStatement", request.SerializeToString())
    assert list(sql.client.flight.do_action(action, sql.client.options()))


def test_results_of_actions_are_wrapped(sql: SqlClient) -> None:
    made = sql.act(
        "CreatePreparedStatement", "ActionCreatePreparedStatementRequest", query="SELECT 1 AS one"
    )
    assert made.DESCRIPTOR.name == "ActionCreatePreparedStatementResult"
    assert pa.ipc.read_schema(pa.py_buffer(made.dataset_schema)).names == ["one"]
