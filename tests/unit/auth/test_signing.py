"""What was signed comes back, what was touched does not."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server.auth import sign, verify
from flight_server.auth.signing import derived
from flight_server.errors import Unauthenticated

SECRET = bytes(range(32))
payloads = st.binary(max_size=200)


@given(st.binary(min_size=32, max_size=32), payloads)
def test_what_was_signed_comes_back(secret: bytes, payload: bytes) -> None:
    assert verify(secret, sign(secret, payload)) == payload


def test_the_signature_is_plain_hmac_sha256() -> None:
    expected = hmac.new(SECRET, b"claims", hashlib.sha256).digest()
    assert sign(SECRET, b"claims") == expected + b"claims"


@pytest.mark.parametrize("payload", [b"", b"x", b"a longer payload than that"])
def test_no_bit_can_be_flipped(payload: bytes) -> None:
    signed = sign(SECRET, payload)
    for at in range(len(signed)):
        for bit in range(8):
            damaged = bytearray(signed)
            damaged[at] ^= 1 << bit
            with pytest.raises(Unauthenticated, match="signature does not fit"):
                verify(SECRET, bytes(damaged))


def test_no_byte_can_be_added_or_left_out() -> None:
    signed = sign(SECRET, b"claims")
    for end in range(len(signed)):
        with pytest.raises(Unauthenticated):
            verify(SECRET, signed[:end])
    for longer in (signed + b"\0", b"\0" + signed):
        with pytest.raises(Unauthenticated):
            verify(SECRET, longer)


@given(payloads)
def test_another_secret_or_purpose_does_not_verify(payload: bytes) -> None:
    signed = sign(derived(SECRET, "handshake"), payload)
    for secret in (SECRET, derived(SECRET, "ticket"), derived(bytes(32), "handshake")):
        with pytest.raises(Unauthenticated):
            verify(secret, signed)


def test_a_short_secret_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        sign(b"short", b"claims")
