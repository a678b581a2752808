"""Flight servers that are none of Pixelflight: a plain one, and one with TLS for known clients.

Prints one line of JSON that says where they are and what is needed to reach them. Ends when its
input ends.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import trustme
from pyarrow import flight

PARTS = 6
ROWS = 1000
SCHEMA = pa.schema([("n", pa.int64()), ("word", pa.dictionary(pa.int32(), pa.string()))])
PLAIN = pa.schema([("n", pa.int64())])
LARGE = pa.record_batch([pa.array(range(2**17), pa.int64())], schema=PLAIN)
TOKEN = "Bearer a-token"


def numbers(number: int) -> pa.RecordBatch:
    """A part of the numbers without words: streams of generators cannot have dictionaries."""
    return part(number).select(["n"]).to_batches()[0]


def part(number: int) -> pa.Table:
    """A part of the numbers. Each part has words of its own in its dictionary."""
    first = number * ROWS
    words = pa.array([f"w{number}-{row % 3}" for row in range(ROWS)]).dictionary_encode()
    return pa.table([pa.array(range(first, first + ROWS), pa.int64()), words], schema=SCHEMA)


class Server(flight.FlightServerBase):
    """Numbers in several parts, whatever was put, and an endless stream."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.put: dict[str, pa.Table] = {}
        self.open = self.made = 0

    def list_flights(self, context: Any, criteria: bytes) -> Iterator[flight.FlightInfo]:
        """The numbers, unless something else is looked for."""
        if criteria in (b"", b"numbers"):
            yield self._numbers()

    def get_flight_info(self, context: Any, descriptor: Any) -> flight.FlightInfo:
        """Of the numbers, of nothing, of what is elsewhere."""
        match descriptor.path:
            case [b"numbers"]:
                return self._numbers()
            case [b"nothing"]:
                return flight.FlightInfo(SCHEMA, descriptor, [], 0, 0)
            case [b"elsewhere"]:
                elsewhere = flight.FlightEndpoint(b"0", ["grpc://elsewhere.invalid:1"])
                return flight.FlightInfo(SCHEMA, descriptor, [elsewhere], -1, -1)
        raise KeyError(f"no flight is called {descriptor.path}")

    def get_schema(self, context: Any, descriptor: Any) -> flight.SchemaResult:
        """Of the numbers."""
        return flight.SchemaResult(SCHEMA)

    def do_get(self, context: Any, ticket: flight.Ticket) -> Any:
        """A part by its number, what was put by its name, or what does not end."""
        name = ticket.ticket.decode()
        if name == "endless":
            return flight.GeneratorStream(PLAIN, self._endless())
        if name == "beside":
            return flight.GeneratorStream(PLAIN, beside())
        if name == "broken":
            return flight.GeneratorStream(PLAIN, broken())
        if name.isdigit():
            return flight.RecordBatchStream(part(int(name)))
        return flight.RecordBatchStream(self.put[name])

    def do_put(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        """Keeps the rows and tells after each batch how many there are."""
        batches = []
        for chunk in reader:
            batches.append(chunk.data)
            if descriptor.path == [b"refused"]:
                raise flight.FlightUnauthorizedError("nobody may put this")
            writer.write(str(sum(batch.num_rows for batch in batches)).encode())
        self.put[descriptor.path[0].decode()] = pa.Table.from_batches(batches, reader.schema)

    def do_exchange(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        """Gives each batch back as it came, before the next one is read; or ends on its own."""
        writer.begin(reader.schema)
        for chunk in reader:
            if descriptor.path == [b"refused"]:
                raise flight.FlightUnauthorizedError("nobody may exchange this")
            writer.write_batch(chunk.data)

    def do_action(self, context: Any, action: flight.Action) -> Iterator[bytes]:
        """Tells what it was told; of endless streams, how many are open and go; who is asking."""
        if action.type == "open":
            yield str(self.open).encode()
        elif action.type == "made":
            yield str(self.made).encode()
        elif action.type == "who":
            yield context.get_middleware("who").told.encode()
        elif action.type == "echo":
            yield action.body.to_pybytes()
            yield b"end"
        else:
            raise NotImplementedError(f"no action is called {action.type}")

    def list_actions(self, context: Any) -> list[tuple[str, str]]:
        """What there is to do."""
        return [("echo", "Tells what it was told."), ("open", "Counts streams.")]

    def _numbers(self) -> flight.FlightInfo:
        descriptor = flight.FlightDescriptor.for_path("numbers")
        reuse = "arrow-flight-reuse-connection://?"
        places: list[list[str]] = [[reuse] if number % 2 else [] for number in range(PARTS)]
        endpoints = [flight.FlightEndpoint(str(i).encode(), at) for i, at in enumerate(places)]
        return flight.FlightInfo(SCHEMA, descriptor, endpoints, PARTS * ROWS, -1)

    def _endless(self) -> Iterator[pa.RecordBatch]:
        self.open += 1
        self.made = 0
        try:
            while True:
                self.made += 1
                yield LARGE
        finally:
            self.open -= 1


def beside() -> Iterator[tuple[pa.RecordBatch, bytes]]:
    """Batches with metadata."""
    for number in range(2):
        yield numbers(number), f"beside {number}".encode()


def broken() -> Iterator[pa.RecordBatch]:
    """A batch, and then an error."""
    yield numbers(0)
    raise flight.FlightTimedOutError("it took too long")


class Who(flight.ServerMiddleware):
    """Who is asking."""

    def __init__(self, told: str, answer: dict[str, str]) -> None:
        self.told = told
        self._answer = answer

    def sending_headers(self) -> dict[str, str]:
        """A token, for a handshake."""
        return self._answer


class Door(flight.ServerMiddlewareFactory):
    """Answers a password with a token, and nobody else but who has it."""

    def start_call(self, info: Any, headers: dict[str, list[str]]) -> Who:
        """Looks at the credential."""
        [given] = headers.get("authorization", [""])
        basic = "Basic " + base64.b64encode(b"ann:secret").decode()
        if given == basic:
            return Who("ann", {"authorization": TOKEN})
        if given.startswith("Basic "):
            raise flight.FlightUnauthenticatedError("the password is wrong")
        return Who(f"{given} {headers.get('x-extra', [''])[0]}".strip(), {})


class Payload(flight.ServerAuthHandler):
    """Knows clients by the payload of their handshake, as servers did before there were headers."""

    def authenticate(self, outgoing: Any, incoming: Any) -> None:
        """A name and a password."""
        shown = flight.BasicAuth.deserialize(incoming.read())
        if (shown.username, shown.password) != (b"ann", b"secret"):
            raise flight.FlightUnauthenticatedError("the password is wrong")
        outgoing.write(b"a-token")

    def is_valid(self, token: bytes) -> str:
        """The name behind the token."""
        if token != b"a-token":
            raise flight.FlightUnauthenticatedError("the token is wrong")
        return "ann"


class Open(flight.ServerAuthHandler):
    """Opens the handshake; the door has looked at the credential."""

    def authenticate(self, outgoing: Any, incoming: Any) -> None:
        """Nothing is left to ask."""

    def is_valid(self, token: bytes) -> str:
        """Whoever came through the door."""
        return ""


def main() -> None:
    """Serves until the input ends."""
    authority = trustme.CA()
    own, client = authority.issue_cert("localhost", "127.0.0.1"), authority.issue_cert("ann")
    chain = b"".join(pem.bytes() for pem in own.cert_chain_pems)
    plain = Server("grpc://127.0.0.1:0", auth_handler=Open(), middleware={"who": Door()})
    older = Server("grpc://127.0.0.1:0", auth_handler=Payload())
    secure = Server(
        "grpc+tls://127.0.0.1:0",
        tls_certificates=[(chain, own.private_key_pem.bytes())],
        verify_client=True,
        root_certificates=authority.cert_pem.bytes(),
    )
    servers = {"plain": plain, "older": older, "secure": secure}
    for server in servers.values():
        threading.Thread(target=server.serve, daemon=True).start()
    ports = {name: server.port for name, server in servers.items()}
    pems = {
        "roots": authority.cert_pem,
        "certificate": client.cert_chain_pems[0],
        "privateKey": client.private_key_pem,
    }
    told = {**ports, "tls": {name: pem.bytes().decode() for name, pem in pems.items()}}
    print(json.dumps(told), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
