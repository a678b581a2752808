"""A connection: where the server is, who is asking, and the three kinds of calls.

Everything that speaks to Flight in this room goes through `Connection`; errors leave it as the
classes of `flight_server.errors`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pyarrow as pa
from google.protobuf.wrappers_pb2 import BytesValue
from pyarrow import flight

from flight_server.client.bodies import encoded
from flight_server.client.cookies import Cookies
from flight_server.client.failures import translated
from flight_server.errors import ErrorCode, InvalidRequest, Unavailable

# An API key or a token, or what gives the token that is good just now.
Key: TypeAlias = str | Callable[[], str]
DEFAULT_URL = "grpc://127.0.0.1:8815"
SCHEMES = {"grpc": "grpc", "grpc+tcp": "grpc", "grpc+tls": "grpc+tls"}
# A socket in a folder: how the server's own workers reach it.
LOCAL_SCHEME = "grpc+unix"
# What gRPC is told so that large batches pass and broken networks are mended.
OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A server that is back is found at once, not after gRPC's growing patience.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 100),
]
# How long a server may take to hear that its client leaves.
LEAVING_SECONDS_MAX = 2.0


class Connection:
    """One server, one credential. Every method may be called from any thread."""

    def __init__(
        self,
        url: str | None = None,
        key: Key | None = None,
        tls_root_certificates: str | bytes | Path | None = None,
        tls_client_certificate: str | bytes | Path | None = None,
        tls_client_key: str | bytes | Path | None = None,
        timeout_seconds: float | None = None,
    ) -> None:
        self.url = checked_url(url or os.environ.get("PIXELFLIGHT_URL") or DEFAULT_URL)
        shown = os.environ.get("PIXELFLIGHT_KEY", "") if key is None else key
        self._key: Callable[[], str] = shown if callable(shown) else lambda: shown
        self._timeout = timeout_seconds
        self._cookies = Cookies()
        with self.translated():
            self._client = flight.FlightClient(
                self.url,
                tls_root_certs=_pem(tls_root_certificates),
                cert_chain=_pem(tls_client_certificate),
                private_key=_pem(tls_client_key),
                generic_options=OPTIONS,
                middleware=[self._cookies],
            )

    def translated(self) -> AbstractContextManager[None]:
        """A block in which Flight's exceptions become ours."""
        return translated(self.url)

    def action(
        self, name: str, body: Mapping[str, Any] | None = None, part: bytes | None = None
    ) -> Any:
        """Does an action and gives its JSON answer: the one result, or a list of several.

        Bytes that an action takes besides follow the JSON after a line's end.
        """
        given = encoded(body or {})
        request = flight.Action(name, given if part is None else given + b"\n" + part)
        with self.translated():
            results = [bytes(r.body) for r in self._client.do_action(request, self._options())]
        answers = [json.loads(result) for result in results if result]
        return answers[0] if len(answers) == 1 else answers

    def flight_info(self, descriptor: flight.FlightDescriptor) -> flight.FlightInfo:
        """What a read will give, and the tickets to get it with."""
        with self.translated():
            return self._client.get_flight_info(descriptor, self._options())

    def flights(self, criteria: Mapping[str, Any]) -> list[flight.FlightInfo]:
        """The tables that meet the criteria."""
        with self.translated():
            return list(self._client.list_flights(json.dumps(criteria).encode(), self._options()))

    def read(self, ticket: flight.Ticket) -> flight.FlightStreamReader:
        """Opens the stream that a ticket names; the schema has arrived when this returns."""
        with self.translated():
            reader = self._client.do_get(ticket, self._options())
            reader.schema  # noqa: B018 - asking for it waits for the server's first message
            return reader

    def write(
        self, descriptor: flight.FlightDescriptor, schema: pa.Schema
    ) -> tuple[flight.FlightStreamWriter, flight.FlightMetadataReader]:
        """Opens a stream into a table."""
        with self.translated():
            writer, reader = self._client.do_put(descriptor, schema, self._options())
            return writer, reader

    def cancel(self, info: flight.FlightInfo) -> None:
        """Asks the server to end the streams of a flight."""
        # A CancelFlightInfoRequest is, like a BytesValue, bytes in its first field.
        body = BytesValue(value=bytes(info.serialize())).SerializeToString()
        with self.translated():
            list(self._client.do_action(flight.Action("CancelFlightInfo", body), self._options()))

    @property
    def session(self) -> str | None:
        """The name of the session that the server has begun for this client, if it has."""
        return self._cookies.session

    def close(self) -> None:
        """Ends the session, if there is one, and the connection; a second time does nothing."""
        if self.session is not None:
            leave = self._options(LEAVING_SECONDS_MAX)
            with contextlib.suppress(pa.lib.ArrowException, OSError):
                list(self._client.do_action(flight.Action("CloseSession", b""), leave))
            self._cookies.forget()
        self._client.close()

    def _options(self, timeout_seconds: float | None = None) -> flight.FlightCallOptions:
        key = self._key()
        headers = [(b"authorization", b"Bearer " + key.encode())] if key else []
        timeout = self._timeout if timeout_seconds is None else timeout_seconds
        return flight.FlightCallOptions(timeout=timeout, headers=headers)


def checked_url(url: str) -> str:
    """The URL as Flight wants it. InvalidRequest says what is wrong with it."""
    parts = urlsplit(url)
    if parts.scheme == LOCAL_SCHEME and parts.path:
        return url
    port: int | None = None
    if parts.scheme not in SCHEMES:
        meant = "grpc+tls://" if parts.scheme == "https" else "grpc://"
        host = url.split("//")[-1]
        raise InvalidRequest(f"'{url}' is not a Flight URL. Write {meant}{host}.")
    with contextlib.suppress(ValueError):
        port = parts.port
    if not parts.hostname or not port:
        raise InvalidRequest(f"'{url}' needs a host and a port: {parts.scheme}://HOST:PORT.")
    return f"{SCHEMES[parts.scheme]}://{parts.netloc}"


def unexpected(url: str, what: str) -> Unavailable:
    """The error for an answer that no server of ours would give."""
    return Unavailable(
        f"The server at {url} gave an answer that is not Pixelflight's: {what}.",
        code=ErrorCode.UNAVAILABLE,
    )


def _pem(source: str | bytes | Path | None) -> bytes | None:
    """PEM text, given as such or as the path of a file."""
    if source is None or isinstance(source, bytes):
        return source
    if isinstance(source, str) and source.lstrip().startswith("-----BEGIN"):
        return source.encode()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise InvalidRequest(
            f"The file '{source}' cannot be read: {error.strerror or error}."
        ) from None
