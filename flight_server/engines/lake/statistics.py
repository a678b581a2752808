"""The statistics of a table's columns, which must hold for every version that can be read.

DuckLake 1.5.5 keeps one set of them for a table, and DuckDB leaves parts of a query out by it
whatever version the query reads. Writing files anew without their deleted rows narrows it to the
rows that are left: a condition that was met by older rows would then find none of them. So what
was there before is kept aside, in the catalog where a crash does not lose it, and put back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from flight_server.engines.lake.instance import METADATA, Instance

# Ours, beside DuckLake's own tables: rows of theirs on the way through a rewrite.
_COLUMNS, _TABLES = (f"{METADATA}.pixelflight_{name}_stats" for name in ("column", "table"))
_THEIR_COLUMNS = f"{METADATA}.ducklake_table_column_stats"
_THEIR_TABLES = f"{METADATA}.ducklake_table_stats"
_KEEP = (
    f"CREATE TABLE IF NOT EXISTS {_COLUMNS} AS FROM {_THEIR_COLUMNS} LIMIT 0",
    f"CREATE TABLE IF NOT EXISTS {_TABLES} AS FROM {_THEIR_TABLES} LIMIT 0",
    f"INSERT INTO {_COLUMNS} FROM {_THEIR_COLUMNS} WHERE table_id = {{table}}",
    f"INSERT INTO {_TABLES} FROM {_THEIR_TABLES} WHERE table_id = {{table}}",
)
_PUT_BACK = (
    f"DELETE FROM {_THEIR_COLUMNS} WHERE table_id IN (SELECT table_id FROM {_TABLES})",
    f"INSERT INTO {_THEIR_COLUMNS} FROM {_COLUMNS}",
    # As many rows as there are would mean that smallest and largest are those of rows now there.
    f"UPDATE {_THEIR_TABLES} AS theirs SET record_count = kept.record_count "
    f"FROM {_TABLES} AS kept WHERE kept.table_id = theirs.table_id",
    # DuckLake remembers statistics by this number; one that is left out does no harm.
    f"UPDATE {METADATA}.ducklake_snapshot SET next_file_id = next_file_id + 1 "
    f"WHERE snapshot_id = (SELECT max(snapshot_id) FROM {METADATA}.ducklake_snapshot)",
    f"DROP TABLE {_COLUMNS}",
    f"DROP TABLE {_TABLES}",
)


@contextmanager
def kept_wide(instance: Instance, table: int) -> Iterator[None]:
    """A block that commits what was rewritten of a table: its statistics stay as they were.

    Under the commit lock. Nobody begins to read while they are others.
    """
    put_back(instance)
    _run(instance, [sql.format(table=int(table)) for sql in _KEEP])
    instance.owes_statistics = True
    with instance.nobody_begins():
        try:
            yield
        finally:
            put_back(instance)


def put_back(instance: Instance) -> None:
    """Ends what a crash left half done, before anybody reads; else there is nothing to do."""
    try:
        instance.rows(f"SELECT 1 FROM {_TABLES} LIMIT 1")
    except duckdb.CatalogException:
        pass
    else:
        _run(instance, _PUT_BACK)
    instance.owes_statistics = False


def _run(instance: Instance, statements: list[str] | tuple[str, ...]) -> None:
    connection = instance.connection()
    try:
        connection.execute("BEGIN TRANSACTION")
        for sql in statements:
            connection.execute(sql)
        connection.execute("COMMIT")
    finally:
        connection.close()
