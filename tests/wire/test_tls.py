"""TLS, and certificates that clients have to show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import trustme
from pyarrow import flight

from flight_server.errors import InvalidRequest, Unavailable
from flight_server.testing.server import LocalServer
from tests.fix_client import Client
from tests.fix_tls import roots

DATA = pa.table({"a": [1]})


def test_tls(
    start_server: Callable[..., LocalServer],
    connect: Callable[..., Client],
    authority: trustme.CA,
    tls: dict[str, Any],
) -> None:
    server = start_server(**tls)
    assert server.url.startswith("grpc+tls://127.0.0.1:")
    client = connect(server, tls_root_certs=roots(authority))
    client.put(DATA, ingest={"table": "t", "mode": "create"})
    assert client.get("t").equals(DATA)
    stranger = connect(server, tls_root_certs=roots(trustme.CA()))
    with pytest.raises(flight.FlightUnavailableError):
        stranger.action("health")
    plain = Client(server.url.replace("grpc+tls", "grpc"), server.key)
    with pytest.raises(flight.FlightUnavailableError):
        plain.action("health")


def test_mutual_tls(
    start_server: Callable[..., LocalServer],
    connect: Callable[..., Client],
    authority: trustme.CA,
    mutual_tls: dict[str, Any],
) -> None:
    server = start_server(**mutual_tls)

    def shown(issuer: trustme.CA | None, key: str = "admin") -> Client:
        options: dict[str, Any] = {"tls_root_certs": roots(authority)}
        if issuer is not None:
            mine = issuer.issue_cert("client@example.org")
            options["cert_chain"] = mine.cert_chain_pems[0].bytes()
            options["private_key"] = mine.private_key_pem.bytes()
        return connect(server, key, **options)

    assert shown(authority).action("health")["status"] == "ready"
    with pytest.raises(flight.FlightUnauthenticatedError):
        shown(authority, "pf_wrong").action("health")
    for issuer in (None, trustme.CA()):
        with pytest.raises(flight.FlightUnavailableError):
            shown(issuer).action("health")


def test_files_that_are_not_there(
    start_server: Callable[..., LocalServer], tls: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequest, match=r"missing\.pem"):
        start_server(**tls | {"tls_certificate": tmp_path / "missing.pem"})


def test_an_address_in_use(server: LocalServer, start_server: Callable[..., LocalServer]) -> None:
    with pytest.raises(Unavailable, match="cannot listen on"):
        start_server(flight=f"127.0.0.1:{server.door.port}")


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "example.org:0"])
def test_no_authentication_on_other_addresses(
    start_server: Callable[..., LocalServer], address: str
) -> None:
    with pytest.raises(InvalidRequest, match="not this machine alone"):
        start_server(insecure_no_auth=True, flight=address)


def test_ipv6(start_server: Callable[..., LocalServer], connect: Callable[..., Client]) -> None:
    server = start_server(flight="[::1]:0")
    assert server.url.startswith("grpc://[::1]:")
    assert connect(server).action("health")["status"] == "ready"
