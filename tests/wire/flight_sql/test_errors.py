"""What clients are told: by gRPC's codes, by details, and where a message is out of place."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pyarrow as pa
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from pyarrow import flight

from flight_server.testing.server import LocalServer
from flight_server.wire.flight_sql.commands import INFOS, METADATA, PUTS, SUBSTRAIT
from flight_server.wire.flight_sql.messages import MESSAGES, TYPE_PREFIX, packed
from tests.fix_client import assert_clean, refusal
from tests.fix_flight_sql import SqlClient, command, protobuf_field, raw_descriptor
from tests.fix_raw_flight import raw_call

DATA = pa.table({"a": [1, 2]})
NO_TABLE = packed("CommandStatementQuery", query="SELECT * FROM no_such")
NO_SQL = packed("CommandStatementQuery", query="SELEKT 1")
NO_STATEMENT = packed("CommandPreparedStatementQuery", prepared_statement_handle=b"no such")
NO_TRANSACTION = packed("CommandStatementQuery", query="SELECT 1", transaction_id=b"none")
NO_KEYS = packed("CommandGetPrimaryKeys", table="no_such")
SAVEPOINT = packed("ActionBeginSavepointRequest", transaction_id=b"x")
PLAN = packed(SUBSTRAIT)
OTHERS = sorted(set(MESSAGES) - {*METADATA, *INFOS, *PUTS, SUBSTRAIT})


def in_ticket(message: bytes) -> bytes:
    return protobuf_field(1, message)


def in_action(name: str, message: bytes) -> bytes:
    return protobuf_field(1, name.encode()) + protobuf_field(2, message)


CODES: list[tuple[str, bytes, grpc.StatusCode, str]] = [
    ("GetFlightInfo", raw_descriptor(NO_TABLE), grpc.StatusCode.NOT_FOUND, "TABLE_NOT_FOUND"),
    ("GetSchema", raw_descriptor(NO_TABLE), grpc.StatusCode.NOT_FOUND, "TABLE_NOT_FOUND"),
    ("GetFlightInfo", raw_descriptor(NO_SQL), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_SQL"),
    ("GetSchema", raw_descriptor(NO_SQL), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_SQL"),
    (
        "GetFlightInfo",
        raw_descriptor(NO_STATEMENT),
        grpc.StatusCode.NOT_FOUND,
        "STATEMENT_NOT_FOUND",
    ),
    (
        "GetFlightInfo",
        raw_descriptor(NO_TRANSACTION),
        grpc.StatusCode.NOT_FOUND,
        "TRANSACTION_NOT_FOUND",
    ),
    ("DoGet", in_ticket(NO_KEYS), grpc.StatusCode.NOT_FOUND, "TABLE_NOT_FOUND"),
    ("DoGet", in_ticket(NO_SQL), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
    ("GetFlightInfo", raw_descriptor(PLAN), grpc.StatusCode.UNIMPLEMENTED, "UNSUPPORTED"),
    (
        "DoAction",
        in_action("BeginSavepoint", SAVEPOINT),
        grpc.StatusCode.UNIMPLEMENTED,
        "UNSUPPORTED",
    ),
    ("DoAction", in_action("NoSuchAction", b""), grpc.StatusCode.UNIMPLEMENTED, "UNSUPPORTED"),
    (
        "DoAction",
        in_action("EndTransaction", packed("ActionEndTransactionRequest", action=1)),
        grpc.StatusCode.NOT_FOUND,
        "TRANSACTION_NOT_FOUND",
    ),
]


@pytest.mark.parametrize(("method", "request_bytes", "code", "reason"), CODES)
def test_codes_for_clients_that_read_them(
    server: LocalServer, method: str, request_bytes: bytes, code: grpc.StatusCode, reason: str
) -> None:
    bearer = ("authorization", f"Bearer {server.key}")
    with pytest.raises(grpc.RpcError) as caught:
        raw_call(server, method, [request_bytes], bearer)
    assert caught.value.code() is code
    assert_clean(str(caught.value.details()))
    trailers = {item.key: item.value for item in caught.value.trailing_metadata()}
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert status.code == code.value[0]
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.reason == reason


def test_a_credential_is_needed(server: LocalServer) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        raw_call(server, "GetFlightInfo", [raw_descriptor(packed("CommandGetCatalogs"))])
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_the_same_for_pyarrow(sql: SqlClient) -> None:
    found = refusal(lambda: sql.query("SELECT * FROM no_such"))
    assert found.code == "table_not_found"
    assert found.status.code == 2
    assert found.info.reason == "TABLE_NOT_FOUND"
    assert found.info.metadata["retryable"] == "false"
    assert found.shape["request_id"]


@pytest.mark.parametrize("name", [*PUTS.keys() - INFOS.keys(), *OTHERS])
def test_what_is_no_command_for_an_info(sql: SqlClient, name: str) -> None:
    found = refusal(lambda: sql.info(name))
    assert found.code in ("invalid_request", "invalid_ticket")
    if name in PUTS:
        assert "Send it by DoPut." in found.message
    with pytest.raises(pa.ArrowInvalid):
        sql.schema(name)


@pytest.mark.parametrize("name", [*METADATA, *OTHERS, "CommandStatementQuery"])
def test_what_is_no_command_for_a_put(sql: SqlClient, name: str) -> None:
    found = refusal(lambda: sql.put(DATA, name))
    assert found.code in ("invalid_request", "invalid_ticket")
    if name in METADATA:
        assert "Send it by GetFlightInfo." in found.message


@pytest.mark.parametrize("name", [*INFOS, *PUTS, *OTHERS])
def test_what_is_no_ticket(sql: SqlClient, name: str) -> None:
    found = refusal(lambda: sql.client.stream(command(name).command).read_all())
    assert found.code == ("invalid_ticket" if name == "TicketStatementQuery" else "invalid_request")


def boxed(type_url: str, value: bytes) -> bytes:
    return any_pb2.Any(type_url=type_url, value=value).SerializeToString()


@pytest.mark.parametrize(
    ("sent", "code", "says"),
    [
        (boxed(f"{TYPE_PREFIX}CommandGetTabels", b""), "unsupported", "'CommandGetTables'"),
        (boxed(f"{TYPE_PREFIX}CommandGetTables", b"\xff\xff"), "invalid_request", "not a"),
        (boxed("type.googleapis.com/other.Message", b"x"), "invalid_request", ""),
        (b"\n\xff\xff\xff", "invalid_request", ""),
        (b"\n", "invalid_request", ""),
    ],
)
def test_messages_that_are_none(sql: SqlClient, sent: bytes, code: str, says: str) -> None:
    asked = flight.FlightDescriptor.for_command(sent)
    calls: list[Callable[[], object]] = [
        lambda: sql.client.flight.get_flight_info(asked, sql.client.options()),
        lambda: sql.client.stream(sent).read_all(),
    ]
    for call in calls:
        found = refusal(call)
        assert found.code == code
        assert says in found.message


def test_a_statement_that_is_too_long(sql: SqlClient) -> None:
    found = refusal(lambda: sql.query(f"SELECT '{'x' * (2 * 2**20)}' AS v"))
    assert found.code in ("invalid_sql", "too_large", "invalid_request")


def test_text_that_is_no_text(sql: SqlClient) -> None:
    value = b"\n\x03\xff\xfe\xfd"
    sent = flight.FlightDescriptor.for_command(boxed(f"{TYPE_PREFIX}CommandStatementQuery", value))
    found = refusal(lambda: sql.client.flight.get_flight_info(sent, sql.client.options()))
    assert found.code == "invalid_request"
