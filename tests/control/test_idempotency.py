"""Writes that are sent again under their key."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import httpx
import pyarrow as pa
import pytest

from control_api.idempotency import Idempotency
from flight_server.client import connect
from flight_server.metastore.kept_answers import KeptAnswers
from tests.fix_http import TwoDoors

ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module", autouse=True)
def table(doors: TwoDoors) -> None:
    with connect(doors.flight.url, doors.key) as client:
        client.create_table("counted", pa.schema([("n", pa.int64())]))


def count(api: httpx.Client, n: int) -> int:
    sql = {"sql": "select count(*) as c from counted where n = $n", "parameters": {"n": n}}
    answer = api.post("/api/v1/query", json=sql)
    return int(answer.json()["rows"][0]["c"])


def insert(api: httpx.Client, n: int, key: str, **more: Any) -> httpx.Response:
    headers = {"idempotency-key": key}
    return api.post("/api/v1/tables/counted/rows", json={"n": n}, headers=headers, **more)


def test_a_write_that_is_sent_again_is_done_once(api: httpx.Client) -> None:
    first, second = insert(api, 1, "one"), insert(api, 1, "one")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["content-type"] == first.headers["content-type"]
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert count(api, 1) == 1


def test_an_arrow_stream_is_done_once(api: httpx.Client) -> None:
    sink = pa.BufferOutputStream()
    rows = pa.table({"n": pa.array([2, 2, 2], pa.int64())})
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    headers = {"idempotency-key": "stream", "content-type": ARROW}
    answers = [
        api.post(
            "/api/v1/tables/counted/rows", content=sink.getvalue().to_pybytes(), headers=headers
        )
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert count(api, 2) == 3


def test_another_request_needs_another_key(api: httpx.Client) -> None:
    assert insert(api, 3, "mine").status_code == 201
    for refused in (
        insert(api, 4, "mine"),
        insert(api, 3, "mine", params={"mode": "upsert"}),
        api.delete("/api/v1/tables/counted", headers={"idempotency-key": "mine"}),
    ):
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "token_conflict")
    assert (count(api, 3), count(api, 4)) == (1, 0)


def test_keys_of_others_are_others_keys(doors: TwoDoors, api: httpx.Client) -> None:
    with doors.client(doors.key_of("writer", name="another")) as other:
        assert insert(api, 5, "shared").status_code == 201
        assert insert(other, 5, "shared").status_code == 201
    assert count(api, 5) == 2


def test_what_failed_may_be_sent_again(api: httpx.Client) -> None:
    headers = {"idempotency-key": "later"}
    path = "/api/v1/tables/made_later/rows"
    assert api.post(path, json={"n": 1}, headers=headers).status_code == 404
    assert api.post(path, json={"n": 2}, headers=headers).status_code == 404


def test_the_same_key_at_the_same_time_is_a_conflict(
    doors: TwoDoors, api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed = threading.Event()
    go_on = threading.Event()
    answer = Idempotency._answer

    async def noted(self: Idempotency, *arguments: Any) -> None:
        claimed.set()
        await answer(self, *arguments)

    def body() -> Any:
        yield b'{"n": 6}\n'
        go_on.wait(20)

    def first() -> None:
        headers = {"idempotency-key": "slow", "content-type": "application/x-ndjson"}
        with doors.client() as client:
            answers.append(
                client.post("/api/v1/tables/counted/rows", content=body(), headers=headers)
            )

    answers: list[httpx.Response] = []
    monkeypatch.setattr(Idempotency, "_answer", noted)
    thread = threading.Thread(target=first)
    thread.start()
    assert claimed.wait(20)
    refused = insert(api, 6, "slow")
    go_on.set()
    thread.join()
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    assert refused.json()["error"]["retryable"] is True
    assert answers[0].status_code == 201
    assert count(api, 6) == 1


def test_a_server_that_died_before_it_kept_the_answer_inserts_once(
    doors: TwoDoors, api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(KeptAnswers, "keep", die)
        assert insert(api, 7, "killed").status_code == 500
    again = insert(api, 7, "killed")
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    assert count(api, 7) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_none_is_refused(api: httpx.Client, key: str) -> None:
    assert insert(api, 8, key).json()["error"]["code"] == "invalid_request"
    assert count(api, 8) == 0


@pytest.mark.parametrize(
    "path",
    [
        "/auth/api-keys",
        "/auth/token",
        "/auth/api-keys/x/rotate",
        "/batch/webhooks",
        "/batch/webhooks/x/rotate",
    ],
)
def test_answers_with_secrets_are_not_kept(api: httpx.Client, path: str) -> None:
    body = {"name": "secret", "roles": ["reader"]}
    refused = api.post(f"/api/v1{path}", json=body, headers={"idempotency-key": "k"})
    assert refused.status_code == 400
    assert "secret" in refused.json()["error"]["message"]


def test_what_comes_again_is_in_the_encoding_that_it_was_in(api: httpx.Client) -> None:
    body = {"compression": "gzip", "limit": 0}
    key = {"idempotency-key": "compressed"}
    first, again = (
        api.post("/api/v1/batch/stream/counted", json=body | {"format": "csv"}, headers=key)
        for _ in range(2)
    )
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["content-encoding"] == first.headers["content-encoding"] == "gzip"
    assert again.text == first.text != ""


def test_reads_take_no_notice_of_a_key(api: httpx.Client) -> None:
    headers = {"idempotency-key": "one"}
    assert api.get("/api/v1/namespaces", headers=headers).status_code == 200


def test_strangers_are_told_so(doors: TwoDoors) -> None:
    with doors.client("") as nobody:
        assert insert(nobody, 9, "one").status_code == 401


def test_answers_grow_too_old(doors: TwoDoors, api: httpx.Client) -> None:
    assert insert(api, 10, "old").status_code == 201
    principal = api.get("/api/v1/auth/me").json()["id"]
    assert doors.services.kept_answers.find(principal, "old") is not None
    assert KeptAnswers(doors.services.metastore, 0).find(principal, "old") is None


def test_a_body_that_nobody_reads_and_that_cannot_be_read(
    start_doors: Callable[..., TwoDoors],
) -> None:
    """What was done is told, and not kept, since what was asked for is not known."""
    with start_doors(json_bytes_max=1024).client() as api:
        assert api.post("/api/v1/namespaces", json={"namespace": "n"}).status_code == 201
        key = {"idempotency-key": "drop", "content-type": "application/json"}
        large = b"[" + b" " * 5_000
        dropped = api.request("DELETE", "/api/v1/namespaces/n", content=large, headers=key)
        assert dropped.status_code == 200, dropped.text
        assert api.get("/api/v1/namespaces/n").status_code == 404
        again = api.request("DELETE", "/api/v1/namespaces/n", content=large, headers=key)
        assert again.status_code == 404
        assert api.post("/api/v1/namespaces", json={"namespace": "m"}).status_code == 201
        other = api.request("DELETE", "/api/v1/namespaces/m", headers=key)
        assert other.status_code == 200
        replay = api.request("DELETE", "/api/v1/namespaces/m", content=large, headers=key)
        assert (replay.status_code, replay.json()["error"]["code"]) == (409, "token_conflict")


@pytest.mark.parametrize("is_one", [True, False])
def test_a_batch_is_done_once_though_its_answer_was_lost(
    api: httpx.Client, doors: TwoDoors, is_one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the server dies behind the commit and before it has kept the answer."""
    number = 900 + is_one
    insertion = {"operation": "insert", "table": "counted", "data": [{"n": number}]}
    body = {"operations": [insertion, insertion], "transaction": is_one}
    headers = {"idempotency-key": f"batch {is_one}"}
    with monkeypatch.context() as forgetful:
        forgetful.setattr(KeptAnswers, "keep", lambda *given: None)
        first = api.post("/api/v1/batch/operations", json=body, headers=headers)
    again = api.post("/api/v1/batch/operations", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert "idempotency-replayed" not in again.headers
    assert first.json()["results"] == again.json()["results"]
    assert count(api, number) == 2
