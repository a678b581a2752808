"""Quack's client: does what lines of JSON ask for, and times it. Runs in Quack's venv."""

from __future__ import annotations

import json
import sys
import time

import duckdb
import pyarrow as pa
from duckdb_extensions import import_extension

TOKEN = "bench-token"


class Client:
    """One connection with the server attached."""

    def __init__(self, uri: str, table: str) -> None:
        import_extension("quack")
        self._uri = uri
        self._connection = duckdb.connect()
        self._connection.execute("LOAD quack")
        self._connection.execute(f"CREATE SECRET (TYPE quack, TOKEN '{TOKEN}')")
        self._connection.execute(f"ATTACH '{uri}' AS remote")
        with pa.OSFile(table) as file:
            self._connection.register("incoming", pa.ipc.open_file(file).read_all())

    def scan(self) -> tuple[float, int]:
        """Everything; by `quack_query`, which is two or three times as fast as the attached way."""
        query = f"FROM quack_query('{self._uri}', 'FROM bench')"
        began = time.perf_counter()
        rows = self._connection.sql(query).to_arrow_table().num_rows
        return time.perf_counter() - began, rows

    def insert(self) -> tuple[float, int]:
        """The table into a new one."""
        run = self._connection.execute
        run("CREATE TABLE remote.written AS FROM incoming LIMIT 0")
        began = time.perf_counter()
        found = run("INSERT INTO remote.written FROM incoming").fetchall()
        seconds = time.perf_counter() - began
        run("DROP TABLE remote.written")
        return seconds, found[0][0]


def main(uri: str, table: str) -> None:
    """Answers until its input ends."""
    client = Client(uri, table)
    for line in sys.stdin:
        seconds, rows = getattr(client, json.loads(line)["do"])()
        print(json.dumps({"seconds": seconds, "rows": rows}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
