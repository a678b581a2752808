"""An issuer of tokens in this process: OpenID Connect's discovery and keys, over HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "pixelflight-test"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class LocalIssuer:
    """What it publishes can be changed while it runs; `fetches` counts how often it was asked."""

    def __init__(self) -> None:
        self.keys: dict[str, PrivateKey] = {}
        self.pages: dict[str, tuple[int, bytes]] = {}
        self.fetches = 0
        self.url = ""
        self.add_key("first", rsa.generate_private_key(public_exponent=65537, key_size=2048))

    def add_key(self, name: str, key: PrivateKey) -> None:
        """Signs with one more key, and publishes it."""
        self.keys[name] = key
        self.publish()

    def publish(self, *names: str, **more: Any) -> None:
        """Publishes the named keys, all of them by default, each with `more` fields."""
        shown = [jwk(name, self.keys[name]) | more for name in names or self.keys]
        self.pages["/keys"] = (200, json.dumps({"keys": shown}).encode())

    def discover(self, **changes: Any) -> None:
        """Publishes the discovery document."""
        document = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"} | changes
        self.pages["/.well-known/openid-configuration"] = (200, json.dumps(document).encode())

    def token(self, subject: str, *, key: str = "first", header: Any = None, **claims: Any) -> str:
        """A token that the issuer would make; claims that are None are left out."""
        now = int(time.time())
        said = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": subject,
            "preferred_username": subject,
            "iat": now,
            "exp": now + 300,
        } | claims
        kept = {name: value for name, value in said.items() if value is not None}
        signer = self.keys[key]
        algorithm = "RS256" if isinstance(signer, rsa.RSAPrivateKey) else "ES256"
        return jwt.encode(kept, signer, algorithm, headers={"kid": key} | (header or {}))


def jwk(name: str, key: PrivateKey) -> dict[str, Any]:
    """The public half of a key as JSON."""
    if isinstance(key, rsa.RSAPrivateKey):
        public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**public, "kid": name, "use": "sig"}


@contextmanager
def serving(issuer: LocalIssuer) -> Iterator[None]:
    """The issuer answers at its `url` while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.fetches += 1
            status, body = issuer.pages.get(self.path, (404, b""))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
        issuer.discover()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def issuer() -> Iterator[LocalIssuer]:
    """An issuer that a module shares."""
    made = LocalIssuer()
    with serving(made):
        yield made
