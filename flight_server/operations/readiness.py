"""Whether the server can serve, and if not, why: asked by load balancers, who have no key.

The reasons name parts of the server and nothing that is kept in it.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from flight_server.engines.base import SupportsRest
from flight_server.operations.services import Services

CHECK_SECONDS = 2.0
OK = "ok"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Readiness:
    """Each check's result: `ok`, or the reason why it is not."""

    checks: dict[str, str]

    @property
    def is_ready(self) -> bool:
        """Whether nothing stands in the way."""
        return all(result == OK for result in self.checks.values())


class Checks:
    """The checks of one server. Each runs in a thread, so that what hangs is told of as well."""

    def __init__(self, services: Services) -> None:
        self._checks = {
            "metastore": _Check(partial(_ask_metastore, services)),
            "disk": _Check(partial(_use_disk, services)),
        }
        for name in services.engines:
            self._checks[f"engine_{name}"] = _Check(partial(_ask_engine, services, name))

    def readiness(self, refusal: str | None = None) -> Readiness:
        """Asks everything at once. `refusal` is why the server takes no requests, if so."""
        pending = {name: check.begin() for name, check in self._checks.items()}
        found = {name: check.result(pending[name]) for name, check in self._checks.items()}
        return Readiness({"serving": refusal or OK} | found)


class _Check:
    """One question. While an answer is still awaited it is not asked again."""

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._asked: _Asked | None = None

    def begin(self) -> _Asked:
        """Asks, or joins those who wait for an answer."""
        with self._lock:
            if self._asked is None or self._asked.is_done.is_set():
                self._asked = _Asked(self._ask)
            return self._asked

    def result(self, asked: _Asked) -> str:
        """The answer, or that there is none."""
        if asked.is_done.wait(CHECK_SECONDS):
            return asked.answer
        return f"It has not answered within {CHECK_SECONDS:g} seconds."


class _Asked:
    """A question in a thread of its own."""

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask = ask
        self.answer = ""
        self.is_done = threading.Event()
        threading.Thread(target=self._run, name="readiness", daemon=True).start()

    def _run(self) -> None:
        try:
            self.answer = self._ask()
        except Exception:
            logger.exception("A check of readiness failed")
            self.answer = "It does not answer; the log says why."
        finally:
            self.is_done.set()


def _ask_metastore(services: Services) -> str:
    with services.metastore.read() as connection:
        connection.exec_driver_sql("SELECT 1")
    return OK


def _ask_engine(services: Services, name: str) -> str:
    engine = services.engines[name]
    if not isinstance(engine, SupportsRest) or engine.is_awake:
        engine.namespaces()
    return OK


def _use_disk(services: Services) -> str:
    data, least = services.settings.data, services.settings.disk_free_bytes_min
    free = shutil.disk_usage(data).free
    if free < least:
        return f"{free} bytes are free, and {least} must be (disk_free_bytes_min)."
    try:
        with tempfile.TemporaryFile(dir=data) as file:
            file.write(b"ready")
            file.flush()
    except OSError as error:
        return f"The data folder cannot be written: {error.strerror}."
    return OK
