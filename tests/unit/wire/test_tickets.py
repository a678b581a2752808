"""Tickets say what was put into them, to whom it was said, until they end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server.bodies.requests import Scan, Sql
from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.model import Principal
from flight_server.wire.tickets import Claim, is_signed, issue, new_flight, redeem

SECRET = b"s" * 32
ANA = Principal("key:ana", "Ana")
CLAIM = Claim(Scan(table="a.t", version=7), "lake", 7, ANA.id, 2_000.0, "f", "0-10")


def test_what_goes_in_comes_out() -> None:
    for claim in (CLAIM, replace(CLAIM, read=Sql(sql="SELECT 1", version=3), slice=None)):
        assert redeem(SECRET, issue(SECRET, claim), ANA, now=1_999.0) == claim


def test_it_ends_at_its_time() -> None:
    with pytest.raises(InvalidRequest, match="1970-01-01 00:33:20 UTC") as caught:
        redeem(SECRET, issue(SECRET, CLAIM), ANA, now=2_000.0)
    assert caught.value.code is ErrorCode.TICKET_EXPIRED


def test_it_is_one_principals() -> None:
    with pytest.raises(InvalidRequest) as caught:
        redeem(SECRET, issue(SECRET, CLAIM), replace(ANA, id="key:bob"), now=0)
    assert caught.value.code is ErrorCode.INVALID_TICKET


def test_it_is_one_servers() -> None:
    with pytest.raises(InvalidRequest) as caught:
        redeem(b"t" * 32, issue(SECRET, CLAIM), ANA, now=0)
    assert caught.value.code is ErrorCode.INVALID_TICKET


@given(st.binary())
def test_nothing_else_is_a_ticket(data: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        redeem(SECRET, b"PF1" + data, ANA, now=0)
    assert caught.value.code is ErrorCode.INVALID_TICKET


def test_signed_and_plain_are_told_apart() -> None:
    assert is_signed(issue(SECRET, CLAIM))
    assert not is_signed(b'{"sql": "SELECT 1"}')
    assert new_flight() != new_flight()
