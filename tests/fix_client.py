"""A Flight client for tests: pyarrow's own, with the key and the JSON out of the way."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf import wrappers_pb2
from google.rpc import error_details_pb2, status_pb2
from pyarrow import flight

from flight_server.testing.server import LocalServer, RunningServer
from flight_server.wire.protobuf import MESSAGES

Headers = Sequence[tuple[str, str]]


class Client:
    """What tests ask a server. `flight` is pyarrow's client."""

    def __init__(self, url: str, key: str | None, **options: Any) -> None:
        self.url = url
        self.flight = flight.connect(url, **options)
        self._headers = [("authorization", f"Bearer {key}")] if key else []

    def close(self) -> None:
        self.flight.close()

    def options(self, headers: Headers = (), timeout: float = 60) -> flight.FlightCallOptions:
        every = [*self._headers, *headers]
        return flight.FlightCallOptions(
            timeout=timeout, headers=[(name.encode(), value.encode()) for name, value in every]
        )

    def action(self, name: str, /, **body: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.raw_action(name, json.dumps(body).encode()))
        return answer

    def raw_action(self, name: str, body: bytes, headers: Headers = ()) -> bytes:
        results = self.flight.do_action(flight.Action(name, body), self.options(headers))
        (result,) = list(results)
        answer: bytes = result.body.to_pybytes()
        return answer

    def info(self, *path: str, **command: Any) -> flight.FlightInfo:
        return self.flight.get_flight_info(descriptor(*path, **command), self.options())

    def schema(self, *path: str, **command: Any) -> pa.Schema:
        return self.flight.get_schema(descriptor(*path, **command), self.options()).schema

    def renewed(self, endpoint: flight.FlightEndpoint) -> flight.FlightEndpoint:
        request = MESSAGES["RenewFlightEndpointRequest"](endpoint=endpoint.serialize())
        answer = self.raw_action("RenewFlightEndpoint", request.SerializeToString())
        return flight.FlightEndpoint.deserialize(answer)

    def stream(self, ticket: bytes | flight.Ticket, **options: Any) -> flight.FlightStreamReader:
        found = ticket if isinstance(ticket, flight.Ticket) else flight.Ticket(ticket)
        return self.flight.do_get(found, self.options(**options))

    def get(self, *path: str, **command: Any) -> pa.Table:
        """All endpoints of an info, in their order."""
        info = self.info(*path, **command)
        parts = [self.stream(part.ticket).read_all() for part in info.endpoints]
        return pa.concat_tables(parts)

    def read(self, **command: Any) -> pa.Table:
        """By a plain JSON ticket."""
        return self.stream(json.dumps(command).encode()).read_all()

    def open_put(
        self, schema: pa.Schema, *path: str, timeout: float = 60, **command: Any
    ) -> tuple[flight.FlightStreamWriter, flight.FlightMetadataReader]:
        options = self.options(timeout=timeout)
        writer, acks = self.flight.do_put(descriptor(*path, **command), schema, options)
        return writer, acks

    def put(self, data: pa.Table, *path: str, **command: Any) -> list[dict[str, Any]]:
        """Sends all of it; the acknowledgements."""
        writer, acks = self.open_put(data.schema, *path, **command)
        with writer:
            for batch in data.to_batches():
                writer.write_batch(batch)
            writer.done_writing()
            return list(read_acks(acks))


def descriptor(*path: str, **command: Any) -> flight.FlightDescriptor:
    if path:
        return flight.FlightDescriptor.for_path(*path)
    return flight.FlightDescriptor.for_command(json.dumps(command).encode())


def read_acks(acks: flight.FlightMetadataReader) -> Iterator[dict[str, Any]]:
    while (buffer := acks.read()) is not None:
        yield json.loads(buffer.to_pybytes())


class Refusal:
    """What a client is told when a call fails: every layer of it."""

    def __init__(self, error: flight.FlightError) -> None:
        self.error = error
        self.text = str(error)
        self.status = status_pb2.Status.FromString(error.extra_info)
        self.info = error_details_pb2.ErrorInfo()
        shape = wrappers_pb2.StringValue()
        assert self.status.details[0].Unpack(self.info)
        assert self.status.details[1].Unpack(shape)
        self.shape: dict[str, Any] = json.loads(shape.value)
        self.code: str = self.shape["code"]
        self.message: str = self.shape["message"]


def refusal(call: Callable[[], object]) -> Refusal:
    """How the call fails; it must."""
    with pytest.raises(flight.FlightError) as caught:
        call()
    found = Refusal(caught.value)
    assert_clean(found.text + str(found.shape))
    return found


def assert_clean(text: str) -> None:
    """Nothing of the server's inside may reach a client."""
    for trace in ("Traceback", ".py", "/flight_server", "site-packages", "_pixelflight", ".pyx"):
        assert trace not in text, f"{trace!r} in {text!r}"


@pytest.fixture
def connect() -> Iterator[Callable[..., Client]]:
    """Connects to a server, by default with the administrator's key."""
    with ExitStack() as opened:

        def open_client(server: RunningServer, key: str | None = "admin", **options: Any) -> Client:
            chosen = server.key if key == "admin" else key
            return opened.enter_context(closing(Client(server.url, chosen, **options)))

        yield open_client


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[Client]:
    """The administrator's client of the shared server."""
    with closing(Client(server.url, server.key)) as opened:
        yield opened


@pytest.fixture
def name() -> str:
    """A table's name that no other test uses."""
    return f"t_{uuid.uuid4().hex[:12]}"
