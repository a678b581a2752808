"""Arrow handed to DuckDB: whole tables, and streams that are never held whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import duckdb
import pyarrow as pa

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.lake.checks import ROW, Rule, guarded, rules_of, told, violating
from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.failures import translated
from flight_server.engines.lake.inbound import Inbound
from flight_server.engines.lake.instance import Instance
from flight_server.engines.lake.types import storage_type
from flight_server.model import IngestMode, TableVersion, Violation, quoted


def insert_table(transaction: WriteTransaction, found: TableVersion, data: pa.Table) -> None:
    """Inserts rows in storage types; columns that are not in `data` get their defaults.

    The rows have been checked, but for what their defaults are.
    """
    rules = rules_of(found.spec) if absent_defaults(found, data.schema.names) else ()
    with told(found, rules), translated("The insert"):
        # As a bare C stream, as below: it is also scanned without the interpreter's lock.
        transaction.connection.register("incoming", data.__arrow_c_stream__())
        try:
            transaction.connection.execute(_insert(found, data.schema.names, rules))
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
    before: int = 0,
) -> int:
    """Inserts all rows; how many. An error of the stream is raised as it was.

    `before` rows of the stream came before these. InvalidRequest (check_violation).
    """
    rules = rules_of(found.spec)
    sql = _insert(found, inbound.schema.names, rules, ROW if rules else "")
    with transaction.log.instance.flushing_ahead(transaction.began), told(found, rules):
        count = run_over_stream(
            transaction.connection, sql, inbound, rows, cancellation, before if rules else None
        )
    transaction.writes += 1
    transaction.local_rows.inserted(found.table, count)
    return count


def run_over_stream(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    inbound: Inbound,
    rows: Iterator[pa.RecordBatch],
    cancellation: Cancellation,
    numbered_from: int | None = None,
) -> int:
    """Runs a statement that reads the converted rows from `incoming`; its count.

    Where they are numbered, the first has the number behind `numbered_from`, in the column `ROW`.
    """
    schema = inbound.schema if numbered_from is None else _numbered_schema(inbound.schema)
    failed: list[BaseException] = []

    def converted() -> Iterator[pa.RecordBatch]:
        try:
            number = numbered_from
            for batch in rows:
                converted = inbound.convert(batch)
                if number is not None:
                    converted = _numbered(converted, schema, number)
                    number += batch.num_rows
                yield converted
        except GeneratorExit:
            # DuckDB has ended the statement and wants no more: its own error says why.
            raise
        except BaseException as error:
            # DuckDB would pass on only its text, with the traceback in it.
            failed.append(error)
            raise

    # As a bare C stream: DuckDB scans a reader through Acero, which reads ahead without a bound.
    stream = pa.RecordBatchReader.from_batches(schema, converted()).__arrow_c_stream__()
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


def rows_with_defaults(found: TableVersion, names: Sequence[str], rows: str) -> str:
    """A SELECT of rows that have these columns, as the table keeps them, and of all defaults.

    Text for a UUID is parsed here, once for whoever judges it and whoever keeps it.
    """
    values = {name: quoted(name) for name in names} | absent_defaults(found, names)
    kept = {
        name: f"CAST({value} AS {storage_type(found.schema.field(name))}) AS {quoted(name)}"
        for name, value in values.items()
    }
    replaced = ", ".join(kept[name] for name in names)
    added = "".join(f", {kept[name]}" for name in values if name not in names)
    return f"SELECT *{f' REPLACE ({replaced})' if replaced else ''}{added} FROM {rows}"


def check_batches(
    instance: Instance,
    found: TableVersion,
    schema: pa.Schema,
    batches: Sequence[pa.RecordBatch],
) -> None:
    """Judges rows before they join others, who need not wait for them to fail.

    InvalidRequest (check_violation).
    """
    rules = rules_of(found.spec)
    if not rules:
        return
    numbered, number = [], 0
    for batch in batches:
        numbered.append(_numbered(batch, _numbered_schema(schema), number))
        number += batch.num_rows
    names = (*schema.names, *absent_defaults(found, schema.names))
    judged = guarded(found, rules, rows_with_defaults(found, schema.names, "incoming"), names, ROW)
    data = pa.Table.from_batches(numbered, _numbered_schema(schema))
    with (
        closing(instance.connection()) as connection,
        told(found, rules),
        translated("The insert"),
    ):
        connection.register("incoming", data.__arrow_c_stream__())
        connection.execute(f"SELECT count(*) FROM ({judged})").fetchall()


def violations(
    instance: Instance, found: TableVersion, mode: IngestMode, batch: pa.RecordBatch
) -> dict[int, Violation]:
    """See `SupportsRules.violations`."""
    inbound = Inbound(batch.schema, found.schema)
    names = inbound.schema.names
    given = {*names, *absent_defaults(found, names)}
    rules = [
        rule
        for rule in rules_of(found.spec)
        if mode is not IngestMode.MERGE or rule.columns <= set(names)
    ]
    if not rules:
        return {}
    schema = _numbered_schema(inbound.schema)
    data = pa.Table.from_batches([_numbered(inbound.convert(batch), schema, -1)], schema)
    sql = violating(found, rules, rows_with_defaults(found, names, "incoming"), tuple(given), ROW)
    with closing(instance.connection()) as connection, translated("The insert"):
        connection.register("incoming", data.__arrow_c_stream__())
        wrong = connection.execute(sql).fetchall()
    return {row: Violation(rules[rule].name, rules[rule].column) for row, rule in wrong}


def _insert(found: TableVersion, given: Sequence[str], rules: Sequence[Rule], row: str = "") -> str:
    defaults = absent_defaults(found, given)
    columns = (*given, *defaults)
    names = ", ".join(quoted(name) for name in columns)
    if rules:
        rows = guarded(found, rules, rows_with_defaults(found, given, "incoming"), columns, row)
        return f"INSERT INTO {found.table.sql} ({names}) {rows}"
    values = ", ".join(("*", *defaults.values()))
    return f"INSERT INTO {found.table.sql} ({names}) SELECT {values} FROM incoming"


def _numbered_schema(schema: pa.Schema) -> pa.Schema:
    return schema.append(pa.field(ROW, pa.int64()))


def _numbered(batch: pa.RecordBatch, schema: pa.Schema, before: int) -> pa.RecordBatch:
    """The batch with the numbers of its rows, from the one behind `before` on."""
    numbers = pa.arange(before + 1, before + 1 + batch.num_rows)
    return pa.RecordBatch.from_arrays([*batch.columns, numbers], schema=schema)
