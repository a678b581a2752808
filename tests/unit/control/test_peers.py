"""Where requests come from, and whom one may believe about it."""

from __future__ import annotations

from typing import Any

import pytest

from control_api.peers import networks, peer_of

TRUSTED = networks(("10.0.0.0/8", "2001:db8::/32"))


def scope(client: str, **headers: str) -> dict[str, Any]:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "client": (client, 4000), "headers": sent}


@pytest.mark.parametrize(
    ("client", "headers", "peer"),
    [
        ("192.0.2.1", {}, "192.0.2.1:4000"),
        ("2001:db9::1", {}, "[2001:db9::1]:4000"),
        # Whoever is no trusted proxy may write what they like.
        ("192.0.2.1", {"x_forwarded_for": "198.51.100.7"}, "192.0.2.1:4000"),
        ("10.0.0.1", {}, "10.0.0.1:4000"),
        ("10.0.0.1", {"x_forwarded_for": "198.51.100.7"}, "198.51.100.7"),
        ("2001:db8::9", {"x_forwarded_for": "198.51.100.7"}, "198.51.100.7"),
        # What is said before the first address that is not a proxy's is anybody's word.
        ("10.0.0.1", {"x_forwarded_for": "1.1.1.1, 198.51.100.7"}, "198.51.100.7"),
        ("10.0.0.1", {"x_forwarded_for": "1.1.1.1, 198.51.100.7, 10.0.0.2"}, "198.51.100.7"),
        ("10.0.0.1", {"x_forwarded_for": "10.0.0.3, 10.0.0.2"}, "10.0.0.3"),
        ("10.0.0.1", {"x_forwarded_for": "unknown, 10.0.0.2"}, "10.0.0.2"),
        ("10.0.0.1", {"x_forwarded_for": "nonsense"}, "10.0.0.1:4000"),
        ("10.0.0.1", {"x_forwarded_for": "198.51.100.7:1234"}, "198.51.100.7"),
        ("10.0.0.1", {"forwarded": "for=198.51.100.7;proto=https"}, "198.51.100.7"),
        ("10.0.0.1", {"forwarded": 'for="[2001:db9::1]:80", for=10.0.0.2'}, "[2001:db9::1]"),
        ("10.0.0.1", {"forwarded": "by=10.0.0.1"}, "10.0.0.1:4000"),
    ],
)
def test_peers(client: str, headers: dict[str, str], peer: str) -> None:
    assert peer_of(scope(client, **headers), TRUSTED) == peer


def test_a_server_without_proxies_believes_nobody() -> None:
    assert peer_of(scope("10.0.0.1", x_forwarded_for="198.51.100.7"), ()) == "10.0.0.1:4000"
    assert peer_of({"type": "http", "client": None, "headers": []}, TRUSTED) == ""
