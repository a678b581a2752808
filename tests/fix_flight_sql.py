"""A Flight SQL client for tests: raw messages through pyarrow, one for each of the protocol's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.auth import BUILT_IN_ROLES, Access, Grant, KeyStore, fixed
from flight_server.testing.server import LocalServer
from flight_server.wire import FlightDoor
from flight_server.wire.flight_sql.messages import (
    COMMIT,
    EXISTS_APPEND,
    EXISTS_FAIL,
    EXISTS_REPLACE,
    MESSAGES,
    NOT_EXIST_CREATE,
    NOT_EXIST_FAIL,
    ROLLBACK,
    packed,
    unpacked,
)
from flight_server.wire.protobuf import MESSAGES as FLIGHT_MESSAGES
from tests.fix_client import Client

# Connections of one process to one address are shared unless they are told not to be, and then
# all of them would be in one session.
ALONE = [("grpc.use_local_subchannel_pool", 1)]
# How a table is made or filled: what happens where it is missing, and where it is there.
DEFINITIONS = {
    "create": (NOT_EXIST_CREATE, EXISTS_FAIL),
    "append": (NOT_EXIST_FAIL, EXISTS_APPEND),
    "create_append": (NOT_EXIST_CREATE, EXISTS_APPEND),
    "replace": (NOT_EXIST_CREATE, EXISTS_REPLACE),
    "replace_existing": (NOT_EXIST_FAIL, EXISTS_REPLACE),
    "fail": (NOT_EXIST_FAIL, EXISTS_FAIL),
}


class SqlClient:
    """What a driver of Flight SQL sends. `client` is the connection beneath it."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def close(self) -> None:
        self.client.close()

    def info(self, name: str, /, **fields: Any) -> flight.FlightInfo:
        return self.client.flight.get_flight_info(command(name, **fields), self.client.options())

    def schema(self, name: str, /, **fields: Any) -> pa.Schema:
        return self.client.flight.get_schema(command(name, **fields), self.client.options()).schema

    def fetch(self, info: flight.FlightInfo) -> pa.Table:
        """All endpoints, in their order."""
        parts = [self.client.stream(part.ticket).read_all() for part in info.endpoints]
        return pa.concat_tables(parts)

    def get(self, name: str, /, **fields: Any) -> pa.Table:
        """The info of a command, and what its tickets give."""
        return self.fetch(self.info(name, **fields))

    def query(self, sql: str, transaction: bytes | None = None) -> pa.Table:
        return self.get("CommandStatementQuery", query=sql, transaction_id=transaction)

    def rows(self, sql: str, transaction: bytes | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.query(sql, transaction).to_pylist()
        return found

    def count(self, table: str, transaction: bytes | None = None) -> int:
        """How many rows a table has."""
        (row,) = self.rows(f"SELECT count(*) AS n FROM {table}", transaction)
        return int(row["n"])

    def put(self, data: pa.Table | None, name: str, /, **fields: Any) -> bytes:
        """A DoPut of a command; the bytes of its answer."""
        sent = pa.table({}) if data is None else data
        writer, answers = self.client.flight.do_put(
            command(name, **fields), sent.schema, self.client.options()
        )
        with writer:
            for batch in sent.to_batches():
                writer.write_batch(batch)
            writer.done_writing()
            answer = answers.read()
        assert answer is not None, "a DoPut of Flight SQL is answered"
        found: bytes = answer.to_pybytes()
        return found

    def update(self, sql: str, transaction: bytes | None = None) -> int:
        """CommandStatementUpdate: the number of rows."""
        return counted(
            self.put(None, "CommandStatementUpdate", query=sql, transaction_id=transaction)
        )

    def ingest(self, data: pa.Table, table: str, how: str = "create_append", **fields: Any) -> int:
        """CommandStatementIngest: the number of rows."""
        missing, there = DEFINITIONS[how]
        options = MESSAGES["TableDefinitionOptions"](if_not_exist=missing, if_exists=there)
        return counted(
            self.put(
                data,
                "CommandStatementIngest",
                table_definition_options=options,
                table=table,
                **fields,
            )
        )

    def act(self, action: str, message: str, /, **fields: Any) -> Any:
        """An action of Flight SQL: the message that answers, None where there is none."""
        sent = flight.Action(action, packed(message, **fields))
        results = list(self.client.flight.do_action(sent, self.client.options()))
        return unpacked(results[0].body.to_pybytes()) if results else None

    def begin(self) -> bytes:
        found: bytes = self.act("BeginTransaction", "ActionBeginTransactionRequest").transaction_id
        return found

    def commit(self, transaction: bytes) -> None:
        self.end(transaction, COMMIT)

    def rollback(self, transaction: bytes) -> None:
        self.end(transaction, ROLLBACK)

    def end(self, transaction: bytes, action: int) -> None:
        answer = self.act(
            "EndTransaction",
            "ActionEndTransactionRequest",
            transaction_id=transaction,
            action=action,
        )
        assert answer is None

    def prepare(self, sql: str, transaction: bytes | None = None) -> Prepared:
        answer = self.act(
            "CreatePreparedStatement",
            "ActionCreatePreparedStatementRequest",
            query=sql,
            transaction_id=transaction,
        )
        return Prepared(self, answer)

    def execute(self, sql: str, **fields: Any) -> dict[str, Any]:
        """Our own action, JSON in and out."""
        return self.client.action("execute", sql=sql, **fields)

    def close_session(self) -> None:
        self.client.raw_action("CloseSession", b"")

    def set_options(self, **values: Any) -> dict[str, int]:
        """Sets options of the session; the errors by name."""
        request = FLIGHT_MESSAGES["SetSessionOptionsRequest"]()
        for name, value in values.items():
            option = request.session_options[name]
            if isinstance(value, str):
                option.string_value = value
            elif isinstance(value, float):
                option.double_value = value
            elif value is not None:
                option.int64_value = value
        answer = self.client.raw_action("SetSessionOptions", request.SerializeToString())
        errors = FLIGHT_MESSAGES["SetSessionOptionsResult"].FromString(answer).errors
        return {name: errors[name].value for name in errors}


class Prepared:
    """A prepared statement. Schemas are None where they were not told."""

    def __init__(self, sql: SqlClient, answer: Any) -> None:
        self._sql = sql
        self.handle: bytes = answer.prepared_statement_handle
        self.dataset = _schema(answer.dataset_schema)
        self.parameters = _schema(answer.parameter_schema)
        self.is_update: bool = answer.is_update

    def bind(self, data: pa.Table) -> None:
        """DoPut of the parameters of a query."""
        answer = self._sql.put(
            data, "CommandPreparedStatementQuery", prepared_statement_handle=self.handle
        )
        kept = MESSAGES["DoPutPreparedStatementResult"].FromString(answer)
        assert kept.prepared_statement_handle == self.handle

    def info(self) -> flight.FlightInfo:
        return self._sql.info(
            "CommandPreparedStatementQuery", prepared_statement_handle=self.handle
        )

    def schema(self) -> pa.Schema:
        return self._sql.schema(
            "CommandPreparedStatementQuery", prepared_statement_handle=self.handle
        )

    def query(self) -> pa.Table:
        return self._sql.fetch(self.info())

    def update(self, data: pa.Table | None = None) -> int:
        answer = self._sql.put(
            data, "CommandPreparedStatementUpdate", prepared_statement_handle=self.handle
        )
        return counted(answer)

    def close(self) -> None:
        answer = self._sql.act(
            "ClosePreparedStatement",
            "ActionClosePreparedStatementRequest",
            prepared_statement_handle=self.handle,
        )
        assert answer is None


def command(name: str, /, **fields: Any) -> flight.FlightDescriptor:
    """A descriptor with a message; fields that are None are left out."""
    given = {field: value for field, value in fields.items() if value is not None}
    return flight.FlightDescriptor.for_command(packed(name, **given))


def counted(answer: bytes) -> int:
    """The number of rows in the answer to a DoPut."""
    return int(MESSAGES["DoPutUpdateResult"].FromString(answer).record_count)


def protobuf_field(number: int, data: bytes) -> bytes:
    """One field of bytes, as it is on the wire."""
    size, length = len(data), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


def raw_descriptor(message: bytes) -> bytes:
    """A descriptor with this command, as it is on the wire."""
    return b"\x08\x02" + protobuf_field(2, message)


def _schema(message: bytes) -> pa.Schema | None:
    return pa.ipc.read_schema(pa.py_buffer(message)) if message else None


@pytest.fixture
def connect_sql(connect: Callable[..., Client]) -> Callable[..., SqlClient]:
    """Connects to a server, by default with the administrator's key, in a session of its own."""

    def open_sql(server: LocalServer, key: str | None = "admin") -> SqlClient:
        return SqlClient(connect(server, key, generic_options=ALONE))

    return open_sql


@pytest.fixture
def sql(server: LocalServer, connect_sql: Callable[..., SqlClient]) -> SqlClient:
    """The administrator's client of the shared server."""
    return connect_sql(server)


@pytest.fixture
def other(server: LocalServer, connect_sql: Callable[..., SqlClient]) -> SqlClient:
    """Another client of the administrator's, in another session."""
    return connect_sql(server)


@pytest.fixture
def stranger(server: LocalServer, connect_sql: Callable[..., SqlClient]) -> SqlClient:
    """Somebody else, who may do everything as well."""
    key, _ = server.services.keys.create("stranger", ["admin"], created_by="test")
    return connect_sql(server, key)


@pytest.fixture
def connect_as(server: LocalServer) -> Iterator[Callable[..., SqlClient]]:
    """Connects to the shared data as somebody who has these grants and no others."""
    with ExitStack() as opened:

        def open_as(*grants: Grant) -> SqlClient:
            roles = {**BUILT_IN_ROLES, "limited": grants}
            services = server.services
            keys = KeyStore(services.metastore, lambda workspace: roles)
            door = FlightDoor(replace(services, access=Access(fixed(roles)), keys=keys)).start()
            opened.callback(door.stop, 5)
            key, _ = keys.create("limited", ["limited"], created_by="test")
            client = Client(door.url, key, generic_options=ALONE)
            return SqlClient(opened.enter_context(closing(client)))

        yield open_as
