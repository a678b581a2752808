"""Ends what clients have left behind: idle transactions, statements and sessions."""

from __future__ import annotations

import logging
import threading

from flight_server.wire.state import ServerState

SWEEP_SECONDS_MAX = 5.0

logger = logging.getLogger(__name__)


class Sweeper:
    """A thread that ends what clients have left behind: transactions, statements, sessions."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begins to look around."""
        self._thread.start()

    def stop(self) -> None:
        """Ends, when a round that is being made is over."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        settings = self._state.services.settings
        idle = settings.transaction_idle_seconds
        while not self._stopped.wait(min(SWEEP_SECONDS_MAX, idle / 4)):
            try:
                self._state.sessions.sweep(idle)
                self._state.statements.sweep(settings.statement_idle_seconds)
            except Exception:
                logger.exception("Ending what clients have left behind failed")
