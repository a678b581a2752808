"""What the tests ask of flightsql-dbapi, done where it is installed, in a venv of its own.

Imports nothing of this project. Each line of JSON names one of the functions below and its
arguments; the answer is its result, or the error as its user sees it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import flightsql.sqlalchemy  # noqa: F401  (its dialect is known to SQLAlchemy from here on)
import pyarrow as pa
import sqlalchemy
from flightsql import FlightSQLClient, TableRef, connect
from flightsql.dbapi import ParameterRecordBuilder


def query(client: FlightSQLClient, sql: str, parameters: list[Any] | None = None) -> Any:
    """A SELECT by the DB-API, with or without parameters."""
    with connect(client) as connection, connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return [name for name, _ in cursor.description], cursor.fetchall()


def write(client: FlightSQLClient, sql: str) -> int:
    """A statement that writes, by the protocol's own message: the rows it counts."""
    return int(client.execute_update(sql))


def execute_many(client: FlightSQLClient, sql: str, rows: list[list[Any]]) -> None:
    """One prepared statement for many rows, by the DB-API."""
    with connect(client) as connection, connection.cursor() as cursor:
        cursor.executemany(sql, rows)


def prepared(client: FlightSQLClient, sql: str, bindings: list[list[Any]]) -> list[Any]:
    """One prepared statement, bound again and again, then closed."""
    with client.prepare(sql) as statement:
        bound = [ParameterRecordBuilder(values).build_record() for values in bindings]
        return [read(client, statement.execute(record)).to_pylist() for record in bound]


def typed(client: FlightSQLClient, sql: str) -> Any:
    """The types and the values of a SELECT as Arrow has them."""
    table = read(client, client.execute(sql))
    return [str(field.type) for field in table.schema], [str(v) for v in table.to_pylist()]


def listed(client: FlightSQLClient, what: str, **narrowed: Any) -> Any:
    """What one of the metadata calls lists; schemas are told as their columns."""
    found = read(client, getattr(client, f"get_{what}")(**narrowed)).to_pylist()
    for row in found:
        if "table_schema" in row:
            schema = pa.ipc.read_schema(pa.BufferReader(row["table_schema"]))
            row["table_schema"] = [[field.name, str(field.type)] for field in schema]
    return found


def keys(client: FlightSQLClient, what: str, table: str) -> Any:
    """Primary, imported or exported keys of a table."""
    return read(client, getattr(client, f"get_{what}_keys")(TableRef(table=table))).to_pylist()


def reflected(client: FlightSQLClient, url: str, table: str) -> Any:
    """A table as SQLAlchemy finds it: whether it is there, and its columns."""
    inspector = sqlalchemy.inspect(sqlalchemy.create_engine(url))
    found = inspector.get_columns(table)
    columns = [[column["name"], str(column["type"])] for column in found]
    return table in inspector.get_table_names(), columns


def composed(client: FlightSQLClient, url: str, table: str, least: int) -> Any:
    """A SELECT that SQLAlchemy composes from a table, with a parameter."""
    engine = sqlalchemy.create_engine(url)
    found = sqlalchemy.table(table, sqlalchemy.column("id"), sqlalchemy.column("city"))
    select = sqlalchemy.select(found).where(found.c.id >= least).order_by(found.c.id)
    with engine.connect() as connection:
        return [list(row) for row in connection.execute(select)]


def framed(client: FlightSQLClient, sql: str) -> Any:
    """A SELECT as a pandas frame."""
    (endpoint,) = client.execute(sql).endpoints
    frame = client.do_get(endpoint.ticket).read_pandas()
    return list(frame.columns), frame.values.tolist()


def read(client: FlightSQLClient, info: Any) -> pa.Table:
    """All endpoints of an answer, in their order."""
    return pa.concat_tables(client.do_get(one.ticket).read_all() for one in info.endpoints)


DOES: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        query, write, execute_many, prepared, typed, listed, keys, reflected, composed, framed
    )
}  # fmt: skip


def answer(client: FlightSQLClient, asked: dict[str, Any]) -> dict[str, Any]:
    """The result, or the error."""
    try:
        return {"result": DOES[asked.pop("do")](client, **asked)}
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}


def main(host: str, port: str, key: str) -> None:
    """Answers until its input ends."""
    client = FlightSQLClient(host=host, port=int(port), token=key, insecure=True)
    for line in sys.stdin:
        print(json.dumps(answer(client, json.loads(line)), default=str), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
