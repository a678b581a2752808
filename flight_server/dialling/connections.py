"""Connections of asyncio to what may be dialled, kept and used again."""

from __future__ import annotations

import asyncio
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from flight_server.dialling.addresses import Dialling, refused
from flight_server.dialling.destinations import Destination
from flight_server.errors import PixelflightError

RESOLVERS = 4


def connections(
    dialling: Dialling,
    *,
    each_host_max: int,
    kept_seconds: float,
    tls: ssl.SSLContext | None = None,
) -> aiohttp.TCPConnector:
    """A pool for `aiohttp.ClientSession`, which must be asked with `allow_redirects=False`."""
    return aiohttp.TCPConnector(
        resolver=_Resolver(dialling),
        socket_factory=_Sockets(dialling),
        use_dns_cache=False,
        limit=0,
        limit_per_host=each_host_max,
        keepalive_timeout=kept_seconds,
        ssl=tls or ssl.create_default_context(),
    )


def as_url(destination: Destination) -> URL:
    """A destination as aiohttp takes it, with nothing left to be read differently."""
    return URL(destination.url, encoded=True)


class AddressRefused(OSError):
    """A host has no address that may be dialled; `error` says it to a user."""

    def __init__(self, error: PixelflightError) -> None:
        super().__init__(error.message)
        self.error = error


class _Resolver(AbstractResolver):
    """Names of hosts to addresses, in threads of its own: a resolver that hangs stops no other."""

    def __init__(self, dialling: Dialling) -> None:
        self._dialling = dialling
        self._threads = ThreadPoolExecutor(RESOLVERS, "webhook-resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, self._dialling.addresses, host, port)
        except PixelflightError as error:
            raise AddressRefused(error) from None
        return [_result(host, address, port) for address in found]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=0, flags=flags
    )


class _Sockets:
    """Makes the sockets, which is where an address is known that no resolver was asked for."""

    def __init__(self, dialling: Dialling) -> None:
        self._dialling = dialling

    def __call__(self, info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if not self._dialling.allows(address[0]):
            raise AddressRefused(refused(address[0]))
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made
