"""Which command of Flight SQL goes where: for infos, schemas, streams and puts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from pyarrow import flight

from flight_server.errors import ErrorCode, InvalidRequest, Unsupported
from flight_server.operations import Call, Services
from flight_server.wire.contexts import call_in, call_of
from flight_server.wire.flight_sql import catalog, keys, queries, sql_info, type_info, updates
from flight_server.wire.flight_sql.ingest import ingest_statement
from flight_server.wire.flight_sql.messages import name_of
from flight_server.wire.incoming import Incoming
from flight_server.wire.state import ServerState
from flight_server.wire.visits import Visit


def _optional(message: Any, name: str) -> str | None:
    """A field that may be left out, which is not the same as empty."""
    return str(getattr(message, name)) if message.HasField(name) else None


def _table_key(message: Any, prefix: str = "") -> tuple[str | None, str | None, str]:
    return (
        _optional(message, f"{prefix}catalog"),
        _optional(message, f"{prefix}db_schema"),
        str(getattr(message, f"{prefix}table")),
    )


def _tables(services: Services, call: Call, message: Any) -> pa.Table:
    return catalog.tables(
        services,
        call,
        _optional(message, "catalog"),
        _optional(message, "db_schema_filter_pattern"),
        _optional(message, "table_name_filter_pattern"),
        list(message.table_types),
        message.include_schema,
    )


def _schemas(services: Services, call: Call, message: Any) -> pa.Table:
    pattern = _optional(message, "db_schema_filter_pattern")
    return catalog.schemas(services, call, _optional(message, "catalog"), pattern)


def _cross_reference(services: Services, call: Call, message: Any) -> pa.Table:
    primary, foreign = _table_key(message, "pk_"), _table_key(message, "fk_")
    return keys.cross_reference(services, call, primary, foreign)


def _type_info(services: Services, call: Call, message: Any) -> pa.Table:
    wanted = message.data_type if message.HasField("data_type") else None
    return type_info.type_info(wanted)


Metadata = Callable[[Services, Call, Any], pa.Table]

# Commands that are answered at once, from what is known of tables and of the server.
METADATA: dict[str, Metadata] = {
    "CommandGetCatalogs": lambda services, call, _: catalog.catalogs(services, call),
    "CommandGetDbSchemas": _schemas,
    "CommandGetTables": _tables,
    "CommandGetTableTypes": lambda services, call, _: catalog.table_types(),
    "CommandGetPrimaryKeys": lambda services, call, message: keys.primary_keys(
        services, call, *_table_key(message)
    ),
    "CommandGetExportedKeys": lambda services, call, message: keys.foreign_keys(
        services, call, *_table_key(message)
    ),
    "CommandGetImportedKeys": lambda services, call, message: keys.foreign_keys(
        services, call, *_table_key(message)
    ),
    "CommandGetCrossReference": _cross_reference,
    "CommandGetSqlInfo": lambda services, call, message: sql_info.sql_info(
        services, list(message.info)
    ),
    "CommandGetXdbcTypeInfo": _type_info,
}
_METADATA_SCHEMAS: dict[str, pa.Schema] = {
    "CommandGetCatalogs": catalog.CATALOGS_SCHEMA,
    "CommandGetDbSchemas": catalog.SCHEMAS_SCHEMA,
    "CommandGetTables": catalog.TABLES_SCHEMA,
    "CommandGetTableTypes": catalog.TABLE_TYPES_SCHEMA,
    "CommandGetPrimaryKeys": keys.PRIMARY_KEYS_SCHEMA,
    "CommandGetExportedKeys": keys.FOREIGN_KEYS_SCHEMA,
    "CommandGetImportedKeys": keys.FOREIGN_KEYS_SCHEMA,
    "CommandGetCrossReference": keys.FOREIGN_KEYS_SCHEMA,
    "CommandGetSqlInfo": sql_info.SQL_INFO_SCHEMA,
    "CommandGetXdbcTypeInfo": type_info.TYPE_INFO_SCHEMA,
}
INFOS = {
    "CommandStatementQuery": queries.statement_info,
    "CommandPreparedStatementQuery": queries.prepared_info,
}
SCHEMAS = {
    "CommandStatementQuery": queries.statement_schema,
    "CommandPreparedStatementQuery": queries.prepared_schema,
}
PUTS = {
    "CommandStatementUpdate": updates.update_statement,
    "CommandPreparedStatementUpdate": updates.update_prepared,
    "CommandPreparedStatementQuery": updates.bind_prepared,
    "CommandStatementIngest": ingest_statement,
}
SUBSTRAIT = "CommandStatementSubstraitPlan"


def info_of(
    state: ServerState, visit: Visit, descriptor: flight.FlightDescriptor, message: Any
) -> flight.FlightInfo:
    """The info of a command. Unsupported; InvalidRequest where it belongs to another call."""
    name = name_of(message)
    if name in METADATA:
        # The command itself is the ticket: it is answered when that is redeemed.
        endpoint = flight.FlightEndpoint(descriptor.command, [])
        return flight.FlightInfo(_metadata_schema(message), descriptor, [endpoint], -1, -1)
    if name not in INFOS:
        raise _misplaced(name, "GetFlightInfo")
    return INFOS[name](state, visit, descriptor, message)


def schema_of(state: ServerState, visit: Visit, message: Any) -> pa.Schema:
    """The schema of a command's answer."""
    name = name_of(message)
    if name in METADATA:
        return _metadata_schema(message)
    if name not in SCHEMAS:
        raise _misplaced(name, "GetSchema")
    return SCHEMAS[name](state, visit, message)


def metadata(state: ServerState, visit: Visit, message: Any) -> pa.Table:
    """The answer of a command about tables or the server, as the open transaction sees them."""
    name = name_of(message)
    if name not in METADATA:
        raise _misplaced(name, "DoGet")
    call = call_of(state, visit)
    latest = call.session.latest if call.session is not None else None
    with call_in(state, visit, latest.name if latest is not None else None) as inside:
        return METADATA[name](state.services, inside, message)


def put_command(
    state: ServerState,
    visit: Visit,
    message: Any,
    incoming: Incoming,
    writer: flight.FlightMetadataWriter,
) -> None:
    """A DoPut of Flight SQL, answered with its result."""
    name = name_of(message)
    if name not in PUTS:
        raise _misplaced(name, "DoPut")
    PUTS[name](state, visit, message, incoming, writer)


def _metadata_schema(message: Any) -> pa.Schema:
    name = name_of(message)
    if name == "CommandGetTables" and message.include_schema:
        return catalog.TABLES_WITH_SCHEMA_SCHEMA
    return _METADATA_SCHEMAS[name]


def _misplaced(name: str, rpc: str) -> Exception:
    if name == SUBSTRAIT:
        return Unsupported("Substrait plans are not supported: send SQL.")
    if name == "TicketStatementQuery":
        return InvalidRequest(
            "The ticket is not one of this server's: ask for the flight info again.",
            code=ErrorCode.INVALID_TICKET,
        )
    places = (("GetFlightInfo", {**METADATA, **INFOS}), ("DoPut", PUTS))
    better = [place for place, names in places if name in names]
    remedy = f" Send it by {better[0]}." if better else ""
    return InvalidRequest(f"{rpc} does not take a {name}.{remedy}")
