"""What the kernel tells of connections."""

from __future__ import annotations

import socket
import sys

import pytest

from flight_server.wire.connections import address_of, established


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("ipv4:127.0.0.1:5000", ("127.0.0.1", 5000)),
        ("ipv6:%5B::1%5D:5000", ("::1", 5000)),
        ("ipv6:[::1]:5000", ("::1", 5000)),
        ("ipv6:%5Bfe80::1%25eth0%5D:5000", ("fe80::1", 5000)),
        ("ipv6:%5B::ffff:10.0.0.1%5D:80", ("10.0.0.1", 80)),
        ("unix:/tmp/socket", None),
        ("ipv4:nowhere:80", None),
        ("ipv4:127.0.0.1:x", None),
        ("", None),
    ],
)
def test_peers(peer: str, expected: tuple[str, int] | None) -> None:
    assert address_of(peer) == expected


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_a_connection_is_there_while_it_is_open(family: socket.AddressFamily) -> None:
    if sys.platform != "linux":
        assert established() is None
        return
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    with socket.create_server((host, 0), family=family) as listening:
        with socket.create_connection((host, listening.getsockname()[1])) as client:
            accepted, _ = listening.accept()
            remote = (host, client.getsockname()[1])
            found = established()
            assert found is not None
            assert found[remote] > 0
            accepted.close()
        found = established()
        assert found is not None
        assert remote not in found
