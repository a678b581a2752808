"""Sessions: options that stay, for one client, until they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyarrow import flight

from flight_server.testing.server import LocalServer
from flight_server.wire.protobuf import MESSAGES
from tests.fix_client import Client, refusal

VALUES: dict[str, Any] = {
    "text": "ü",
    "yes": True,
    "no": False,
    "number": -(2**40),
    "ratio": 0.5,
    "list": ["a", "b"],
    "nothing": [],
}


def set_options(client: Client, **values: Any) -> dict[str, int]:
    request = MESSAGES["SetSessionOptionsRequest"]()
    for name, value in values.items():
        option = request.session_options[name]
        match value:
            case bool():
                option.bool_value = value
            case str():
                option.string_value = value
            case int():
                option.int64_value = value
            case float():
                option.double_value = value
            case list():
                option.string_list_value.SetInParent()
                option.string_list_value.values.extend(value)
    answer = client.raw_action("SetSessionOptions", request.SerializeToString())
    errors = MESSAGES["SetSessionOptionsResult"].FromString(answer).errors
    return {name: errors[name].value for name in errors}


def options(client: Client) -> dict[str, Any]:
    """What was set. What bare names belong to is always told, and left out here."""
    found = all_options(client)
    assert (found.pop("catalog"), found.pop("schema")) == ("lake", "main")
    return found


def all_options(client: Client) -> dict[str, Any]:
    answer = client.raw_action("GetSessionOptions", b"")
    found = MESSAGES["GetSessionOptionsResult"].FromString(answer).session_options
    values = {}
    for name in found:
        kind = found[name].WhichOneof("value")
        value = getattr(found[name], kind)
        values[name] = list(value.values) if kind == "string_list_value" else value
    return values


def test_options_of_every_type_stay(server: LocalServer, connect: Callable[..., Client]) -> None:
    client = connect(server)
    assert options(client) == {}
    assert set_options(client, **VALUES) == {}
    assert options(client) == VALUES
    assert set_options(client, text=None, yes=False) == {}
    assert options(client) == {k: v for k, v in VALUES.items() if k != "text"} | {"yes": False}


def test_sessions_of_two_clients_are_two(
    server: LocalServer, connect: Callable[..., Client]
) -> None:
    # Connections of one process to one address are shared unless they are told not to be.
    alone = [("grpc.use_local_subchannel_pool", 1)]
    one, other = connect(server), connect(server, generic_options=alone)
    set_options(one, who="one")
    assert options(other) == {}
    set_options(other, who="other")
    assert (options(one), options(other)) == ({"who": "one"}, {"who": "other"})


def test_a_token_is_a_session(server: LocalServer, connect: Callable[..., Client]) -> None:
    opener = connect(server, None)

    def token() -> str:
        _, value = opener.flight.authenticate_basic_token("any", server.key)
        return str(value.removeprefix(b"Bearer ").decode())

    first, second = token(), token()
    set_options(connect(server, first), who="first")
    assert options(connect(server, first)) == {"who": "first"}
    assert options(connect(server, second)) == {}


def test_a_cookie_is_a_session(server: LocalServer, connect: Callable[..., Client]) -> None:
    jar: list[str] = []

    class Keep(flight.ClientMiddleware):  # type: ignore[misc]
        def received_headers(self, headers: dict[str, list[str]]) -> None:
            jar.extend(headers.get("set-cookie", []))

    class Keeps(flight.ClientMiddlewareFactory):  # type: ignore[misc]
        def start_call(self, info: flight.CallInfo) -> flight.ClientMiddleware:
            return Keep()

    alone = [("grpc.use_local_subchannel_pool", 1)]
    set_options(connect(server, generic_options=alone, middleware=[Keeps()]), who="kept")
    (cookie,) = jar
    pair = cookie.partition(";")[0]
    assert pair.startswith("arrow_flight_session_id=")
    elsewhere = connect(server, generic_options=alone)
    answer = elsewhere.raw_action("GetSessionOptions", b"", [("cookie", pair)])
    found = MESSAGES["GetSessionOptionsResult"].FromString(answer).session_options
    assert found["who"].string_value == "kept"
    key, _ = server.services.keys.create("thief", ["admin"], created_by="test")
    thief = connect(server, key, generic_options=alone)
    answer = thief.raw_action("GetSessionOptions", b"", [("cookie", pair)])
    stolen = MESSAGES["GetSessionOptionsResult"].FromString(answer).session_options
    assert "who" not in stolen


def test_a_closed_session_is_gone(server: LocalServer, connect: Callable[..., Client]) -> None:
    client = connect(server, generic_options=[("grpc.use_local_subchannel_pool", 1)])
    set_options(client, who="me")
    answer = client.raw_action("CloseSession", b"")
    assert MESSAGES["CloseSessionResult"].FromString(answer).status == 1
    assert options(client) == {}
    assert refusal(lambda: client.raw_action("CloseSession", b"")).code == "not_found"


def test_options_that_cannot_be(server: LocalServer, connect: Callable[..., Client]) -> None:
    client = connect(server, generic_options=[("grpc.use_local_subchannel_pool", 1)])
    errors = set_options(client, **{"": "x", "n" * 201: "x", "large": "x" * 20_000, "good": "x"})
    assert errors == {"": 1, "n" * 201: 1, "large": 2}
    assert options(client) == {"good": "x"}
    assert set_options(client, **{f"o{i}": "x" for i in range(120)})
    assert len(options(client)) == 100
    found = refusal(lambda: client.raw_action("SetSessionOptions", b"\xff\xff"))
    assert found.code == "invalid_request"
