"""What the tests say things with: a table to act on, expected refusals, streams that fail.

Keeps the tests short; asserts nothing about engines itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import pyarrow as pa
import pytest

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.errors import ErrorCode, InvalidRequest, PixelflightError
from flight_server.model import (
    Author,
    Commit,
    IngestMode,
    IngestRequest,
    ScanRequest,
    TableRef,
    TableSpec,
)

AUTHOR = Author(principal="ada", request_id="r-1", reason="a test")

# What most tests use: a key that must be there, a text, a number.
SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("amount", pa.float64()),
    ]
)
Rows = list[dict[str, Any]]

THREE: Rows = [
    {"id": 1, "name": "one", "amount": 1.5},
    {"id": 2, "name": "two", "amount": None},
    {"id": 3, "name": None, "amount": -3.0},
]


def table_of(rows: Rows, schema: pa.Schema = SCHEMA) -> pa.Table:
    """The rows as Arrow."""
    return pa.Table.from_pylist(rows, schema=schema)


def unordered(rows: Rows) -> Rows:
    """The rows in an order that depends on nothing but themselves."""
    return sorted(rows, key=repr)


_numbers = itertools.count(1)


def table_of_its_own(engine: Any) -> TableHandle:
    """A table, not made yet, whose name no other has."""
    return TableHandle(engine, f"table_{next(_numbers)}")


class TableHandle:
    """A table of an engine, and what tests do with it."""

    def __init__(self, engine: Any, name: str = "t", namespace: str = "main") -> None:
        self.engine = engine
        self.ref = TableRef(engine.name, namespace, name)

    def create(self, schema: pa.Schema = SCHEMA, **spec: Any) -> TableHandle:
        """Makes the table."""
        self.engine.create_table(self.ref, TableSpec(schema, **spec), AUTHOR)
        return self

    def put(
        self,
        data: pa.Table | Mapping[str, Any] | Rows,
        mode: str = "append",
        *,
        author: Author = AUTHOR,
        acknowledge: Callable[[Commit], None] = lambda commit: None,
        cancellation: Cancellation = NEVER,
        **request: Any,
    ) -> Commit:
        """Ingests rows, a mapping of columns or an Arrow table."""
        if isinstance(data, list):
            arrow = table_of(data)
        else:
            arrow = data if isinstance(data, pa.Table) else pa.table(dict(data))
        return self.stream(
            arrow.to_reader(),
            mode,
            author=author,
            acknowledge=acknowledge,
            cancellation=cancellation,
            **request,
        )

    def stream(
        self,
        batches: pa.RecordBatchReader,
        mode: str = "append",
        *,
        author: Author = AUTHOR,
        acknowledge: Callable[[Commit], None] = lambda commit: None,
        cancellation: Cancellation = NEVER,
        **request: Any,
    ) -> Commit:
        """Ingests a stream of batches."""
        wanted = IngestRequest(mode=IngestMode(mode), **request)
        answer: Commit = self.engine.ingest(
            self.ref, wanted, batches, author, acknowledge, cancellation
        )
        return answer

    def scan(self, **request: Any) -> pa.Table:
        """The rows as Arrow, as a `ScanRequest` with these fields asks."""
        with closing(self.engine.scan(self.ref, ScanRequest(**request))) as reader:
            return reader.read_all()

    def rows(self, **request: Any) -> Rows:
        """The rows as dicts, in no order where none was asked for."""
        rows: Rows = self.scan(**request).to_pylist()
        return rows if "order_by" in request else unordered(rows)

    def ids(self, **request: Any) -> list[int]:
        """The values of the column `id`, sorted where no order was asked for."""
        found: list[int] = self.scan(columns=("id",), **request).column("id").to_pylist()
        return found if "order_by" in request else sorted(found)

    def spec(self, version: int | None = None) -> TableSpec:
        """The table's spec, as the engine tells it."""
        spec: TableSpec = self.engine.resolve(self.ref, version).spec
        return spec

    def schema(self, version: int | None = None) -> pa.Schema:
        """The table's Arrow schema, as the engine tells it."""
        return self.spec(version).schema

    def alter(self, *changes: Any) -> Commit:
        """Alters the table."""
        commit: Commit = self.engine.alter_table(self.ref, changes, AUTHOR)
        return commit

    def update(self, assignments: Mapping[str, str], where: str | None = None) -> Commit:
        """Updates rows."""
        commit: Commit = self.engine.update(self.ref, assignments, where, AUTHOR)
        return commit

    def delete(self, where: str | None = None) -> Commit:
        """Deletes rows."""
        commit: Commit = self.engine.delete(self.ref, where, AUTHOR)
        return commit


class EngineCase:
    """What every part of the suite has: an engine to itself, and a table with three rows in it.

    A subclass whose engines are slow to open may name in `shared_by` a fixture of its own that
    lives longer: tests that share an engine use tables of names that are nobody else's.
    """

    shared_by = "engine"

    @pytest.fixture
    def shared_engine(self, request: pytest.FixtureRequest) -> Any:
        """An engine that other tests may use too."""
        return request.getfixturevalue(self.shared_by)

    @pytest.fixture
    def table(self, engine: Any) -> TableHandle:
        """The table `t` of `SCHEMA` with the rows `THREE`."""
        table = TableHandle(engine).create(key=("id",))
        table.put(THREE)
        return table


@contextmanager
def refused(
    code: ErrorCode, *words: str, error: type[PixelflightError] = InvalidRequest
) -> Iterator[None]:
    """Expects the error with this code, and these words in its message."""
    with pytest.raises(error) as caught:
        yield
    assert caught.value.code is code, caught.value.message
    for word in words:
        assert word in caught.value.message


def batches_of(rows: Iterable[int], size: int) -> list[pa.RecordBatch]:
    """Batches of `SCHEMA` with these ids, of so many rows each."""
    table = table_of([{"id": i, "name": f"n{i}", "amount": float(i)} for i in rows])
    batches: list[pa.RecordBatch] = table.to_batches(max_chunksize=size)
    return batches


def reader_of(
    batches: Iterable[pa.RecordBatch], failure: Exception | None = None
) -> pa.RecordBatchReader:
    """A stream of the batches that ends with the failure, if there is one."""

    def flow() -> Iterator[pa.RecordBatch]:
        yield from batches
        if failure is not None:
            raise failure

    return pa.RecordBatchReader.from_batches(SCHEMA, flow())
