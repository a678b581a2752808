"""What a URL answers, read by whoever may wait: streamed, and bounded in size and time."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpcore

from flight_server.dialling.addresses import Dialling
from flight_server.dialling.destinations import Destination
from flight_server.errors import (
    ErrorCode,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PixelflightError,
    TimedOut,
    Unavailable,
)

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Headers that are for one server and no other.
_CONFIDENTIAL = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(frozen=True)
class FetchLimits:
    """How much and how long; `seconds_max` is for everything, `idle_seconds` for one silence."""

    bytes_max: int
    seconds_max: float
    idle_seconds: float = 30
    connect_seconds: float = 10
    redirects_max: int = 5


@dataclass(frozen=True)
class Fetched:
    """An answer that succeeded. `url` is where it came from; names of headers are small."""

    url: str
    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


@contextmanager
def fetch(
    url: str,
    dialling: Dialling,
    limits: FetchLimits,
    *,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Fetched]:
    """What a URL answers to GET, while the context is open.

    `check` is called before each chunk and may raise. Bodies come as they are sent: what is
    compressed is not opened. Everything that goes wrong is one of our errors; what may go better
    the next time says that it is retryable.
    """
    deadline = time.monotonic() + limits.seconds_max
    backend = _Backend(dialling, deadline)
    pool = httpcore.ConnectionPool(
        ssl_context=tls or ssl.create_default_context(), network_backend=backend
    )
    with pool, _translated(url):
        destination = Destination.of(url)
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        for _ in range(limits.redirects_max + 1):
            with pool.stream(
                "GET", _target(destination), headers=_headers(sent), extensions=_timeouts(limits)
            ) as response:
                if response.status not in _REDIRECTS:
                    yield _fetched(destination, response, limits, check)
                    return
                follow = destination.joined(_location(destination, response))
            if follow.origin != destination.origin:
                sent = {name: text for name, text in sent.items() if name not in _CONFIDENTIAL}
            destination = follow
        raise InvalidRequest(f"'{url}' redirects more than {limits.redirects_max} times.")


def _target(destination: Destination) -> httpcore.URL:
    return httpcore.URL(
        scheme=destination.scheme,
        host=destination.host,
        port=destination.port,
        target=destination.target,
    )


def _headers(sent: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    own = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "pixelflight"}
    return [
        (name.encode("ascii"), value.encode("latin-1")) for name, value in {**own, **sent}.items()
    ]


def _timeouts(limits: FetchLimits) -> dict[str, Any]:
    idle = limits.idle_seconds
    return {"timeout": {"connect": limits.connect_seconds, "read": idle, "write": idle}}


def _location(destination: Destination, response: httpcore.Response) -> str:
    for name, value in response.headers:
        if name.lower() == b"location":
            return value.decode("latin-1")
    raise InvalidRequest(f"'{destination.url}' redirects without saying where to.")


def _fetched(
    destination: Destination,
    response: httpcore.Response,
    limits: FetchLimits,
    check: Callable[[], None],
) -> Fetched:
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
    }
    if not 200 <= response.status < 300:
        raise _refusal(destination, response.status)
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.bytes_max:
        raise _too_large(destination, limits)
    chunks = _bounded(destination, response, limits, check)
    return Fetched(destination.url, response.status, headers, chunks)


def _bounded(
    destination: Destination,
    response: httpcore.Response,
    limits: FetchLimits,
    check: Callable[[], None],
) -> Iterator[bytes]:
    received = 0
    with _translated(destination.url):
        for chunk in response.iter_stream():
            check()
            received += len(chunk)
            if received > limits.bytes_max:
                raise _too_large(destination, limits)
            yield chunk


def _refusal(destination: Destination, status: int) -> PixelflightError:
    said = f"'{destination.url}' answered with the status {status}."
    if status in (404, 410):
        return NotFound(said)
    return Unavailable(said) if status >= 500 or status in (408, 429) else InvalidRequest(said)


def _too_large(destination: Destination, limits: FetchLimits) -> LimitExceeded:
    return LimitExceeded(
        f"'{destination.url}' is larger than the {limits.bytes_max} bytes that are allowed.",
        code=ErrorCode.TOO_LARGE,
    )


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException:
        raise TimedOut(f"'{url}' did not answer in time.") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError) as error:
        raise Unavailable(
            f"'{url}' cannot be read: {str(error) or type(error).__name__}."
        ) from None
    except httpcore.UnsupportedProtocol as error:
        raise InvalidRequest(f"'{url}' cannot be read: {error}.") from None


class _Backend(httpcore.NetworkBackend):
    """Dials the addresses that were checked, and none else; what it opens keeps the deadline."""

    def __init__(self, dialling: Dialling, deadline: float) -> None:
        self._dialling = dialling
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError("it has no address")
        for address in self._dialling.addresses(host, port):
            seconds = _left(self._deadline, timeout)
            try:
                stream = self._sockets.connect_tcp(
                    address, port, seconds, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _Stream(stream, self._deadline)
        raise failure


class _Stream(httpcore.NetworkStream):
    """A connection on which nothing goes on after a deadline, however slowly it drips."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        seconds = _left(self._deadline, timeout)
        return _Stream(
            self._stream.start_tls(ssl_context, server_hostname, seconds), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float, timeout: float | None) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the deadline passed")
    return left if timeout is None else min(left, timeout)
