"""Signing: bytes that leave the server and can be trusted when they come back.

Knows nothing of what it signs. Tickets and tokens put their own meaning, and the time at which
they end, into the payload.
"""

from __future__ import annotations

import functools
import hashlib
import hmac

from flight_server.errors import Unauthenticated

SECRET_BYTES = 32
SIGNATURE_BYTES = 32


def sign(secret: bytes, payload: bytes) -> bytes:
    """The payload behind its signature: HMAC-SHA256, 32 bytes. Signed is not hidden."""
    assert len(secret) == SECRET_BYTES, f"a signing secret has {SECRET_BYTES} bytes"
    return _signature(secret, payload) + payload


def verify(secret: bytes, data: bytes) -> bytes:
    """The payload that `sign` was given. Unauthenticated for anything else."""
    signature, payload = data[:SIGNATURE_BYTES], data[SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(secret, payload)):
        raise Unauthenticated("The signature does not fit: it was damaged, or made elsewhere.")
    return payload


@functools.lru_cache(maxsize=64)
def derived(secret: bytes, purpose: str) -> bytes:
    """A secret for one purpose, so that what is signed for it passes for nothing else."""
    return _signature(secret, purpose.encode())


def _signature(secret: bytes, payload: bytes) -> bytes:
    # Not `hmac.digest`, for which the interpreter's lock is given away and has to be waited for.
    return hmac.new(secret, payload, hashlib.sha256).digest()
