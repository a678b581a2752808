"""A second catalog for tests: an in-memory engine whose scans are watched, and can fail."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pyarrow as pa
import pytest

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.stream import Batches, BatchStream
from flight_server.model import (
    Author,
    IngestMode,
    IngestRequest,
    ScanRequest,
    TableInfo,
    TableRef,
    TableVersion,
)
from flight_server.operations import Services
from flight_server.testing.memory import MemoryEngine
from flight_server.testing.server import LocalServer
from tests.fix_flight_sql import SqlClient

CATALOG = "memory"
NAN = float("nan")
ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3, 4], pa.int64()),
        "word": ["a", "b", "c", None],
        "x": [1.0, NAN, 3.0, None],
        "v": pa.array([[1, 2], [3, 4], None, [5, 6]], pa.list_(pa.float32(), 2)),
    }
)


class WatchedEngine(MemoryEngine):
    """The in-memory engine, which notes what scans are asked for.

    `open` counts the scans that nobody has closed. With a `fault` each scan raises it behind its
    first batch; an endless one gives that batch again and again, until it is told to stop.
    """

    def __init__(self) -> None:
        super().__init__(CATALOG)
        self.asked: list[ScanRequest] = []
        self.open = 0
        self.batches = 0
        self.fault: Exception | None = None
        self.is_endless = False

    def scan(
        self, table: TableRef, request: ScanRequest, cancellation: Cancellation = NEVER
    ) -> Batches:
        self.asked.append(request)
        rows = super().scan(table, request, cancellation)
        self.open += 1
        return BatchStream(rows.schema, self._given(rows, cancellation), self._closed)

    def _given(self, rows: Batches, cancellation: Cancellation) -> Iterator[pa.RecordBatch]:
        for batch in rows:
            yield batch
            self.batches += 1
            if self.fault is not None:
                raise self.fault
            while self.is_endless:
                time.sleep(0.001)
                cancellation.check()
                yield batch

    def _closed(self) -> None:
        self.open -= 1

    def put(self, rows: pa.Table, name: str = "") -> str:
        """A new table of these rows, as SQL names it."""
        table = TableRef(CATALOG, "main", name or f"f_{uuid.uuid4().hex[:8]}")
        self.ingest(table, IngestRequest(IngestMode.CREATE), rows.to_reader(), Author("test"))
        return f"{CATALOG}.main.{table.name}"

    def forget(self) -> None:
        """Begins to watch anew."""
        self.asked.clear()
        self.open = self.batches = 0
        self.fault, self.is_endless = None, False


class PlainEngine:
    """What is obligatory for an engine, and nothing beyond."""

    name = "plain"

    def __init__(self, engine: WatchedEngine) -> None:
        self._engine = engine

    def namespaces(self) -> list[str]:
        return self._engine.namespaces()

    def tables(self, namespace: str) -> list[TableRef]:
        return [self._named(table, self.name) for table in self._engine.tables(namespace)]

    def resolve(self, table: TableRef, version: int | None = None) -> TableVersion:
        found = self._engine.resolve(self._named(table), version)
        return replace(found, table=self._named(found.table, self.name))

    def describe(self, table: TableRef, version: int | None = None) -> TableInfo:
        found = self._engine.describe(self._named(table), version)
        return replace(found, table=self._named(found.table, self.name))

    def scan(
        self, table: TableRef, request: ScanRequest, cancellation: Cancellation = NEVER
    ) -> Batches:
        return self._engine.scan(self._named(table), request, cancellation)

    def close(self) -> None:
        pass

    def _named(self, table: TableRef, catalog: str = CATALOG) -> TableRef:
        return replace(table, catalog=catalog)


@contextmanager
def mounted(services: Services) -> Iterator[WatchedEngine]:
    """The engine as a catalog of these services while the block runs.

    Its tables are in the catalog `plain` as well, of an engine with no other abilities.
    """
    engine = WatchedEngine()
    engines = cast(dict[str, Any], services.engines)
    engines |= {CATALOG: engine, PlainEngine.name: PlainEngine(engine)}
    try:
        yield engine
    finally:
        del engines[CATALOG], engines[PlainEngine.name]


@pytest.fixture(scope="module")
def shared_memory(server: LocalServer) -> Iterator[WatchedEngine]:
    """A second catalog of the module's server."""
    with mounted(server.services) as engine:
        yield engine


@pytest.fixture
def memory(shared_memory: WatchedEngine) -> Iterator[WatchedEngine]:
    """The same, with nothing asked of it yet; all of its scans have to be closed in the end."""
    shared_memory.forget()
    yield shared_memory
    deadline = time.monotonic() + 10
    while shared_memory.open and time.monotonic() < deadline:
        time.sleep(0.01)
    assert shared_memory.open == 0


@pytest.fixture
def words(memory: WatchedEngine) -> str:
    """A table of the other catalog."""
    return memory.put(ROWS)


@pytest.fixture
def named(sql: SqlClient, name: str) -> str:
    """A table of the lake."""
    sql.update(f"CREATE TABLE {name} (id BIGINT, name VARCHAR)")
    sql.update(f"INSERT INTO {name} VALUES (1, 'one'), (2, 'two'), (9, 'nine')")
    return name
