"""Rows of other engines, as SQL of the lake reads them: by a name, as long as a statement runs.

DuckDB asks a dataset of pyarrow's for the columns that a statement needs, at the moment at which
it reads them, and anew each time that it does so, as a recursive query does. What is registered
here says that it is such a dataset. A bare stream would be read once, and with all its columns.

A dataset is given filters as well, which DuckDB does not look at again, and Arrow takes NaN for
no number where SQL takes it for the largest. So SQL is shown an expression of each column in
place of the column: no filter passes through that.

This module is imported where there are such rows only: pyarrow's datasets take long to import.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.lake.inbound import Inbound
from flight_server.engines.lake.sql_types import can_be_shown
from flight_server.engines.lake.types import storage_field
from flight_server.engines.sql import ForeignScan
from flight_server.errors import Cancelled, TimedOut


@contextmanager
def scans_bound(
    connection: duckdb.DuckDBPyConnection,
    scans: Sequence[ForeignScan],
    cancellation: Cancellation | None,
) -> Iterator[None]:
    """While the block runs, SQL on the connection reads the scans by their names.

    Without a cancellation they are only bound, and have no rows. What is still open at the end is
    closed. An error that a scan has raised leaves the block as it was, whatever DuckDB made of it.
    """
    opened = _Opened()
    registered: list[str] = []
    try:
        for scan in scans:
            rows: Any = _kept_schema(scan).empty_table()
            if cancellation is not None:
                rows = _ForeignRows(scan, cancellation, opened)
            connection.register(scan.name, rows)
            registered.append(scan.name)
        yield
    except (Cancelled, TimedOut):
        raise
    except Exception:
        if opened.failures:
            raise opened.failures[0] from None
        raise
    finally:
        opened.close()
        for name in registered:
            connection.unregister(name)


class _ForeignRows(ds.Dataset):
    """One scan as DuckDB sees it: a schema, and a scanner of some of its columns."""

    def __init__(self, scan: ForeignScan, cancellation: Cancellation, opened: _Opened) -> None:
        self._scan = scan
        self._kept = _kept_schema(scan)
        self._cancellation = cancellation
        self._opened = opened

    @property
    def schema(self) -> pa.Schema:
        """The columns as DuckDB is given them."""
        return self._kept

    def scanner(
        self, columns: Sequence[str] | None = None, filter: Any = None, **_: Any
    ) -> _Scanner:
        """What DuckDB asks for when it begins to read."""
        names = tuple(self._kept.names if columns is None else columns)
        kept = pa.schema([self._kept.field(name) for name in names])
        return _Scanner(kept, self._opened.stream(self._rows(names, filter)))

    def _rows(self, names: tuple[str, ...], filter: Any) -> Iterator[pa.RecordBatch]:
        target = pa.schema([self._scan.schema.field(name) for name in names])
        with closing(self._scan.open(names, self._cancellation)) as batches:
            inbound = Inbound(batches.schema, target)
            for batch in batches:
                converted = inbound.convert(batch)
                # None is expected; one that came would be nobody else's to apply.
                yield converted if filter is None else converted.filter(filter)


class _Scanner:
    """As much of a scanner of pyarrow's as DuckDB uses."""

    def __init__(self, schema: pa.Schema, stream: _Stream) -> None:
        self.projected_schema = schema
        self._stream = stream

    def to_reader(self) -> pa.RecordBatchReader:
        """The batches."""
        return pa.RecordBatchReader.from_batches(self.projected_schema, self._stream)


class _Opened:
    """The streams of one run of a statement, and what failed in them."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self._streams: list[_Stream] = []

    def stream(self, rows: Iterator[pa.RecordBatch]) -> _Stream:
        """The rows, to be closed with the others."""
        self._streams.append(_Stream(rows, self.failures))
        return self._streams[-1]

    def close(self) -> None:
        """Closes those that are still open."""
        for stream in self._streams:
            stream.close()


class _Stream:
    """Rows that one thread reads while another one may close them."""

    def __init__(self, rows: Any, failures: list[BaseException]) -> None:
        self._rows = rows
        self._failures = failures
        self._lock = threading.Lock()

    def __iter__(self) -> _Stream:
        return self

    def __next__(self) -> pa.RecordBatch:
        with self._lock:
            try:
                return next(self._rows)
            except StopIteration:
                raise
            except BaseException as error:
                # DuckDB would pass on only its text, with the traceback in it.
                self._failures.append(error)
                raise

    def close(self) -> None:
        with self._lock:
            self._rows.close()


def _kept_schema(scan: ForeignScan) -> pa.Schema:
    return pa.schema([storage_field(field) for field in scan.schema if can_be_shown(field)])
