"""Quack's server: a DuckDB database on disk with the table `bench`. Runs in Quack's venv."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import duckdb
import pyarrow as pa
from duckdb_extensions import import_extension

TOKEN = "bench-token"


def main(uri: str, table: str, folder: str) -> None:
    """Serves until it is killed."""
    import_extension("quack")
    connection = duckdb.connect(str(Path(folder) / "quack.duckdb"))
    connection.execute("LOAD quack")
    with pa.OSFile(table) as file:
        connection.register("incoming", pa.ipc.open_file(file).read_all())
        connection.execute("CREATE TABLE bench AS FROM incoming")
    connection.execute("CHECKPOINT")
    connection.execute(
        f"CALL quack_serve('{uri}', token => '{TOKEN}', allow_other_hostname => true)"
    )
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
