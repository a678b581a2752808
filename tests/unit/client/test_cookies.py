"""Cookies are kept, sent back and taken away."""

from __future__ import annotations

from flight_server.client.cookies import SESSION, Cookies


def test_cookies_are_kept_under_their_names() -> None:
    cookies = Cookies()
    assert cookies.header() == {}
    cookies.keep([f"{SESSION}=a; HttpOnly; Path=/", "other=b"])
    cookies.keep([f"{SESSION}=c"])
    assert cookies.header() == {"cookie": f"{SESSION}=c; other=b"}
    assert cookies.session == "c"


def test_cookies_are_taken_away() -> None:
    cookies = Cookies()
    cookies.keep([f"{SESSION}=a", "other=b"])
    cookies.keep([f"{SESSION}=; Max-Age=0"])
    assert cookies.header() == {"cookie": "other=b"}
    cookies.forget()
    assert cookies.header() == {}


def test_what_is_no_cookie_does_no_harm() -> None:
    cookies = Cookies()
    cookies.keep(["", "=;=", "a b c"])
    assert cookies.session is None
