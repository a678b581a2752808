"""Where a request comes from: the other end of its connection, or whom a trusted proxy names.

Anybody may write the headers that proxies write. They count only where the connection itself is a
trusted proxy's, and of a chain only as far as each link is.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from starlette.datastructures import Headers
from starlette.types import Scope

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def peer_of(scope: Scope, proxies: Sequence[Network]) -> str:
    """HOST:PORT of whoever sent the request; a proxy tells the host alone."""
    client = scope.get("client")
    if client is None:
        return ""
    host, port = client
    if proxies and _is_one_of(host, proxies):
        for named in _named(Headers(scope=scope)):
            host, port = named, 0
            if not _is_one_of(named, proxies):
                break
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" if port else shown


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks of the setting `trusted_proxies`, which has checked them."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def _named(headers: Headers) -> Iterator[str]:
    """The addresses that proxies say they had requests from, the nearest first; until nonsense."""
    chain = _forwarded(headers) or _forwarded_for(headers)
    for text in reversed(chain):
        address = _address(text)
        if address is None:
            return
        yield address


def _forwarded(headers: Headers) -> list[str]:
    """The `for` of each link in the standard header."""
    links = ",".join(headers.getlist("forwarded")).split(",")
    pairs = (pair.strip().partition("=") for link in links for pair in link.split(";"))
    return [value.strip().strip('"') for name, _, value in pairs if name.strip().lower() == "for"]


def _forwarded_for(headers: Headers) -> list[str]:
    return [part for one in headers.getlist("x-forwarded-for") for part in one.split(",")]


def _address(text: str) -> str | None:
    """The address in `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80` or `2001:db8::1`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _is_one_of(host: str, proxies: Sequence[Network]) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in proxies)
