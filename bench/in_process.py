"""What DuckDB does in this process, with no server and no wire: the lake's limit, and its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
from duckdb_extensions import import_extension


class InProcess:
    """One connection that has `bench`, and an Arrow table under the name `incoming`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._written = 0

    def query(self, text: str) -> pa.Table:
        """The answer of a SELECT."""
        return self._connection.sql(text).to_arrow_table()

    def copy(self, table: str, path: Path, options: str) -> int:
        """Writes a table into a file: how many rows it has."""
        copied = self._connection.execute(f"COPY {table} TO '{path}' ({options})").fetchall()
        return int(copied[0][0])

    def create(self, rows: pa.Table) -> str:
        """A new empty table for such rows: its name. They are what `insert` will write."""
        self._connection.register("incoming", rows)
        self._written += 1
        name = f"written_{self._written}"
        self._connection.execute(f"CREATE TABLE {name} AS FROM incoming LIMIT 0")
        return name

    def insert(self, name: str) -> int:
        """Writes the rows and commits: how many they were."""
        found = self._connection.execute(f"INSERT INTO {name} SELECT * FROM incoming").fetchall()
        return int(found[0][0])

    def load(self, name: str, path: Path, kind: str) -> int:
        """Copies a file into a new table, which is made from its columns: how many rows."""
        self._connection.execute(f"CREATE TABLE {name} AS FROM '{path}' LIMIT 0")
        found = self._connection.execute(f"COPY {name} FROM '{path}' (FORMAT {kind})").fetchall()
        self._connection.execute(f"DROP TABLE {name}")
        return int(found[0][0])


@contextmanager
def duckdb_native(folder: Path, table: pa.Table) -> Iterator[InProcess]:
    """A DuckDB database on disk that has the table."""
    with duckdb.connect(str(folder / "native.duckdb")) as connection:
        connection.register("incoming", table)
        connection.execute("CREATE TABLE bench AS FROM incoming")
        connection.execute("CHECKPOINT")
        yield InProcess(connection)


@contextmanager
def ducklake(catalog: Path, files: Path) -> Iterator[InProcess]:
    """A DuckLake: a new one, or another's by a copy of its catalog."""
    import_extension("ducklake")
    with duckdb.connect() as connection:
        connection.execute("LOAD ducklake")
        connection.execute(f"ATTACH 'ducklake:{catalog}' AS lake (DATA_PATH '{files}/')")
        connection.execute("USE lake")
        yield InProcess(connection)
