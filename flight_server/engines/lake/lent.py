"""Temporary tables lent to an open transaction.

DuckDB shows a transaction of each database what was there when the transaction first looked at
it: rows that a session writes to its temporary tables later would be missing, without a word. So
a transaction reads copies, among the temporary tables of its own connection, made anew when what
they were made of has changed.
"""

from __future__ import annotations

import datetime as dt
from contextlib import closing

import duckdb

from flight_server.engines.base import TemporaryTables
from flight_server.engines.cancellation import Cancellation
from flight_server.engines.lake import row_sql
from flight_server.engines.lake.failures import translated
from flight_server.engines.lake.inbound import Inbound
from flight_server.engines.lake.inserts import run_over_stream
from flight_server.model import HIDDEN_PREFIX, NAME_LENGTH_MAX, ScanRequest, TableRef, TableVersion

# What DuckDB calls the temporary tables of a connection.
_OWN = ("temp", "main")


class LentTables:
    """The copies of one transaction."""

    def __init__(self) -> None:
        self._copies: dict[str, tuple[dt.datetime, TableRef]] = {}

    def source(
        self,
        connection: duckdb.DuckDBPyConnection,
        tables: TemporaryTables,
        table: TableRef,
        cancellation: Cancellation,
    ) -> TableRef:
        """What the copy is called, which is as the table is now. NotFound."""
        info = tables.describe(table)
        name = info.table.name.lower()
        known = self._copies.get(name)
        if known is not None and known[0] == info.changed_at:
            return known[1]
        place = known[1] if known is not None else self._place(info.table.name)
        copy = TableVersion(place, info.spec, -1)
        with translated("The copy"):
            connection.execute(f"DROP TABLE IF EXISTS {place.sql}")
            connection.execute(row_sql.created(copy, "TEMP TABLE"))
        with closing(tables.scan(table, ScanRequest(), cancellation)) as batches:
            schema = info.spec.schema
            sql = f"INSERT INTO {place.sql} SELECT * FROM incoming"
            run_over_stream(connection, sql, Inbound(schema, schema), iter(batches), cancellation)
        self._copies[name] = (info.changed_at, place)
        return place

    def _place(self, name: str) -> TableRef:
        return TableRef(*_OWN, f"{HIDDEN_PREFIX}_lent_{len(self._copies)}_{name}"[:NAME_LENGTH_MAX])
