"""Who may call: every method refuses whoever shows no valid credential."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable

import grpc
import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.auth import sign_token
from flight_server.testing.server import LocalServer
from tests.fix_client import Client, Refusal, refusal
from tests.fix_raw_flight import METHODS, raw_call

DATA = pa.table({"a": [1]})


def wrong_credentials(server: LocalServer) -> dict[str, str | None]:
    keys = server.services.keys
    revoked, info = keys.create("revoked", ["admin"], created_by="test")
    keys.revoke(info.id)
    secret, bearer = server.services.signing_secret, f"key:{info.id}"
    expired = sign_token(secret, bearer, "", time.time() - 1)
    orphaned = sign_token(secret, bearer, "", time.time() + 60)
    foreign = sign_token(b"x" * 32, bearer, "", time.time() + 60)
    another = server.key[:20] + ("A" if server.key[20] != "A" else "B") + server.key[21:]
    return {
        "none": None,
        "empty": "Bearer ",
        "no key": "Bearer hello",
        "mistyped": f"Bearer {another}",
        "revoked": f"Bearer {revoked}",
        "expired token": f"Bearer {expired}",
        "token of a revoked key": f"Bearer {orphaned}",
        "token of another server": f"Bearer {foreign}",
        "no scheme": server.key,
        "digest": f"Digest {server.key}",
        "basic, no password": "Basic " + base64.b64encode(b"admin").decode(),
        "basic, wrong": "Basic " + base64.b64encode(b"admin:secret").decode(),
        "basic, no base64": "Basic %%%",
    }


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"PollFlightInfo"}))
def test_every_method_refuses_every_wrong_credential(server: LocalServer, method: str) -> None:
    for what, credential in wrong_credentials(server).items():
        metadata = [("authorization", credential)] if credential is not None else []
        with pytest.raises(grpc.RpcError) as caught:
            raw_call(server, method, [b""], *metadata)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED, (method, what)
        assert "Traceback" not in str(caught.value.details())


def test_every_method_knows_the_key(server: LocalServer) -> None:
    refused = []
    for method in METHODS:
        try:
            raw_call(server, method, [b""], ("authorization", f"Bearer {server.key}"))
        except grpc.RpcError as error:
            refused += [method] if error.code() is grpc.StatusCode.UNAUTHENTICATED else []
    assert refused == []


def test_a_key_that_is_revoked_ends_at_once(
    server: LocalServer, connect: Callable[..., Client]
) -> None:
    text, info = server.services.keys.create("short", ["admin"], created_by="test")
    client = connect(server, text)
    token = client.flight.authenticate_basic_token("any", text)
    with_token = flight.FlightCallOptions(headers=[token])
    assert client.action("health")["status"] == "ready"
    assert list(client.flight.list_actions(with_token))
    server.services.keys.revoke(info.id)
    found = refusal(lambda: client.action("health"))
    assert found.code == "unauthenticated"
    assert info.id in found.message
    assert text not in found.text
    found = refusal(lambda: list(client.flight.list_actions(with_token)))
    assert found.code == "unauthenticated"


def test_a_handshake_answers_with_a_token(
    server: LocalServer, connect: Callable[..., Client]
) -> None:
    client = connect(server, None)
    header, value = client.flight.authenticate_basic_token("anyone", server.key)
    assert header == b"authorization"
    assert value.startswith(b"Bearer pft_")
    options = flight.FlightCallOptions(headers=[(header, value)])
    assert list(client.flight.list_actions(options))
    with pytest.raises(flight.FlightUnauthenticatedError) as caught:
        client.flight.authenticate_basic_token("anyone", "wrong")
    assert Refusal(caught.value).code == "unauthenticated"


def test_a_token_is_not_an_api_key(server: LocalServer, connect: Callable[..., Client]) -> None:
    client = connect(server, None)
    _, value = client.flight.authenticate_basic_token("anyone", server.key)
    token = value.removeprefix(b"Bearer ").decode()
    with pytest.raises(flight.FlightUnauthenticatedError):
        client.flight.authenticate_basic_token("anyone", token)


@pytest.mark.parametrize(
    ("header", "says"), [(b"pf_key", "neither 'Bearer' nor 'Basic'"), (b"", "shows no credential")]
)
def test_a_key_without_its_scheme_is_told_what_is_missing(
    server: LocalServer, connect: Callable[..., Client], header: bytes, says: str
) -> None:
    options = flight.FlightCallOptions(headers=[(b"authorization", header)])
    with pytest.raises(flight.FlightUnauthenticatedError, match=says):
        list(connect(server, None).flight.list_actions(options))


@pytest.mark.parametrize("user", ["", "a", "me", "any"])
@pytest.mark.parametrize("padding", [True, False])
def test_basic_works_on_every_call(
    server: LocalServer, connect: Callable[..., Client], user: str, padding: bool
) -> None:
    """Of whatever length the user's name is; some clients send base64 without its padding."""
    credential = base64.b64encode(f"{user}:{server.key}".encode())
    credential = credential if padding else credential.rstrip(b"=")
    options = flight.FlightCallOptions(headers=[(b"authorization", b"Basic " + credential)])
    assert list(connect(server, None).flight.list_actions(options))


def test_who_commits_is_recorded(
    server: LocalServer, connect: Callable[..., Client], name: str
) -> None:
    text, _ = server.services.keys.create("nightly job", ["writer"], created_by="test")
    client = connect(server, text)
    client.put(DATA, ingest={"table": name, "mode": "create"})
    assert client.action("list_versions", table=name)["versions"][0]["author"] == "nightly job"


def test_a_reader_may_not_write(
    server: LocalServer, client: Client, connect: Callable[..., Client], name: str
) -> None:
    client.put(DATA, ingest={"table": name, "mode": "create"})
    text, _ = server.services.keys.create("reader", ["reader"], created_by="test")
    reader = connect(server, text)
    assert reader.get(name).equals(DATA)
    for call in (
        lambda: reader.put(DATA, name),
        lambda: reader.put(DATA, ingest={"table": f"{name}_2", "mode": "create"}),
        lambda: reader.action("drop_table", table=name),
        lambda: reader.action("delete", table=name, all=True),
        lambda: reader.action("update", table=name, set={"a": "2"}, all=True),
        lambda: reader.action("create_tag", table=name, name="x"),
        lambda: reader.action("create_namespace", namespace="x"),
        lambda: reader.action(
            "alter_table", table=name, changes=[{"set_comment": {"comment": ""}}]
        ),
        lambda: reader.action("optimize"),
    ):
        found = refusal(call)
        assert found.code == "forbidden"
        assert type(found.error) is flight.FlightUnauthorizedError
    assert client.get(name).equals(DATA)


def test_without_authentication_on_loopback(
    start_server: Callable[..., LocalServer],
    connect: Callable[..., Client],
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = start_server(insecure_no_auth=True)
    assert "NO AUTHENTICATION" in caplog.text
    client = connect(server, None)
    client.put(DATA, ingest={"table": "t", "mode": "create"})
    assert client.get("t").equals(DATA)
    _, value = client.flight.authenticate_basic_token("any", "thing")
    options = flight.FlightCallOptions(headers=[(b"authorization", value)])
    assert list(client.flight.list_actions(options))
    assert connect(server, "rubbish").get("t").equals(DATA)
