"""Rows that meet others by key: staged first, then merged in one statement.

The stage is a temporary table of the connection, which DuckDB spills to disk, so a stream of any
length is held in bounded memory and the commit lock is not held while a client sends.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.lake.checks import Rule, check_rows, guarded, rules_of, told
from flight_server.engines.lake.columns import check_required
from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.inbound import Inbound
from flight_server.engines.lake.inserts import absent_defaults, run_over_stream
from flight_server.engines.lake.tables import true_name
from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.model import Commit, IngestMode, IngestRequest, TableVersion, quoted

STAGE = "_pixelflight_stage"


def stage_rows(
    connection: duckdb.DuckDBPyConnection,
    inbound: Inbound,
    rows: Iterator[pa.RecordBatch],
    cancellation: Cancellation,
) -> tuple[str, ...]:
    """Keeps the rows in the connection's stage; the names of their columns."""
    run_over_stream(
        connection,
        f"CREATE OR REPLACE TEMP TABLE {STAGE} AS SELECT * FROM incoming",
        inbound,
        rows,
        cancellation,
    )
    return tuple(inbound.schema.names)


def merge_stage(
    transaction: WriteTransaction,
    found: TableVersion,
    request: IngestRequest,
    columns: tuple[str, ...],
    cancellation: Cancellation = NEVER,
) -> Commit:
    """Merges the staged rows into the table; inserted and updated ones are counted apart."""
    key = _key(found, request, columns)
    _check_key(transaction, key, cancellation)
    later = _check_stage(transaction, found, request.mode, columns)
    # Others that insert the same keys meanwhile are invisible here, and not of the same rows.
    transaction.refuse_changes(found.table, "written to by key")
    count = f"SELECT count(*) FROM {found.table.sql}"
    before = transaction.count(count)
    transaction.local_rows.unite(transaction, found.table)
    changed = transaction.count(_merge_sql(found, request.mode, key, columns), (), cancellation)
    absent = [name for name in found.schema.names if name not in columns]
    check_required(transaction, found.table, found.schema, absent)
    matches = " AND ".join(f"kept.{quoted(name)} = sent.{quoted(name)}" for name in key)
    check_rows(transaction, found, later, f" SEMI JOIN temp.{STAGE} AS sent ON {matches}")
    inserted = transaction.count(count) - before
    transaction.local_rows.updated(found.table, changed)
    transaction.local_rows.merged(found.table, inserted)
    kinds = (("inserted", inserted), ("updated", changed - inserted))
    transaction.note(found.table, *(kind for kind, rows in kinds if rows))
    rows = transaction.count(f"SELECT count(*) FROM temp.{STAGE}")
    return Commit(
        -1, rows=rows, rows_inserted=inserted, rows_updated=changed - inserted, offset=rows
    )


def _key(found: TableVersion, request: IngestRequest, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The columns to match by: the request's, else the table's own."""
    key = tuple(true_name(found.schema, name) for name in request.key) or found.spec.key
    if not key:
        raise InvalidRequest(
            f"The table '{found.table}' has no key. Name the columns to match by in 'key'."
        )
    for name in key:
        if name not in columns:
            raise InvalidRequest(
                f"The key column '{name}' is missing from what was sent.",
                code=ErrorCode.SCHEMA_MISMATCH,
            )
    return key


def _check_key(
    transaction: WriteTransaction, key: tuple[str, ...], cancellation: Cancellation
) -> None:
    """InvalidRequest (invalid_data) where a key is null or comes twice."""
    names = ", ".join(f"'{name}'" for name in key)
    for name in key:
        nulls = transaction.count(f"SELECT count(*) FROM temp.{STAGE} WHERE {quoted(name)} IS NULL")
        if nulls:
            raise InvalidRequest(
                f"The key column '{name}' is null in {nulls} of the rows sent.",
                code=ErrorCode.INVALID_DATA,
            )
    columns = ", ".join(quoted(name) for name in key)
    twice = transaction.run(
        f"SELECT {columns} FROM temp.{STAGE} GROUP BY ALL HAVING count(*) > 1 LIMIT 1",
        (),
        cancellation,
    )
    if twice:
        values = ", ".join(f"'{value}'" for value in twice[0])
        raise InvalidRequest(
            f"The key {names} = {values} comes more than once in the rows sent. "
            f"Send each key once.",
            code=ErrorCode.INVALID_DATA,
        )


def _check_stage(
    transaction: WriteTransaction,
    found: TableVersion,
    mode: IngestMode,
    columns: tuple[str, ...],
) -> tuple[Rule, ...]:
    """Judges the staged rows by what they have; the rules that the merged ones are to be judged by.

    An upsert's columns that did not come are null or their defaults, a merge's keep their values.
    """
    given, defaults = set(columns), absent_defaults(found, columns)
    rules = rules_of(found.spec)
    if mode is IngestMode.MERGE:
        later = tuple(rule for rule in rules if not rule.columns <= given)
    else:
        later = tuple(rule for rule in rules if not rule.columns.isdisjoint(defaults))
    now = tuple(rule for rule in rules if rule not in later)
    if now:
        judged = guarded(found, now, f"FROM temp.{STAGE}", columns)
        with told(found, now):
            transaction.run(f"SELECT count(*) FROM ({judged})")
    return later


def _merge_sql(
    found: TableVersion, mode: IngestMode, key: tuple[str, ...], columns: tuple[str, ...]
) -> str:
    matches = " AND ".join(f"kept.{quoted(name)} = sent.{quoted(name)}" for name in key)
    defaults = absent_defaults(found, columns)
    names = ", ".join(quoted(name) for name in (*columns, *defaults))
    values = ", ".join((*(f"sent.{quoted(name)}" for name in columns), *defaults.values()))
    return (
        f"MERGE INTO {found.table.sql} AS kept USING temp.{STAGE} AS sent ON {matches} "
        f"WHEN MATCHED THEN {_matched(found, mode, key, columns)} "
        f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})"
    )


def _matched(
    found: TableVersion, mode: IngestMode, key: tuple[str, ...], columns: tuple[str, ...]
) -> str:
    """An upsert replaces the row, columns that did not come included; a merge sets what came."""
    sets = [f"{quoted(name)} = sent.{quoted(name)}" for name in columns if name not in key]
    if mode is IngestMode.UPSERT:
        absent: list[pa.Field] = [field for field in found.schema if field.name not in columns]
        sets += [
            f"{quoted(field.name)} = {found.spec.defaults.get(field.name, 'NULL')}"
            for field in absent
        ]
    return f"UPDATE SET {', '.join(sets)}" if sets else "DO NOTHING"
