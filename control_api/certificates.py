"""Client certificates: whose one stands behind a connection, told to the routes with each request.

The name of a certificate is its first alternative name (of a host, an address, a mailbox or a
URI), or, where it has none, its subject's common name: what gRPC takes for its peer's identity.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The kinds that gRPC knows; the others are passed over, as there.
_KINDS = ("DNS", "email", "URI", "IP Address")


class CertificateProtocol(HttpToolsProtocol):
    """HTTP of uvicorn, which puts the certificate's name into the state of each request."""

    _certificate: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The handshake of TLS is over, and the certificate was found to be of our authority."""
        super().connection_made(transport)
        self._certificate = certificate_name(transport.get_extra_info("peercert") or {})

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        state: dict[str, Any] = self.scope["state"]
        state["certificate"] = self._certificate


def certificate_name(certificate: Mapping[str, Any]) -> str | None:
    """The name in a certificate as Python's ssl tells it; None where there is none."""
    for kind, name in certificate.get("subjectAltName", ()):
        if kind == "IP Address":
            return str(ipaddress.ip_address(name.strip()))
        if kind in _KINDS:
            return str(name)
    for part in certificate.get("subject", ()):
        for key, name in part:
            if key == "commonName":
                return str(name)
    return None
