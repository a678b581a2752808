"""Writes to several tables that become one commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from flight_server.engines.base import Acknowledge
from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.lake.columns import check_required
from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.failures import translated
from flight_server.engines.lake.ingest import Ingests
from flight_server.engines.lake.outbound import Outbound
from flight_server.engines.lake.registry import Registry
from flight_server.engines.lake.scans import BATCH_ROWS_MAX, scan_schema, scan_sql
from flight_server.engines.lake.tables import true_name
from flight_server.engines.stream import Batches, BatchStream
from flight_server.errors import InvalidRequest
from flight_server.model import Author, Commit, IngestRequest, ScanRequest, TableRef, quoted


class LakeTransaction:
    """See `flight_server.engines.base.Transaction`; one thread at a time uses it."""

    def __init__(self, transaction: WriteTransaction, registry: Registry, ingests: Ingests) -> None:
        self._transaction = transaction
        self._registry = registry
        self._ingests = ingests

    def ingest(
        self,
        table: TableRef,
        request: IngestRequest,
        batches: Any,
        author: Author,
        acknowledge: Acknowledge = lambda commit: None,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Writes the stream; its commit has no snapshot (-1) until the transaction commits."""
        done = self._ingests.ingest_within(self._transaction, table, request, batches, cancellation)
        acknowledge(done)
        return done

    def update(
        self,
        table: TableRef,
        assignments: Mapping[str, str],
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Sets columns to SQL expressions over the old values where the filter holds."""
        if not assignments:
            raise InvalidRequest("There is nothing to set: name at least one column.")
        found = self._registry.resolve(table, transaction=self._transaction)
        named = {true_name(found.schema, name): text for name, text in assignments.items()}
        sets = ", ".join(f"{quoted(name)} = ({text})" for name, text in named.items())
        rows = self._transaction.count(
            f"UPDATE {found.table.sql} SET {sets}{_where(filter)}", (), cancellation
        )
        self._transaction.note(found.table, "updated")
        check_required(self._transaction, found.table, found.schema, named)
        self._transaction.notes["rows"] = rows
        return Commit(-1, rows=rows, rows_updated=rows)

    def delete(
        self,
        table: TableRef,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Deletes the rows where the filter holds, all without one."""
        found = self._registry.resolve(table, transaction=self._transaction)
        rows = self._transaction.count(
            f"DELETE FROM {found.table.sql}{_where(filter)}", (), cancellation
        )
        self._transaction.note(found.table, "deleted")
        self._transaction.notes["rows"] = rows
        return Commit(-1, rows=rows, rows_deleted=rows)

    def scan(
        self, table: TableRef, request: ScanRequest, cancellation: Cancellation = NEVER
    ) -> Batches:
        """The rows as this transaction has made them."""
        found = self._registry.resolve(table, request.version, self._transaction)
        schema = scan_schema(found, request)
        sql = scan_sql(found, request, request.version)

        def batches() -> Iterator[pa.RecordBatch]:
            connection = self._transaction.connection
            with translated("The scan"), cancellation.interrupting(connection.interrupt):
                reader = connection.execute(sql).to_arrow_reader(BATCH_ROWS_MAX)
                outbound = Outbound(schema, reader.schema)
                for batch in reader:
                    yield from outbound.convert(batch)

        return BatchStream(schema, batches())

    def commit(self) -> Commit:
        """Makes it so. Conflict, after which nothing of it has happened."""
        return Commit(self._transaction.commit())

    def rollback(self) -> None:
        """Nothing of it has happened."""
        self._transaction.rollback()


def _where(filter: str | None) -> str:
    return f" WHERE {filter}" if filter else ""
