"""Counters and gauges in Prometheus's form, in a registry of one server's own.

Requests are counted when they end, by door and operation. What can be asked at any time (queues,
files) is not counted along but read when somebody scrapes, and not again for a few seconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from flight_server.telemetry.requests import ServedRequest

# A scrape every second, and several of them, read the lake's catalog once in so long.
READ_SECONDS = 5.0
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
# Names are bounded by what is built in. Should one ever not be, memory still is.
OPERATIONS_MAX = 1000
OTHER = "other"

logger = logging.getLogger(__name__)

# The values of a measure by its labels, in their order.
Values = Mapping[tuple[str, ...], float]


class Metrics:
    """What one server measures. Every method may be called from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        of = ("door", "operation")
        self._requests = _counter(self, "requests", "Requests that have ended.", (*of, "code"))
        self._seconds = Histogram(
            "pixelflight_request_seconds",
            "Time from the first header of a request to its last byte.",
            of,
            buckets=SECONDS,
            registry=self.registry,
        )
        moved = (*of, "direction")
        self._rows = _counter(self, "rows", "Rows received (in) and sent (out).", moved)
        self._bytes = _counter(
            self,
            "bytes",
            "Bytes of bodies over HTTP, bytes of Arrow buffers over Flight, in and out.",
            moved,
        )
        self._running = _gauge(self, "requests_running", "Requests that have not ended.")
        self._streams = _gauge(self, "streams_open", "Streams of rows that are open.")
        self._series: dict[tuple[str, str], _Series] = {}

    def begin(self, request: ServedRequest) -> None:
        """A request begins."""
        self._running.labels(request.entered).inc()

    def open_stream(self, request: ServedRequest) -> None:
        """The request turns out to be a stream; it ends with it."""
        if not request.streams:
            request.streams = request.door
            self._streams.labels(request.streams).inc()

    def end(self, request: ServedRequest) -> None:
        """A request has ended."""
        self._running.labels(request.entered).dec()
        if request.streams:
            self._streams.labels(request.streams).dec()
        self._series_of(request.door, request.operation).add(request)

    def refused(self, door: str, operation: str, code: str) -> None:
        """A request was refused before it could begin."""
        self._series_of(door, operation).count(code)

    def read(
        self,
        name: str,
        meaning: str,
        read: Callable[[], Values],
        labels: tuple[str, ...] = (),
        *,
        grows: bool = False,
    ) -> None:
        """Adds `pixelflight_NAME`, asked for by scrapes. `grows` makes a counter of it."""
        kind = CounterMetricFamily if grows else GaugeMetricFamily
        self.registry.register(_Read(f"pixelflight_{name}", meaning, read, labels, kind))

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All values as text, and its content type, in the form that a scraper asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _series_of(self, door: str, operation: str) -> _Series:
        found = self._series.get((door, operation))
        if found is None:
            if len(self._series) >= OPERATIONS_MAX:
                operation = OTHER
            found = _Series(self, door, operation)
            self._series[door, operation] = found
        return found


class _Series:
    """The counters of one operation, found once: to look labels up takes longer than to count."""

    def __init__(self, metrics: Metrics, door: str, operation: str) -> None:
        self._door, self._operation = door, operation
        self._requests = metrics._requests
        self._codes: dict[str, Counter] = {}
        self._seconds = metrics._seconds.labels(door, operation)
        ways = ("in", "out")
        self._rows_in, self._rows_out = (metrics._rows.labels(door, operation, way) for way in ways)
        self._bytes_in, self._bytes_out = (
            metrics._bytes.labels(door, operation, way) for way in ways
        )

    def add(self, request: ServedRequest) -> None:
        """Counts a request that has ended."""
        self.count(request.code)
        self._seconds.observe(request.seconds)
        if request.rows_in:
            self._rows_in.inc(request.rows_in)
        if request.rows_out:
            self._rows_out.inc(request.rows_out)
        if request.bytes_in:
            self._bytes_in.inc(request.bytes_in)
        if request.bytes_out:
            self._bytes_out.inc(request.bytes_out)

    def count(self, code: str) -> None:
        """One more that ended so."""
        counter = self._codes.get(code)
        if counter is None:
            counter = self._requests.labels(self._door, self._operation, code)
            self._codes[code] = counter
        counter.inc()


class _Read(Collector):
    """A measure that is read when it is asked for."""

    def __init__(
        self,
        name: str,
        meaning: str,
        read: Callable[[], Values],
        labels: tuple[str, ...],
        kind: type[GaugeMetricFamily] | type[CounterMetricFamily],
    ) -> None:
        self._name, self._meaning, self._labels, self._kind = name, meaning, labels, kind
        self._read = read
        self._lock = threading.Lock()
        self._values: Values = {}
        self._until = 0.0

    def describe(self) -> Iterator[Metric]:
        """Its name, for the registry, which reads nothing to learn it."""
        yield self._kind(self._name, self._meaning, labels=self._labels)

    def collect(self) -> Iterator[Metric]:
        """Its values now, or a moment ago."""
        family = self._kind(self._name, self._meaning, labels=self._labels)
        with self._lock:
            if time.monotonic() >= self._until:
                self._values = self._read_now()
                self._until = time.monotonic() + READ_SECONDS
            values = self._values
        for labels, value in values.items():
            family.add_metric(labels, value)
        yield family

    def _read_now(self) -> Values:
        try:
            return self._read()
        except Exception:
            # A scrape tells of everything else all the same.
            logger.warning("%s cannot be read", self._name, exc_info=True)
            return {}


def _counter(metrics: Metrics, name: str, meaning: str, labels: tuple[str, ...]) -> Counter:
    return Counter(f"pixelflight_{name}", meaning, labels, registry=metrics.registry)


def _gauge(metrics: Metrics, name: str, meaning: str) -> Gauge:
    return Gauge(f"pixelflight_{name}", meaning, ("door",), registry=metrics.registry)
