"""Arrow handed to DuckDB: whole tables, and streams that are never held whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.failures import translated
from flight_server.engines.lake.inbound import Inbound
from flight_server.model import TableVersion, quoted


def insert_table(transaction: WriteTransaction, found: TableVersion, data: pa.Table) -> None:
    """Inserts rows in storage types; columns that are not in `data` get their defaults."""
    with translated("The insert"):
        # As a bare C stream, as below: it is also scanned without the interpreter's lock.
        transaction.connection.register("incoming", data.__arrow_c_stream__())
        try:
            transaction.connection.execute(_insert(found, data.schema))
        finally:
            transaction.connection.unregister("incoming")
    transaction.writes += 1
    transaction.local_rows.inserted(found.table, data.num_rows)


def insert_stream(
    transaction: WriteTransaction,
    found: TableVersion,
    inbound: Inbound,
    rows: Iterator[pa.RecordBatch],
    cancellation: Cancellation,
) -> int:
    """Inserts all rows; how many. An error of the stream is raised as it was."""
    sql = _insert(found, inbound.schema)
    with transaction.log.instance.flushing_ahead(transaction.began):
        count = run_over_stream(transaction.connection, sql, inbound, rows, cancellation)
    transaction.writes += 1
    transaction.local_rows.inserted(found.table, count)
    return count


def run_over_stream(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    inbound: Inbound,
    rows: Iterator[pa.RecordBatch],
    cancellation: Cancellation,
) -> int:
    """Runs a statement that reads the converted rows from `incoming`; its count."""
    failed: list[BaseException] = []

    def converted() -> Iterator[pa.RecordBatch]:
        try:
            for batch in rows:
                yield inbound.convert(batch)
        except BaseException as error:
            # DuckDB would pass on only its text, with the traceback in it.
            failed.append(error)
            raise

    # As a bare C stream: DuckDB scans a reader through Acero, which reads ahead without a bound.
    stream = pa.RecordBatchReader.from_batches(inbound.schema, converted()).__arrow_c_stream__()
    try:
        with translated("The insert"), cancellation.interrupting(connection.interrupt):
            connection.register("incoming", stream)
            try:
                row = connection.execute(sql).fetchone()
            finally:
                connection.unregister("incoming")
    except BaseException:
        if failed:
            raise failed[0] from None
        raise
    assert row is not None, "a statement that writes answers with a count"
    return int(row[0])


def absent_defaults(found: TableVersion, names: Sequence[str]) -> dict[str, str]:
    """The defaults of the columns that are not among `names`.

    They are ours to give: DuckLake takes no expression for a column that is added to a table.
    """
    return {name: text for name, text in found.spec.defaults.items() if name not in names}


def _insert(found: TableVersion, schema: pa.Schema) -> str:
    defaults = absent_defaults(found, schema.names)
    names = ", ".join(quoted(name) for name in (*schema.names, *defaults))
    values = ", ".join(("*", *defaults.values()))
    return f"INSERT INTO {found.table.sql} ({names}) SELECT {values} FROM incoming"
