"""How URLs are read: one reading for whoever checks and whoever dials."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server.dialling import Destination
from flight_server.errors import InvalidRequest


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("http://example.com", "http://example.com/"),
        ("HTTPS://Example.COM:443/a?b=c#d", "https://example.com/a?b=c"),
        ("http://example.com./a", "http://example.com/a"),
        ("http://example.com:8080/ü?q=ä", "http://example.com:8080/%C3%BC?q=%C3%A4"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://[::FFFF:127.0.0.1]:81/", "http://[::ffff:127.0.0.1]:81/"),
        ("http://①②⑦.0.0.1/", "http://127.0.0.1/"),
        ("http://example.com/a%20b%2Fc", "http://example.com/a%20b%2Fc"),
    ],
)
def test_a_url_has_one_reading(url: str, read: str) -> None:
    assert Destination.of(url).url == read


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.com/", "must begin with http"),
        ("file:///etc/passwd", "must begin with http"),
        ("gopher://example.com/", "must begin with http"),
        ("example.com/a", "must begin with http"),
        ("", "must begin with http"),
        ("//example.com/a", "must begin with http"),
        ("http:///a", "names no host"),
        ("http://user:secret@example.com/", "must not hold a user name"),
        ("http://example.com@127.0.0.1/", "must not hold a user name"),
        ("http://example.com:0/", "port 0"),
        ("http://example.com:99999/", "is not a URL"),
        ("http://example.com:a/", "is not a URL"),
        ("http://exam ple.com/", "holds a space"),
        ("http://example.com\\@127.0.0.1/", "a backslash"),
        ("http://example.com/\r\nHost: other", "control character"),
        ("http://example.com/\t", "control character"),
        ("http://[::1/", "is not a URL"),
        ("http://[fe80::1%25eth0]/", "is not the name of a host"),
        ("http://exa%6dple.com/", "is not the name of a host"),
        ("http://.../", "is not the name of a host"),
        ("http://" + "a" * 9000, "at most 8192"),
    ],
)
def test_what_is_wrong_with_a_url_is_said(url: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Destination.of(url)
    assert says in caught.value.message
    assert "secret" not in caught.value.message


@given(st.text(max_size=40))
def test_reading_again_changes_nothing(text: str) -> None:
    try:
        once = Destination.of("http://" + text)
    except InvalidRequest:
        return
    assert Destination.of(once.url) == once


def test_a_redirect_is_read_from_where_it_came() -> None:
    start = Destination.of("https://example.com/a/b?c")
    assert start.joined("d").url == "https://example.com/a/d"
    assert start.joined("//other.example/").url == "https://other.example/"
    with pytest.raises(InvalidRequest):
        start.joined("file:///etc/passwd")
