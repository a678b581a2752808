"""Every error code, from every call, in the one shape, and nothing of the server's inside."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server import operations
from flight_server.engines.stream import BatchStream
from flight_server.errors import ErrorCode, PixelflightError
from tests.fix_client import Client, Refusal, assert_clean, refusal

# The gRPC codes that pyarrow lets a server choose, and what its client makes of them.
CLASSES = {
    4: flight.FlightTimedOutError,
    7: flight.FlightUnauthorizedError,
    12: flight.FlightInternalError,
    13: flight.FlightInternalError,
    14: flight.FlightUnavailableError,
    16: flight.FlightUnauthenticatedError,
}
UNKNOWN = 2
SCHEMA = pa.schema({"a": pa.int64()})
REQUEST_ID = "test-7"


def failing(error: Exception) -> Callable[..., NoReturn]:
    def operation(*arguments: object, **more: object) -> NoReturn:
        raise error

    return operation


def failing_in_mid_stream(error: Exception) -> Callable[..., BatchStream]:
    def batches() -> Iterator[pa.RecordBatch]:
        # Larger than a batch on the wire, so that it is sent before the error comes.
        yield pa.record_batch({"a": range(500_000)})
        raise error

    return lambda *arguments: BatchStream(SCHEMA, batches())


def an_error(code: ErrorCode) -> PixelflightError:
    return PixelflightError(f"A sentence about '{code.text}'.", code=code, details={"n": 1})


def check_shape(found: Refusal, code: ErrorCode, sent: int) -> None:
    assert type(found.error) is CLASSES.get(sent, flight.FlightServerError)
    assert found.status.code == sent
    assert f"A sentence about '{code.text}'" in found.text
    assert found.info.reason == code.name
    assert found.info.domain == "pixelflight"
    assert found.info.metadata["retryable"] == str(code.retryable).lower()
    assert found.shape == {
        "code": code.text,
        "message": f"A sentence about '{code.text}'.",
        "retryable": code.retryable,
        "request_id": found.info.metadata["request_id"],
        "details": {"n": 1},
    }


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.text)
def test_every_code_from_an_action(
    client: Client, monkeypatch: pytest.MonkeyPatch, code: ErrorCode
) -> None:
    monkeypatch.setattr(operations, "health", failing(an_error(code)))
    found = refusal(lambda: client.raw_action("health", b"", [("x-request-id", REQUEST_ID)]))
    check_shape(found, code, code.grpc if code.grpc in CLASSES else UNKNOWN)
    assert found.shape["request_id"] == REQUEST_ID


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.text)
def test_every_code_in_mid_stream(
    client: Client, monkeypatch: pytest.MonkeyPatch, code: ErrorCode
) -> None:
    monkeypatch.setattr(operations, "scan", failing_in_mid_stream(an_error(code)))
    reader = client.stream(b'{"scan": {"table": "t"}}')
    assert reader.read_chunk().data.num_rows > 0
    found = refusal(reader.read_all)
    # UNIMPLEMENTED is only sent where nothing has been sent before.
    check_shape(found, code, code.grpc if code.grpc in set(CLASSES) - {12} else UNKNOWN)


CALLS: dict[str, tuple[str, Callable[[Client], Any]]] = {
    "list_flights": (
        "list_tables",
        lambda client: list(client.flight.list_flights(b"", client.options())),
    ),
    "get_flight_info": ("plan_scan", lambda client: client.info("t")),
    "do_get": ("scan", lambda client: client.read(scan={"table": "t"})),
    "do_put": ("ingest", lambda client: client.put(pa.table({"a": [1]}), "t")),
    "do_action": (
        "create_namespace",
        lambda client: client.action("create_namespace", namespace="n"),
    ),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("code", [ErrorCode.TABLE_NOT_FOUND, ErrorCode.UNAVAILABLE])
def test_the_shape_from_every_call(
    client: Client, monkeypatch: pytest.MonkeyPatch, name: str, code: ErrorCode
) -> None:
    operation, call = CALLS[name]
    monkeypatch.setattr(operations, operation, failing(an_error(code)))
    check_shape(refusal(lambda: call(client)), code, code.grpc if code.grpc in CLASSES else UNKNOWN)


@pytest.mark.parametrize("name", CALLS)
def test_a_bug_is_logged_and_told_by_its_id_alone(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    operation, call = CALLS[name]
    monkeypatch.setattr(operations, operation, failing(RuntimeError("secret of /etc/hosts")))
    with caplog.at_level(logging.ERROR):
        found = refusal(lambda: call(client))
    assert found.code == "internal"
    assert found.message == f"internal error (id={found.shape['request_id']})"
    assert "secret" not in found.text
    assert type(found.error) is flight.FlightInternalError
    assert found.shape["request_id"] in caplog.text
    assert "secret of /etc/hosts" in caplog.text
    assert "Traceback" in caplog.text


def test_a_bug_in_mid_stream(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(operations, "scan", failing_in_mid_stream(KeyError("secret")))
    found = refusal(client.stream(b'{"scan": {"table": "t"}}').read_all)
    assert found.code == "internal"
    assert "secret" not in found.text
    assert "secret" in caplog.text


def test_a_bug_in_get_schema(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(operations, "plan_scan", failing(RuntimeError("secret")))
    with pytest.raises(pa.ArrowException) as caught:
        client.schema("t")
    assert "internal error (id=" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert_clean(str(caught.value))
    assert "secret" in caplog.text


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.text)
def test_every_code_from_get_schema_is_named(
    client: Client, monkeypatch: pytest.MonkeyPatch, code: ErrorCode
) -> None:
    monkeypatch.setattr(operations, "plan_scan", failing(an_error(code)))
    with pytest.raises((pa.ArrowException, KeyError, NotImplementedError)) as caught:
        client.schema("t")
    assert_clean(str(caught.value))
    assert code.text in str(caught.value).partition("Python exception: ")[2]


@pytest.mark.parametrize("character", ["x", "é", "🛩", "\n", "\x7f"])
def test_a_long_message_arrives_shortened(
    client: Client, monkeypatch: pytest.MonkeyPatch, character: str
) -> None:
    error = PixelflightError(
        character * 20_000, code=ErrorCode.INVALID_SQL, details={"much": character * 20_000}
    )
    monkeypatch.setattr(operations, "health", failing(error))
    found = refusal(lambda: client.raw_action("health", b""))
    assert found.code == "invalid_sql"
    assert found.message.startswith(character * 100)
    assert found.shape["details"] == {}


def test_a_long_name_is_refused_in_its_own_words(client: Client) -> None:
    assert refusal(lambda: client.info("🛩" * 300)).code == "invalid_name"


def test_an_unknown_action_is_unimplemented(client: Client) -> None:
    found = refusal(lambda: client.action("create_tabel"))
    assert found.code == "unsupported"
    assert "Did you mean 'create_table'?" in found.message


def test_bodies_that_do_not_fit(client: Client) -> None:
    for body in (b"[]", b"{", b"\xff", b'{"table": 7}', b'{"table": "t", "al": true}', b"{}"):
        found = refusal(lambda body=body: client.raw_action("delete", body))  # type: ignore[misc]
        assert found.code == "invalid_request", body
    assert "Did you mean 'all'?" in found.message or "needs the field 'table'" in found.message


def test_request_ids_are_echoed_or_made(client: Client) -> None:
    seen: list[str] = []

    class Echo(flight.ClientMiddleware):  # type: ignore[misc]
        def received_headers(self, headers: dict[str, list[str]]) -> None:
            seen.extend(headers.get("x-request-id", []))

    class Echoes(flight.ClientMiddlewareFactory):  # type: ignore[misc]
        def start_call(self, info: flight.CallInfo) -> flight.ClientMiddleware:
            return Echo()

    with flight.connect(client.url, middleware=[Echoes()]) as other:
        for given in ("mine-1", "not one of ours, with spaces", "x" * 500):
            options = client.options([("x-request-id", given)])
            list(other.do_action(flight.Action("health", b""), options))
    assert seen[0] == "mine-1"
    assert len(set(seen)) == 3
    assert all(re.fullmatch(r"[0-9a-f]{12}-\d+", made) for made in seen[1:])
