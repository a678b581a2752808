"""API keys and handshake tokens: what is written is read, nothing else is, nothing leaks."""

from __future__ import annotations

import base64
import json
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server.auth import new_key, parse_key, sign, sign_token, verify_token
from flight_server.auth.credentials import _PURPOSE, TOKEN_PREFIX, hash_secret
from flight_server.auth.signing import derived
from flight_server.errors import Unauthenticated

SECRET = bytes(range(32))
NOW = 1_800_000_000.0
ALPHANUMERIC = string.ascii_letters + string.digits


def refused(text: str) -> str:
    """The message of the refusal."""
    with pytest.raises(Unauthenticated) as caught:
        parse_key(text)
    return caught.value.message


def test_a_key_is_read_as_it_was_written() -> None:
    for _ in range(200):
        text, key_id, secret_hash = new_key()
        assert re.fullmatch(r"pf_[0-9A-Za-z]{12}_[0-9A-Za-z]{39}", text)
        found_id, secret = parse_key(text)
        assert found_id == key_id
        assert hash_secret(secret) == secret_hash
        assert secret not in secret_hash


def test_keys_do_not_repeat() -> None:
    keys = [new_key() for _ in range(500)]
    for part in range(3):
        assert len({key[part] for key in keys}) == 500


def test_the_format_is_fixed() -> None:
    """Keys that are out must be read by every later release."""
    text = "pf_0123456789AB_0123456789ABCDEFGHIJKLMNOPQRSTUVW1OoDwY"
    assert parse_key(text) == ("0123456789AB", "0123456789ABCDEFGHIJKLMNOPQRSTUVW")
    assert parse_key(f" {text}\n") == parse_key(text)


@pytest.mark.parametrize("at", range(3, 55))
def test_any_mistyped_character_is_noticed_without_the_database(at: int) -> None:
    text, _, _ = new_key()
    others = [c for c in ALPHANUMERIC if c != text[at]]
    for other in others if text[at] != "_" else []:
        message = refused(text[:at] + other + text[at + 1 :])
        assert "mistyped" in message
    assert "not an API key" in refused(text[:at] + "%" + text[at + 1 :])


def test_swapped_and_lost_characters_are_noticed() -> None:
    text, _, _ = new_key()
    for at in range(len(text) - 1):
        swapped = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        if swapped != text:
            refused(swapped)
        assert "not an API key" in refused(text[:at] + text[at + 1 :])


@given(st.text(max_size=80))
def test_no_other_text_is_a_key_and_none_is_repeated(text: str) -> None:
    assert refused(text) == refused("")


def test_messages_do_not_repeat_the_secret() -> None:
    text, key_id, _ = new_key()
    secret = text.split("_")[2]
    message = refused(text[:-1] + ("0" if text[-1] != "0" else "1"))
    assert key_id in message
    assert secret[:8] not in message
    assert secret[:8] not in refused(text + "x")


@given(st.from_regex(r"[0-9A-Za-z]{12}", fullmatch=True), st.floats(NOW + 1, NOW + 1e9))
def test_a_token_is_read_as_it_was_written(key_id: str, expires_at: float) -> None:
    text = sign_token(SECRET, f"key:{key_id}", "g", expires_at)
    token = verify_token(SECRET, text, NOW)
    assert (token.bearer, token.generation, token.expires_at) == (f"key:{key_id}", "g", expires_at)
    assert re.fullmatch(r"pft_[0-9A-Za-z_-]+", text)


def test_every_handshake_is_a_session_of_its_own() -> None:
    texts = [sign_token(SECRET, "k", "", NOW + 1) for _ in range(100)]
    assert len({verify_token(SECRET, text, NOW).session for text in texts}) == 100


def test_a_token_ends_at_its_expiry() -> None:
    text = sign_token(SECRET, "k", "", NOW)
    assert verify_token(SECRET, text, NOW - 0.001).bearer == "k"
    for now in (NOW, NOW + 1e9):
        with pytest.raises(Unauthenticated, match=r"expired at 2027-01-15 08:00:00 UTC"):
            verify_token(SECRET, text, now)


def test_no_character_of_a_token_can_be_changed() -> None:
    """Not even to one that decodes to the same bytes."""
    for length in range(10, 14):
        text = sign_token(SECRET, "k" * length, "", NOW + 60)
        for at in range(len(text)):
            for other in ALPHANUMERIC + "-_=+/ é\n":
                if other != text[at]:
                    damaged = text[:at] + other + text[at + 1 :]
                    assert not is_token(damaged), (at, other)


def test_no_character_of_a_token_can_be_added_or_left_out() -> None:
    text = sign_token(SECRET, "k", "", NOW + 60)
    for at in range(len(text)):
        assert not is_token(text[:at] + text[at + 1 :])
        assert not is_token(text[:at] + "!" + text[at:])
    for longer in (text + "=", text + "A", TOKEN_PREFIX + text):
        assert not is_token(longer)


def test_what_else_was_signed_is_no_token() -> None:
    """Tickets are signed with the same secret, and their bearer may choose what is in them."""
    claims = json.dumps(["k", "", "s", NOW + 60, []]).encode()
    for secret in (SECRET, derived(SECRET, "tickets"), bytes(32)):
        encoded = base64.urlsafe_b64encode(sign(secret, claims)).decode().rstrip("=")
        assert not is_token(TOKEN_PREFIX + encoded)
    right = base64.urlsafe_b64encode(sign(derived(SECRET, _PURPOSE), claims)).decode()
    assert is_token(TOKEN_PREFIX + right.rstrip("="))


def test_what_is_wrong_with_a_forged_token_is_not_told() -> None:
    text = sign_token(SECRET, "k", "", NOW + 60)
    for forged in (
        text[:-1],
        text + "!",
        text[:20] + "A" * 90,
        "",
        "é",
        sign_token(bytes(32), "k", "", NOW),
    ):
        with pytest.raises(Unauthenticated) as caught:
            verify_token(SECRET, forged, NOW)
        assert caught.value.message == (
            "The token is not one of this server's: do the handshake again."
        )


@given(st.text(max_size=120))
def test_no_other_text_is_a_token(text: str) -> None:
    assert not is_token(text)
    assert not is_token(TOKEN_PREFIX + text)


def is_token(text: str) -> bool:
    try:
        verify_token(SECRET, text, NOW)
    except Unauthenticated:
        return False
    return True
