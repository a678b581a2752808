"""Batches that count once: their commit says that they were done, and what they did."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from flight_server.client import Client, connect
from flight_server.errors import ErrorCode, Unsupported
from flight_server.testing.server import LocalServer

INSERT = {"operation": "insert", "table": "effects", "data": [{"n": 7}, {"n": 8}]}
ADD = {"operation": "update", "table": "sums", "where": {"id": 0}, "set": {"n": {"expr": "n + 1"}}}
TOKENS = (f"token-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Any:
    with connect(server.url, server.key) as opened:
        opened.create_table("sums", pa.schema([("id", pa.int64()), ("n", pa.int64())]))
        opened.create_table("effects", pa.schema([("n", pa.int64())]))
        yield opened


@pytest.fixture
def tables(client: Client) -> None:
    client.put("sums", pa.table({"id": [0], "n": [0]}), mode="overwrite")
    client.put("effects", pa.table({"n": pa.array([], pa.int64())}), mode="overwrite")


def state(client: Client) -> tuple[int, int]:
    sums = client.sql("select n from sums").to_pylist()
    effects = client.sql("select count(*) as c from effects").to_pylist()
    return sums[0]["n"], effects[0]["c"]


def batch(*operations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"operations": list(operations), **more}


@pytest.mark.parametrize("is_one", [True, False])
@pytest.mark.usefixtures("tables")
def test_a_batch_under_a_token_is_done_once_and_answered_alike(
    client: Client, is_one: bool
) -> None:
    token = next(TOKENS)
    given = batch(INSERT, ADD, transaction=is_one)
    first = client.batch(given, token=token)
    again = client.batch(given, token=token)
    assert again["results"] == first["results"]
    assert [one["rows"] for one in first["results"]] == [2, 1]
    assert state(client) == (1, 2)
    # Another token, or none, is another batch.
    client.batch(given, token=next(TOKENS))
    client.batch(given)
    assert state(client) == (3, 6)


@pytest.mark.usefixtures("tables")
def test_a_batch_that_failed_may_be_sent_again(client: Client) -> None:
    token, missing = next(TOKENS), {**INSERT, "table": "later"}
    failed = client.batch(batch(ADD, missing), token=token)
    assert (failed["error"]["code"], state(client)) == ("table_not_found", (0, 0))
    client.create_table("later", pa.schema([("n", pa.int64())]))
    assert client.batch(batch(ADD, missing), token=token)["successful"] == 2
    assert state(client) == (1, 0)
    client.drop_table("later")


@pytest.mark.usefixtures("tables")
def test_of_single_operations_those_that_were_done_are_not_done_again(client: Client) -> None:
    token = next(TOKENS)
    missing = {**INSERT, "table": "later"}
    given = batch(ADD, missing, INSERT, transaction=False, continue_on_error=True)
    assert client.batch(given, token=token)["failed"] == 1
    client.create_table("later", pa.schema([("n", pa.int64())]))
    assert client.batch(given, token=token)["successful"] == 3
    assert state(client) == (1, 2)
    client.drop_table("later")


@pytest.mark.usefixtures("tables")
def test_a_token_stands_for_one_batch(client: Client) -> None:
    token = next(TOKENS)
    client.batch(batch(ADD), token=token)
    other = client.batch(batch(ADD, ADD), token=token)
    assert other["error"]["code"] == ErrorCode.TOKEN_CONFLICT.text
    assert "was used for something else" in other["error"]["message"]
    assert state(client) == (1, 0)


@pytest.mark.parametrize("operations", [(INSERT, ADD), (INSERT,)])
@pytest.mark.usefixtures("tables")
def test_those_that_send_it_at_once_are_answered_by_one_commit(
    client: Client, server: LocalServer, operations: tuple[dict[str, Any], ...]
) -> None:
    token, answers = next(TOKENS), []

    def send() -> None:
        with connect(server.url, server.key) as own:
            answers.append(own.batch(batch(*operations), token=token)["results"])

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [answers[0]] * 4
    assert state(client) == (len(operations) - 1, 2)


@pytest.mark.usefixtures("tables")
def test_inside_a_transaction_there_is_no_receipt(client: Client) -> None:
    with client.transaction():
        refused = client.batch(batch(ADD), token=next(TOKENS))
        assert refused["error"]["code"] == Unsupported.default.text
        client.batch(batch(ADD))
    assert state(client) == (1, 0)


def test_a_receipt_outlives_the_server(start_server: Callable[..., LocalServer]) -> None:
    first = start_server()
    with connect(first.url, first.key) as client:
        client.put("sums", pa.table({"id": [0], "n": [0]}))
        done = client.batch(batch(ADD), token="kept")["results"]
    first.door.stop(0)
    first.services.close()
    second = start_server(data=first.data)
    with connect(second.url, second.key) as client:
        assert client.batch(batch(ADD), token="kept")["results"] == done
        assert client.sql("select n from sums").to_pylist() == [{"n": 1}]
