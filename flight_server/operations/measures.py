"""What is measured when somebody asks, and who may ask."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

import pyarrow as pa

from flight_server.auth import SERVER, Action
from flight_server.engines.base import Engine
from flight_server.engines.figures import Figures, SupportsFigures
from flight_server.errors import Forbidden
from flight_server.operations.providers import ModelCalls
from flight_server.operations.services import Call, Services
from flight_server.telemetry.metrics import READ_SECONDS, Values

# The name of a gauge → what it tells of an engine.
_OF_ENGINES = {
    "tables": "Tables that there are.",
    "files": "Data files that are kept, for old versions as well.",
    "bytes": "Bytes of these files.",
    "snapshots": "Snapshots that can be read.",
}
# The name of a counter → what it tells of calls of models.
_OF_MODELS = {
    "calls": "Calls of models.",
    "errors": "Calls of models that ended in an error.",
    "input_tokens": "Tokens that models were sent, as far as providers tell.",
    "output_tokens": "Tokens that models answered with, as far as providers tell.",
    "cost": "What the calls cost, in the providers' own money, as far as they tell.",
}


def read_measures(services: Services) -> None:
    """Lets the server's metrics tell of queues, engines and memory as well."""
    metrics, admission = services.telemetry.metrics, services.admission
    watched = _Watched(services.engines)
    metrics.read(
        "queue_length",
        "What waits: queries for a place, small appends for a commit, what happened for the trail.",
        lambda: {
            ("admission",): admission.waiting,
            ("audit",): services.audit.waiting,
            ("group_commit",): sum(found.waiting for found in watched.figures().values()),
        },
        ("queue",),
    )
    metrics.read("queries_running", "Queries that have a place.", lambda: {(): admission.running})
    metrics.read(
        "arrow_bytes",
        "Bytes that Arrow holds, DuckDB's memory and gRPC's left out.",
        lambda: {(): pa.total_allocated_bytes()},
    )
    for name, meaning in _OF_ENGINES.items():
        metrics.read(f"lake_{name}", meaning, watched.reader(name), ("catalog",))
    calls = ModelCalls(services.metastore)
    for name, meaning in _OF_MODELS.items():
        labels = ("workspace", "provider")
        metrics.read(f"model_{name}", meaning, partial(calls.totals, name), labels, grows=True)
    meaning = "Commits since the server was started."
    metrics.read("commits", meaning, watched.reader("commits"), ("catalog",), grows=True)


def metrics_are_open(services: Services) -> bool:
    """Whether anyone who reaches the HTTP door may read the metrics."""
    settings = services.settings
    if settings.metrics_access == "auto":
        host = settings.http.rpartition(":")[0].removeprefix("[").removesuffix("]")
        return _is_loopback(host)
    return settings.metrics_access == "open"


def check_may_measure(services: Services, call: Call) -> None:
    """Forbidden for all but admins."""
    if not services.access.may(call.principal, Action.ADMIN, SERVER).allowed:
        raise Forbidden("Only an admin may read the metrics of this server (metrics_access).")


class _Watched:
    """The figures of all engines, asked for once for everything that one scrape tells of them."""

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self._engines = engines
        self._lock = threading.Lock()
        self._figures: dict[str, Figures] = {}
        self._until = 0.0

    def reader(self, name: str) -> Callable[[], Values]:
        """What reads one of the figures."""
        return lambda: {
            (catalog,): getattr(figures, name) for catalog, figures in self.figures().items()
        }

    def figures(self) -> dict[str, Figures]:
        """The figures by catalog, now or a moment ago."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._figures = {
                    name: engine.figures()
                    for name, engine in self._engines.items()
                    if isinstance(engine, SupportsFigures)
                }
                self._until = time.monotonic() + READ_SECONDS
            return self._figures


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
