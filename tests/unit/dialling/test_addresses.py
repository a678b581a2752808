"""Which addresses are public, however they are written, and which of a host's are dialled."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server.dialling import Dialling, is_public
from flight_server.errors import ErrorCode, Forbidden, Unavailable
from tests.fix_dialled import LocalResolver

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]
NOT_PUBLIC = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
# All of them are this machine, or the metadata service of a cloud.
SPELLINGS = [
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "017700000001",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "0",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "localhost",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_dialled(address: str) -> None:
    assert Dialling().allows(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_other_addresses_are_not(address: str) -> None:
    assert not Dialling().allows(address)


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_an_address_gets_around(host: str) -> None:
    with pytest.raises(Forbidden) as caught:
        Dialling().addresses(host, 80)
    assert caught.value.code is ErrorCode.ADDRESS_REFUSED
    assert host in caught.value.message
    assert "outbound_networks" in caught.value.message


def test_what_is_not_an_address_is_not_dialled() -> None:
    assert not Dialling().allows("example.com")


def test_networks_can_be_allowed() -> None:
    dialling = Dialling(["10.1.0.0/16", "fd00::/64"])
    assert dialling.allows("10.1.2.3")
    assert dialling.allows("::ffff:10.1.2.3")
    assert dialling.allows("fd00::7")
    assert not dialling.allows("10.2.0.1")
    assert not dialling.allows("127.0.0.1")


def test_of_several_addresses_only_those_are_dialled_that_may_be() -> None:
    resolve = LocalResolver(mixed=["10.0.0.1", "8.8.8.8", "::1", "8.8.4.4", "8.8.8.8"])
    assert Dialling(resolve=resolve).addresses("mixed", 80) == ["8.8.8.8", "8.8.4.4"]


def test_a_refusal_does_not_tell_the_address() -> None:
    with pytest.raises(Forbidden) as caught:
        Dialling(resolve=LocalResolver(intranet=["10.9.8.7"])).addresses("intranet", 80)
    assert "10.9.8.7" not in caught.value.message


def test_a_name_that_nobody_has_may_be_found_later() -> None:
    with pytest.raises(Unavailable, match="'nowhere' cannot be found"):
        Dialling(resolve=LocalResolver()).addresses("nowhere", 80)


@given(st.ip_addresses())
def test_nothing_is_public_that_python_knows_to_be_private(address: ipaddress.IPv4Address) -> None:
    """Python's own list is the oracle, but for networks that carry addresses of IPv4."""
    if is_public(address) and "ff" not in str(address)[:6]:
        assert address.is_global
