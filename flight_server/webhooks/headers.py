"""Headers that the owner of a hook wants its deliveries to carry."""

from __future__ import annotations

import re
from collections.abc import Mapping

from flight_server.errors import InvalidRequest

HEADERS_MAX, VALUE_LENGTH_MAX = 20, 4096
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_VALUE = re.compile(r"[\x20-\x7e]*")
# What says how the message is sent, or what it is.
_OWN = frozenset(
    {
        "connection", "content-encoding", "content-length", "content-type", "expect", "host",
        "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers, if they may be sent. InvalidRequest, which quotes no value."""
    if len(headers) > HEADERS_MAX:
        raise InvalidRequest(f"A webhook may have {HEADERS_MAX} headers, not {len(headers)}.")
    seen: set[str] = set()
    for name, value in headers.items():
        folded = name.lower()
        if not _NAME.fullmatch(name):
            raise InvalidRequest(f"'{name[:80]}' cannot be the name of a header.")
        if folded in _OWN or folded.startswith("webhook-"):
            raise InvalidRequest(f"The header '{name}' is the server's to set: leave it out.")
        if folded in seen:
            raise InvalidRequest(f"The header '{name}' is there twice.")
        if len(value) > VALUE_LENGTH_MAX or not _VALUE.fullmatch(value):
            raise InvalidRequest(
                f"The value of the header '{name}' must be printable ASCII, of at most "
                f"{VALUE_LENGTH_MAX} characters."
            )
        seen.add(folded)
    return dict(headers)
