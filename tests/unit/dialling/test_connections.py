"""What asyncio dials: the addresses that were checked, over connections that are used again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
import pytest

from flight_server.dialling import Destination, Dialling
from flight_server.dialling.connections import AddressRefused, as_url, connections
from tests.fix_dialled import LocalResolver, LocalServer

Servers = Callable[..., LocalServer]


def answer(url: str, dialling: Dialling) -> tuple[int, bytes]:
    async def ask() -> tuple[int, bytes]:
        pool = connections(dialling, each_host_max=4, kept_seconds=5, tls=None)
        async with (
            aiohttp.ClientSession(connector=pool) as session,
            session.get(as_url(Destination.of(url)), allow_redirects=False) as response,
        ):
            return response.status, await response.read()

    return asyncio.run(ask())


def test_names_are_resolved_and_checked(local_servers: Servers) -> None:
    server = local_servers("127.0.0.2")
    server.says("/a%20b", b"here")
    dialling = Dialling(["127.0.0.2/32"], LocalResolver(hook=["127.0.0.1", "127.0.0.2"]))
    assert answer(f"http://hook:{server.port}/a%20b", dialling) == (200, b"here")
    assert server.asked[0][1]["host"] == f"hook:{server.port}"


@pytest.mark.parametrize("host", ["hook", "127.0.0.1", "[::ffff:127.0.0.1]", "0x7f000001"])
def test_what_may_not_be_dialled_is_not(local_servers: Servers, host: str) -> None:
    server = local_servers("127.0.0.1")
    dialling = Dialling(["127.0.0.2/32"])
    if host == "hook":
        dialling = Dialling(["127.0.0.2/32"], LocalResolver(hook=["127.0.0.1"]))
    with pytest.raises(aiohttp.ClientConnectorError) as caught:
        answer(f"http://{host}:{server.port}/", dialling)
    assert isinstance(caught.value.os_error, AddressRefused)
    assert server.asked == []


@pytest.mark.parametrize("host", ["2130706433", "127.1"])
def test_odd_spellings_of_addresses_are_refused_unread(local_servers: Servers, host: str) -> None:
    server = local_servers("127.0.0.1")
    with pytest.raises(aiohttp.ClientError):
        answer(f"http://{host}:{server.port}/", Dialling(["127.0.0.2/32"]))
    assert server.asked == []


def test_a_name_that_changes_is_checked_for_each_connection(local_servers: Servers) -> None:
    server = local_servers("127.0.0.2")
    server.says("/", b"")
    changing = LocalResolver(hook=[["127.0.0.2"], ["127.0.0.1"]])
    dialling = Dialling(["127.0.0.2/32"], changing)
    assert answer(f"http://hook:{server.port}/", dialling)[0] == 200
    with pytest.raises(aiohttp.ClientConnectorError):
        answer(f"http://hook:{server.port}/", dialling)


def test_redirects_are_answers(local_servers: Servers) -> None:
    server = local_servers("127.0.0.2")
    server.redirects("/", "http://127.0.0.1/")
    dialling = Dialling(["127.0.0.2/32"], LocalResolver(hook=["127.0.0.2"]))
    assert answer(f"http://hook:{server.port}/", dialling)[0] == 302
