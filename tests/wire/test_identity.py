"""Everything that says who asks, over Flight: passwords, tokens, keys with owners and scopes."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pyarrow as pa
import pytest
from adbc_driver_flightsql import dbapi
from pyarrow import flight

from flight_server.testing.server import LocalServer
from tests.fix_client import Client, Refusal, refusal
from tests.fix_identity import PASSWORD, new_user

pytestmark = pytest.mark.usefixtures("quick_passwords")

DATA = pa.table({"a": [1]})


@pytest.fixture
def user(server: LocalServer) -> str:
    return new_user(server, f"user {uuid.uuid4().hex[:8]}", "writer")


def shaken(client: Client, user: str, password: str) -> flight.FlightCallOptions:
    """The options of calls after a Basic handshake."""
    return flight.FlightCallOptions(
        headers=[client.flight.authenticate_basic_token(user, password)]
    )


def test_a_password_is_answered_with_a_token(
    server: LocalServer, connect: Callable[..., Client], user: str, name: str
) -> None:
    client = connect(server, None)
    options = shaken(client, user, PASSWORD)
    assert list(client.flight.list_actions(options))
    with pytest.raises(flight.FlightUnauthenticatedError) as caught:
        shaken(client, user, "wrong password")
    assert "user or the password is wrong" in Refusal(caught.value).message
    server.services.users.set_disabled(user, True)
    with pytest.raises(flight.FlightUnauthenticatedError):
        list(client.flight.list_actions(options))
    server.services.users.set_disabled(user, False)
    with pytest.raises(flight.FlightUnauthenticatedError):
        list(client.flight.list_actions(options))


def test_adbc_logs_in_with_user_and_password(server: LocalServer, user: str, name: str) -> None:
    options = {"username": user, "password": PASSWORD}
    connection = dbapi.connect(server.url, db_kwargs=options, autocommit=True)
    with connection, connection.cursor() as cursor:
        cursor.adbc_ingest(name, DATA, mode="create")
        cursor.execute(f"SELECT * FROM {name}")
        assert cursor.fetch_arrow_table().equals(DATA)
    with pytest.raises(dbapi.Error, match="password is wrong"):
        dbapi.connect(server.url, db_kwargs={**options, "password": "not this one"})


def test_adbc_takes_a_key_as_the_password(server: LocalServer, user: str) -> None:
    key, _ = server.services.keys.create("laptop", owner=user, created_by="test")
    options = {"username": "whoever", "password": key}
    connection = dbapi.connect(server.url, db_kwargs=options, autocommit=True)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS one")
        assert cursor.fetchall() == [(1,)]


def test_guessing_is_slowed_down(
    server: LocalServer, connect: Callable[..., Client], user: str
) -> None:
    client = connect(server, None)
    told = []
    for attempt in range(12):
        with pytest.raises(flight.FlightError) as caught:
            shaken(client, user, f"wrong {attempt}")
        told.append(Refusal(caught.value))
    assert [one.code for one in told] == ["unauthenticated"] * 10 + ["limit_exceeded"] * 2
    assert 1 <= told[-1].shape["details"]["retry_after_seconds"] <= 60


def test_an_access_token_is_a_credential(
    server: LocalServer, connect: Callable[..., Client], user: str, name: str
) -> None:
    issued = server.services.authenticator.login(user, PASSWORD, None)
    client = connect(server, issued.access_token)
    client.put(DATA, ingest={"table": name, "mode": "create"})
    assert client.get(name).equals(DATA)
    options = shaken_by(server, issued.access_token)
    assert list(client.flight.list_actions(options))
    server.services.tokens.revoke(issued.access_token)
    assert "revoked" in refusal(lambda: client.action("health")).message
    # What a handshake made of it ends with it.
    with pytest.raises(flight.FlightUnauthenticatedError):
        list(client.flight.list_actions(options))


def shaken_by(server: LocalServer, token: str) -> flight.FlightCallOptions:
    """The options of calls after a handshake that showed a token."""
    authenticator = server.services.authenticator
    session = authenticator.session_token(authenticator.identify(f"Bearer {token}"))
    header = (b"authorization", f"Bearer {session}".encode())
    return flight.FlightCallOptions(headers=[header])


@pytest.mark.parametrize("by_handshake", [False, True])
def test_scopes_hold_on_every_way(
    server: LocalServer,
    connect: Callable[..., Client],
    user: str,
    name: str,
    by_handshake: bool,
) -> None:
    admin = connect(server)
    for namespace in (f"s_{name}", f"h_{name}"):
        admin.action("create_namespace", namespace=namespace)
        admin.put(DATA, ingest={"table": f"{namespace}.t", "mode": "create"})
    seen, hidden = f"s_{name}.t", f"h_{name}.t"
    scopes = [f"read:{seen}"]
    key, _ = server.services.keys.create("narrow", owner=user, created_by="test", scopes=scopes)
    client = connect(server, token_of(server, key) if by_handshake else key)
    assert client.get(f"s_{name}", "t").equals(DATA)
    assert client.read(sql=f"SELECT * FROM {seen}").equals(DATA)
    for call, code in (
        (lambda: client.get(f"h_{name}", "t"), "table_not_found"),
        (lambda: client.read(sql=f"FROM {hidden}"), "table_not_found"),
        (lambda: client.read(sql=f"FROM {seen} WHERE a IN (FROM {hidden})"), "table_not_found"),
        (lambda: client.action("describe_table", table=hidden), "table_not_found"),
        (lambda: client.put(DATA, ingest={"table": seen}), "forbidden"),
        (lambda: client.action("drop_table", table=seen), "forbidden"),
        (lambda: client.action("delete", table=seen, all=True), "forbidden"),
        (lambda: client.action("create_namespace", namespace="mine"), "forbidden"),
    ):
        assert refusal(call).code == code
    listed = [info.descriptor.path for info in client.flight.list_flights(b"", client.options())]
    assert listed == [[f"s_{name}".encode(), b"t"]]


def token_of(server: LocalServer, key: str) -> str:
    with flight.connect(server.url) as client:
        _, value = client.authenticate_basic_token("any", key)
    token: str = value.decode().removeprefix("Bearer ")
    return token


def test_a_rotated_key_ends_its_sessions_with_its_overlap(
    server: LocalServer, connect: Callable[..., Client]
) -> None:
    key, info = server.services.keys.create("etl", ["reader"], created_by="test")
    client = connect(server, token_of(server, key))
    renewed, _ = server.services.keys.rotate(info.id, 600)
    assert client.action("health")["status"] == "ready"
    assert connect(server, renewed).action("health")["status"] == "ready"
    server.services.keys.rotate(info.id)
    assert "rotated" in refusal(lambda: client.action("health")).message
