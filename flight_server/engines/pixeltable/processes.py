"""The process that holds Pixeltable: started at its first request, and anew where it has died.

For each request it is handed one end of a socket of its own, so requests know nothing of each
other, and whoever closes the other end takes the request back. It ends when this process does.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flight_server.engines.pixeltable.channel import Channel, raise_failure
from flight_server.engines.pixeltable.models import Models
from flight_server.errors import Unavailable
from flight_server.processes import environment

# PostgreSQL may have to recover first.
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 15.0

log = logging.getLogger(__name__)


class Process:
    """A process of `worker`. Its methods may be called from any thread."""

    def __init__(
        self,
        home: str,
        database: str | None,
        admitted: Mapping[str, Sequence[str]],
        models: Models,
    ) -> None:
        self._home = home
        self._admitted = admitted
        self._models = models
        self._database = database
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._closed = False
        # What it has told of itself.
        self.about: Mapping[str, Any] = {}

    def request(self, verb: str, arguments: Mapping[str, Any], with_rows: bool = False) -> Channel:
        """Where its rows go to, where it has some, and the answer comes from. Unavailable."""
        scope = self._models.scope(arguments)
        message = {"verb": verb, "arguments": dict(arguments), "rows": with_rows, "scope": scope}
        control = self._started()
        try:
            return _begun(control, message, self._models.told)
        except OSError:
            # It has died and nobody has noticed: nothing was asked of it.
            self._bury(control)
        try:
            return _begun(self._started(), message, self._models.told)
        except OSError as error:
            raise Unavailable("The process that holds Pixeltable has just ended.") from error

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not died."""
        return self._process is not None and self._process.poll() is None

    @property
    def notice(self) -> str:
        """What it told when it was started last that it does not do; empty where it does all."""
        reason = self.about.get("distrust")
        return f"Pixeltable is read by its cursor and not written: {reason}." if reason else ""

    def close(self) -> None:
        """Ends it, and waits for that."""
        with self._lock:
            self._closed = True
            self._stop()

    def _started(self) -> socket.socket:
        with self._lock:
            if self._closed:
                raise Unavailable("The server is stopping.")
            if not self.is_running:
                self._stop()
                self._start()
            assert self._control is not None, "it was started just now"
            return self._control

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.worker", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=environment(),
                # A Ctrl-C is for the server, which then ends it.
                process_group=0,
            )
        self._control = ours
        try:
            self.about = self._greeted(ours)
        except BaseException:
            self._stop()
            raise
        if self.notice:
            log.warning(self.notice)
        log.info(
            "Pixeltable %s has been started: process %d", self.about["version"], self._process.pid
        )

    def _greeted(self, control: socket.socket) -> Mapping[str, Any]:
        control.settimeout(START_SECONDS_MAX)
        try:
            with control.makefile("rwb") as lines:
                lines.write(json.dumps(self._given()).encode() + b"\n")
                lines.flush()
                line = lines.readline()
        except TimeoutError as error:
            raise Unavailable(
                f"Pixeltable did not start within {START_SECONDS_MAX:g} seconds."
            ) from error
        except OSError:
            line = b""
        if not line:
            raise Unavailable("Pixeltable ended while it started: the server's log says why.")
        control.settimeout(None)
        told: dict[str, Any] = json.loads(line)
        raise_failure(told)
        return told

    def _bury(self, control: socket.socket) -> None:
        with self._lock:
            if self._control is control:
                self._stop()

    def _given(self) -> Mapping[str, Any]:
        """What it opens. One before it may have started PostgreSQL, for this one to stop."""
        found = self.about.get("found_running")
        where = {"home": self._home, "database": self._database}
        models = {"urls": self._models.urls, "rates": self._models.rates}
        return {**where, "found_running": found, "admitted": self._admitted, "models": models}

    def _stop(self) -> None:
        control, self._control = self._control, None
        process, self._process = self._process, None
        if control is not None:
            # The end of this is what it ends at.
            control.close()
        if process is None:
            return
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()


def _begun(
    control: socket.socket, message: Mapping[str, Any], told: Callable[[Mapping[str, Any]], object]
) -> Channel:
    ours, theirs = socket.socketpair()
    channel = Channel(ours, told)
    try:
        with theirs:
            socket.send_fds(control, [b"r"], [theirs.fileno()])
        channel.send(message)
    except OSError:
        channel.close()
        raise
    return channel
