"""Statements that write and transactions, against a server that keeps a diary of its calls."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.client import Client, Executed, connect
from flight_server.errors import Cancelled, Internal, InvalidRequest

COOKIE = "arrow_flight_session_id"


class _Greeting(flight.ServerMiddleware):  # type: ignore[misc]  # pyarrow has no types
    """Hands out a cookie where none was shown."""

    def __init__(self, headers: Mapping[str, Any]) -> None:
        super().__init__()
        self.cookie = headers.get("cookie", [None])[0]

    def sending_headers(self) -> dict[str, str]:
        return {} if self.cookie else {"set-cookie": f"{COOKIE}=abc; HttpOnly"}


class _Greetings(flight.ServerMiddlewareFactory):  # type: ignore[misc]  # pyarrow has no types
    def start_call(self, info: object, headers: Mapping[str, Any]) -> _Greeting:
        return _Greeting(headers)


class Diary(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow has no types
    """Writes down statements and the cookies they came with. `fails` is refused."""

    def __init__(self) -> None:
        super().__init__("grpc://127.0.0.1:0", middleware={"greeting": _Greetings()})
        self.said: list[str] = []
        self.cookies: list[str | None] = []
        self.bodies: list[dict[str, Any]] = []

    def do_action(self, context: Any, action: flight.Action) -> list[flight.Result]:
        self.cookies.append(context.get_middleware("greeting").cookie)
        if action.type != "execute":
            self.said.append(action.type)
            return []
        body = json.loads(action.body.to_pybytes())
        self.bodies.append(body)
        self.said.append(body["sql"])
        if body["sql"] == "fails":
            raise flight.FlightServerError("no")
        answer = {"kind": "insert", "rows": 3, "commit": 7}
        return [flight.Result(json.dumps(answer).encode())]

    def do_get(self, context: object, ticket: flight.Ticket) -> flight.GeneratorStream:
        batch = pa.record_batch({"n": pa.array(range(65_536), pa.int64())})

        def batches() -> Iterator[pa.RecordBatch]:
            while True:
                yield batch

        return flight.GeneratorStream(batch.schema, batches())


@pytest.fixture
def diary() -> Iterator[Diary]:
    with Diary() as server:
        yield server


@pytest.fixture
def client(diary: Diary) -> Iterator[Client]:
    with connect(f"grpc://127.0.0.1:{diary.port}", "") as connected:
        yield connected


def test_a_statement_says_what_it_did(client: Client, diary: Diary) -> None:
    done = client.execute("insert into t values ($count)", {"count": 2})
    assert done == Executed("insert", rows=3, commit=7)
    assert diary.bodies[0]["parameters"] == {"count": 2}


def test_a_transaction_is_committed_at_the_end_of_its_block(client: Client, diary: Diary) -> None:
    with client.transaction():
        client.execute("one")
    assert diary.said == ["BEGIN", "one", "COMMIT"]


def test_a_block_that_raises_is_rolled_back(client: Client, diary: Diary) -> None:
    with pytest.raises(KeyError), client.transaction():
        raise KeyError("x")
    assert diary.said == ["BEGIN", "ROLLBACK"]


def test_a_statement_that_fails_rolls_all_back(client: Client, diary: Diary) -> None:
    with pytest.raises(Internal), client.transaction():
        client.execute("fails")
    assert diary.said == ["BEGIN", "fails", "ROLLBACK"]


def test_a_rollback_ends_the_results_that_are_still_open(client: Client) -> None:
    opened = client.transaction()
    opened.__enter__()
    batches = client.sql("select").batches()
    next(batches)
    error = KeyError("x")
    assert not opened.__exit__(KeyError, error, None)
    with pytest.raises(Cancelled):
        list(batches)


def test_the_cookie_of_the_session_goes_with_every_call(client: Client, diary: Diary) -> None:
    sessions = [client.session]
    with client.transaction():
        client.execute("one")
    sessions.append(client.session)
    assert sessions == [None, "abc"]
    assert diary.cookies == [None, f"{COOKIE}=abc", f"{COOKIE}=abc"]


def test_leaving_ends_the_session(diary: Diary) -> None:
    with connect(f"grpc://127.0.0.1:{diary.port}", "") as client:
        client.execute("one")
    client.close()
    assert diary.said == ["one", "CloseSession"]


def test_leaving_a_server_that_is_gone_is_quiet(diary: Diary) -> None:
    with connect(f"grpc://127.0.0.1:{diary.port}", "") as client:
        client.execute("one")
        diary.shutdown()
    assert client.session is None


def test_parameters_that_are_one_text_are_told(client: Client) -> None:
    with pytest.raises(InvalidRequest, match="give a list"):
        client.execute("insert into t values (?)", "x")
