"""An authority for certificates, and settings of servers that have one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path) -> dict[str, Any]:
    """Settings of a server with a certificate for this machine."""
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(chain, append=True)
    certificate.private_key_pem.write_to_path(key)
    return {"tls_certificate": chain, "tls_private_key": key}


@pytest.fixture
def mutual_tls(authority: trustme.CA, tls: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """Settings of a server that asks its clients for certificates as well."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return {**tls, "tls_client_ca": path}


def roots(authority: trustme.CA) -> bytes:
    pem: bytes = authority.cert_pem.bytes()
    return pem
