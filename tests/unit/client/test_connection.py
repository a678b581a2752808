"""Where a client looks for its server, and what it says of wrong places."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyarrow import flight

from flight_server.client import Client, bodies, connect
from flight_server.client.connection import checked_url
from flight_server.client.parameters import parameters
from flight_server.errors import InvalidRequest, Unavailable
from flight_server.model import CommitEvery


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("grpc://h:1", "grpc://h:1"),
        ("grpc+tcp://h:1", "grpc://h:1"),
        ("grpc+tls://h:1/", "grpc+tls://h:1"),
        ("grpc://[::1]:1", "grpc://[::1]:1"),
    ],
)
def test_flight_urls_are_taken(url: str, expected: str) -> None:
    assert checked_url(url) == expected


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://h:1", "Write grpc\\+tls://h:1."),
        ("h:1", "Write grpc://h:1."),
        ("grpc://h:port", "needs a host and a port"),
        ("grpc://:1", "needs a host and a port"),
    ],
)
def test_other_urls_are_told(url: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        checked_url(url)


def test_the_environment_tells_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELFLIGHT_URL", "grpc://127.0.0.1:77")
    with connect() as client:
        assert client.url == "grpc://127.0.0.1:77"


def test_a_certificate_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"ca\.pem' cannot be read: No such file"):
        connect("grpc+tls://h:1", tls_root_certificates=tmp_path / "ca.pem")


def test_commands_leave_out_what_is_not_given() -> None:
    command = bodies.command("scan", table="t", limit=0, filter=None)
    assert json.loads(command) == {"scan": {"table": "t", "limit": 0}}


def test_parameters_that_json_has_a_form_for_are_written_in_it() -> None:
    values = {"n": 1, "x": None, "l": [1.5, "a"]}
    assert parameters(values) == {"parameters": values}
    assert set(parameters({"d": dt.date(2024, 1, 2), "n": 1})) == {"parameters_ipc"}


def test_when_to_commit_may_be_said_by_a_mapping() -> None:
    assert bodies.policy({"rows": 1}) == bodies.policy(CommitEvery(rows=1)) == {"rows": 1}


@pytest.mark.parametrize("every", [5, "rows", {"rows": "1"}], ids=str)
def test_what_does_not_say_when_to_commit_is_told(every: Any) -> None:
    with pytest.raises(InvalidRequest, match="Give a number of 'rows', 'bytes' or 'ms'"):
        bodies.policy(every)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: bodies.names("id", "key"), "give a list: \\['id'\\]"),
        (lambda: parameters("x"), "give a list: \\['x'\\]"),
        (lambda: bodies.mode("upsrt"), "'append', .*Did you mean 'upsert'\\?"),
        (lambda: bodies.policy({"row": 1}), "is {'row': 1}. Give a number of 'rows'"),
        (lambda: bodies.policy({}), "needs 'rows', 'bytes' or 'ms'"),
        (lambda: bodies.moment(dt.datetime(2024, 1, 1)), "has no time zone"),
    ],
)
def test_likely_slips_are_told(call: Any, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        call()


class Empty(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow has no types
    """A server without tables."""

    def list_flights(self, context: object, criteria: bytes) -> Iterator[flight.FlightInfo]:
        return iter(())


def test_a_client_finds_its_server_again() -> None:
    server = Empty("grpc://127.0.0.1:0")
    url = f"grpc://127.0.0.1:{server.port}"
    with connect(url, "", timeout_seconds=20) as client:
        assert client.tables() == []
        server.shutdown()
        for _ in range(3):
            with pytest.raises(Unavailable):
                client.tables()
        with Empty(url):
            until = time.monotonic() + 20
            while not answers(client):
                assert time.monotonic() < until, "it is not found again"
                time.sleep(0.02)


def answers(client: Client) -> bool:
    try:
        return client.tables() == []
    except Unavailable:
        return False
