"""Cookies: by them a server knows its client again, and what was begun in its session.

A session is begun by the server when a client needs one; from then on the client sends its cookie
with every call, so that all of them are one session, even over a new TCP connection.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from http.cookies import CookieError, SimpleCookie

from pyarrow import flight

SESSION = "arrow_flight_session_id"


class Cookies(flight.ClientMiddlewareFactory):  # type: ignore[misc]  # pyarrow has no types
    """Keeps the cookies that one server hands out, and sends them back."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[str, str] = {}
        self._lock = threading.Lock()

    def start_call(self, info: flight.CallInfo) -> _OneCall:
        """What accompanies one call."""
        return _OneCall(self)

    @property
    def session(self) -> str | None:
        """The name of the session, None where none has begun."""
        with self._lock:
            return self._kept.get(SESSION)

    def forget(self) -> None:
        """Knows no cookie any longer."""
        with self._lock:
            self._kept.clear()

    def header(self) -> dict[str, str]:
        """The header with all that is kept."""
        with self._lock:
            pairs = "; ".join(f"{name}={value}" for name, value in self._kept.items())
        return {"cookie": pairs} if pairs else {}

    def keep(self, texts: Sequence[str]) -> None:
        """Learns from `set-cookie` headers; an age of zero takes a cookie away."""
        for text in texts:
            try:
                found = SimpleCookie(text)
            except CookieError:
                continue
            with self._lock:
                for name, cookie in found.items():
                    if cookie["max-age"] == "0":
                        self._kept.pop(name, None)
                    else:
                        self._kept[name] = cookie.value


class _OneCall(flight.ClientMiddleware):  # type: ignore[misc]  # pyarrow has no types
    def __init__(self, cookies: Cookies) -> None:
        super().__init__()
        self._cookies = cookies

    def sending_headers(self) -> dict[str, str]:
        return self._cookies.header()

    def received_headers(self, headers: Mapping[str, Sequence[str]]) -> None:
        for name, values in headers.items():
            if name.lower() == "set-cookie":
                self._cookies.keep(values)
