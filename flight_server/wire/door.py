"""The Flight door: opens on an address, and closes without breaking what can still be finished."""

from __future__ import annotations

import ipaddress
import logging
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from flight_server.errors import InvalidRequest, Unavailable
from flight_server.operations import Services
from flight_server.settings import Settings
from flight_server.wire.calls import RunningCalls
from flight_server.wire.server import FlightServer
from flight_server.wire.state import ServerState
from flight_server.wire.sweeper import Sweeper

# How long calls get to notice that they are cancelled, and the transport to close.
CLOSING_SECONDS = 2.0
# pyarrow tells of a call's end a moment before its last message has been sent, and of its
# beginning a moment after the client has sent it: what closes in between is told CANCELLED.
SENDING_SECONDS = 0.1

logger = logging.getLogger(__name__)


class FlightDoor:
    """One Flight server over the services."""

    def __init__(self, services: Services) -> None:
        self._state = ServerState(services)
        self._settings = services.settings
        self._host, self._port_wanted = _host_and_port(services.settings.flight)
        self._server: FlightServer | None = None
        self._sweeper = Sweeper(self._state)
        self._lock = threading.Lock()
        self._inside: FlightServer | None = None
        self._folder = Path()

    def start(self) -> FlightDoor:
        """Opens the address. InvalidRequest where the settings forbid it, Unavailable if taken."""
        tls = _tls(self._settings)
        if self._settings.insecure_no_auth:
            _check_loopback(self._host)
            logger.warning(
                "NO AUTHENTICATION: whoever reaches %s:%s may do anything (insecure_no_auth).",
                self._host,
                self._port_wanted,
            )
        location = f"{self._scheme}://{_bracketed(self._host)}:{self._port_wanted}"
        try:
            self._server = FlightServer(self._state, location, **tls)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise Unavailable(
                f"Flight cannot listen on {self._settings.flight}: {reason}. Is it in use?"
            ) from None
        self._sweeper.start()
        return self

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None, "the door is open"
        return int(self._server.port)

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"{self._scheme}://{_bracketed(self._host)}:{self.port}"

    def local_url(self) -> str:
        """What processes of this machine and of this user connect to.

        Where the address speaks TLS, they would have to know under which of its names the
        certificate is valid, and may lack one of their own: a socket in a folder that is closed to
        others needs neither. It is opened when it is first asked for.
        """
        if not self._settings.tls_certificate:
            host = "::1" if self._host == "::" else self._host
            host = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - asked, not bound
            return f"{self._scheme}://{_bracketed(host)}:{self.port}"
        with self._lock:
            if self._inside is None:
                # Made for its owner alone; its path is short, as those of sockets have to be.
                self._folder = Path(tempfile.mkdtemp(prefix="pixelflight-"))
                self._inside = FlightServer(self._state, f"grpc+unix://{self._folder / 'flight'}")
            return f"grpc+unix://{self._folder / 'flight'}"

    @property
    def calls(self) -> RunningCalls:
        """The calls that are running."""
        return self._state.calls

    @property
    def state(self) -> ServerState:
        """What is running and what clients hold open."""
        return self._state

    def stop(self, seconds: float) -> bool:
        """Closes within `seconds` and a little; False where calls could not be ended.

        New calls are refused at once. Running ones may finish for so long; then they are told
        that the server is unavailable. A client that neither sends nor reads cannot be told by
        pyarrow: for that one the process has to end, which it sees as unavailable, too.
        """
        if self._server is None:
            return True
        calls = self._state.calls
        calls.refuse()
        if not calls.wait(seconds):
            calls.cancel(Unavailable("The server is stopping: try again in a moment."))
            calls.wait(CLOSING_SECONDS)
        time.sleep(SENDING_SECONDS)
        self._sweeper.stop()
        # What is in the middle of a call that could not be ended stays, and goes with the process.
        self._state.sessions.close_all()
        self._close_inside()
        server, self._server = self._server, None
        return self._close_transport(server)

    def _close_inside(self) -> None:
        if self._inside is not None:
            self._close_transport(self._inside)
            shutil.rmtree(self._folder, ignore_errors=True)
            self._inside = None

    def _close_transport(self, server: FlightServer) -> bool:
        """Closes the port; in a thread, since pyarrow waits for every call, however long."""
        closing = threading.Thread(target=server.shutdown, name="flight-shutdown", daemon=True)
        closing.start()
        closing.join(CLOSING_SECONDS)
        return not closing.is_alive()

    @property
    def _scheme(self) -> str:
        return "grpc+tls" if self._settings.tls_certificate else "grpc"


def _host_and_port(address: str) -> tuple[str, int]:
    """The parts of `HOST:PORT` or `[HOST]:PORT`, which the settings have checked."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _check_loopback(host: str) -> None:
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise InvalidRequest(
            f"insecure_no_auth lets anyone do anything, and '{host}' is not this machine alone: "
            "listen on 127.0.0.1, or leave insecure_no_auth out."
        )


def _tls(settings: Settings) -> dict[str, Any]:
    """What pyarrow wants to hear about TLS: nothing, or certificates."""
    if settings.tls_certificate is None or settings.tls_private_key is None:
        return {}
    pair = (_pem(settings.tls_certificate), _pem(settings.tls_private_key))
    tls: dict[str, Any] = {"tls_certificates": [pair]}
    if settings.tls_client_ca is not None:
        tls |= {"verify_client": True, "root_certificates": _pem(settings.tls_client_ca)}
    return tls


def _pem(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"The file '{path}' cannot be read: {error.strerror}.") from None
