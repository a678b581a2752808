"""Which connections of clients are alive, as the kernel tells.

pyarrow tells of a client's address and never of its connection: a session that goes by the
address would pass to whoever connects from there next, and outlive a client that was killed. On
Linux every connection has a number, the inode of its socket, by which both are noticed. On other
systems nothing is known, and sessions end when they are idle.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote

Address: TypeAlias = tuple[str, int]

_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
_ESTABLISHED = "01"


def established() -> Mapping[Address, int] | None:
    """The number of the connection with each remote address; None where nothing can be known."""
    try:
        texts = [table.read_text("ascii") for table in _TABLES if table.exists()]
    except OSError:
        return None
    if not texts:
        return None
    return {address: inode for text in texts for address, inode in _connections(text)}


def address_of(peer: str) -> Address | None:
    """The address in gRPC's text for a peer, `ipv4:127.0.0.1:5000`, `ipv6:%5B::1%5D:5000`."""
    kind, _, rest = unquote(peer).partition(":")
    host, _, port = rest.rpartition(":")
    if kind not in ("ipv4", "ipv6") or not port.isdigit():
        return None
    try:
        return _plain(ipaddress.ip_address(host.strip("[]").partition("%")[0])), int(port)
    except ValueError:
        return None


def _connections(text: str) -> Iterator[tuple[Address, int]]:
    """One of the kernel's tables, in proc(5)'s format: host-ordered words of four bytes in hex."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        if fields[3] == _ESTABLISHED:
            host, _, port = fields[2].partition(":")
            words = struct.unpack(f">{len(host) // 8}I", bytes.fromhex(host))
            packed = struct.pack(f"={len(words)}I", *words)
            family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
            address = ipaddress.ip_address(socket.inet_ntop(family, packed))
            yield (_plain(address), int(port, 16)), int(fields[9])


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """The address as text; one of IPv4 that IPv6 carries is the same address."""
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
