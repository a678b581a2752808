"""Where a URL leads: read once, strictly, so that no two readers can take it for different places.

Whoever checks a URL and whoever dials it must not disagree on its host. So the text is taken apart
here alone, what is ambiguous is refused, and what follows is given the parts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from flight_server.errors import InvalidRequest

URL_LENGTH_MAX = 8192
_PORTS = {"http": 80, "https": 443}
# Controls, spaces and backslashes are read differently by different programs.
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f\\]")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|[0-9a-f:.]*:[0-9a-f:.]*")
# What stays as it is in a path and query; everything else is written as %XX.
_KEPT = "/?:@!$&'()*+,;=%-._~[]"


@dataclass(frozen=True)
class Destination:
    """A scheme, a host without brackets, a port, and what is asked for there."""

    scheme: str
    host: str
    port: int
    target: str = "/"

    @classmethod
    def of(cls, url: str) -> Destination:
        """The destination of a URL of http or https. InvalidRequest says what is wrong with it."""
        if len(url) > URL_LENGTH_MAX:
            raise InvalidRequest(f"A URL has at most {URL_LENGTH_MAX} characters.")
        if _AMBIGUOUS.search(url):
            raise InvalidRequest(
                f"The URL {url!r} holds a space, a backslash or a control character: "
                "write it as %20, %5C or the like."
            )
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise InvalidRequest(f"'{url}' is not a URL: {error}.") from None
        if parts.scheme not in _PORTS:
            raise InvalidRequest(f"The URL '{url}' must begin with http:// or https://.")
        if "@" in parts.netloc:
            raise InvalidRequest("A URL must not hold a user name or a password: send a header.")
        if not host:
            raise InvalidRequest(f"The URL '{url}' names no host.")
        if port == 0:
            raise InvalidRequest(f"The URL '{url}' names port 0, where nobody listens.")
        target = quote(parts.path or "/", safe=_KEPT)
        if parts.query:
            target += "?" + quote(parts.query, safe=_KEPT)
        return cls(parts.scheme, _plain(host), port or _PORTS[parts.scheme], target)

    def joined(self, location: str) -> Destination:
        """Where a redirect from here leads."""
        return Destination.of(urljoin(self.url, location))

    @property
    def url(self) -> str:
        """The URL, in one spelling."""
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def authority(self) -> str:
        """The host, with its port where that is not the scheme's own: what `Host` says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """What two URLs share that lead to one server."""
        return self.scheme, self.host, self.port


def _plain(host: str) -> str:
    """A host in ASCII and small letters, without the dot that ends an absolute name."""
    try:
        plain = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise InvalidRequest(f"'{host}' is not the name of a host.") from None
    plain = plain.lower().removesuffix(".")
    if not _HOST.fullmatch(plain):
        raise InvalidRequest(f"'{host}' is not the name of a host.")
    return plain
