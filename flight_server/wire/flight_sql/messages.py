"""The protobuf messages of Flight SQL: what they hold, and how they are packed.

Field numbers are those of Arrow's FlightSql.proto (protocol of Arrow 26). Enumerations are
declared as int32, which is alike on the wire; their values are named here.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import any_pb2
from google.protobuf.message import DecodeError

from flight_server.errors import Unsupported, did_you_mean
from flight_server.wire.protobuf import Fields, build, parsed_message

PACKAGE = "arrow.flight.protocol.sql"
TYPE_PREFIX = f"type.googleapis.com/{PACKAGE}."

# EndTransaction.
COMMIT, ROLLBACK = 1, 2
# TableNotExistOption and TableExistsOption.
NOT_EXIST_CREATE, NOT_EXIST_FAIL = 1, 2
EXISTS_FAIL, EXISTS_APPEND, EXISTS_REPLACE = 1, 2, 3

_KEYS_OF_TABLE: Fields = [
    ("catalog", 1, "optional:string"),
    ("db_schema", 2, "optional:string"),
    ("table", 3, "string"),
]

_MESSAGES: dict[str, Fields] = {
    "CommandGetSqlInfo": [("info", 1, "repeated:uint32")],
    "CommandGetXdbcTypeInfo": [("data_type", 1, "optional:int32")],
    "CommandGetCatalogs": [],
    "CommandGetDbSchemas": [
        ("catalog", 1, "optional:string"),
        ("db_schema_filter_pattern", 2, "optional:string"),
    ],
    "CommandGetTables": [
        ("catalog", 1, "optional:string"),
        ("db_schema_filter_pattern", 2, "optional:string"),
        ("table_name_filter_pattern", 3, "optional:string"),
        ("table_types", 4, "repeated:string"),
        ("include_schema", 5, "bool"),
    ],
    "CommandGetTableTypes": [],
    "CommandGetPrimaryKeys": _KEYS_OF_TABLE,
    "CommandGetExportedKeys": _KEYS_OF_TABLE,
    "CommandGetImportedKeys": _KEYS_OF_TABLE,
    "CommandGetCrossReference": [
        ("pk_catalog", 1, "optional:string"),
        ("pk_db_schema", 2, "optional:string"),
        ("pk_table", 3, "string"),
        ("fk_catalog", 4, "optional:string"),
        ("fk_db_schema", 5, "optional:string"),
        ("fk_table", 6, "string"),
    ],
    "CommandStatementQuery": [("query", 1, "string"), ("transaction_id", 2, "optional:bytes")],
    "SubstraitPlan": [("plan", 1, "bytes"), ("version", 2, "string")],
    "CommandStatementSubstraitPlan": [
        ("plan", 1, "SubstraitPlan"),
        ("transaction_id", 2, "optional:bytes"),
    ],
    "TicketStatementQuery": [("statement_handle", 1, "bytes")],
    "CommandPreparedStatementQuery": [("prepared_statement_handle", 1, "bytes")],
    "CommandStatementUpdate": [("query", 1, "string"), ("transaction_id", 2, "optional:bytes")],
    "CommandPreparedStatementUpdate": [("prepared_statement_handle", 1, "bytes")],
    "TableDefinitionOptions": [("if_not_exist", 1, "int32"), ("if_exists", 2, "int32")],
    "CommandStatementIngest": [
        ("table_definition_options", 1, "TableDefinitionOptions"),
        ("table", 2, "string"),
        ("schema", 3, "optional:string"),
        ("catalog", 4, "optional:string"),
        ("temporary", 5, "bool"),
        ("transaction_id", 6, "optional:bytes"),
        ("options", 1000, "map:string"),
    ],
    "DoPutUpdateResult": [("record_count", 1, "int64")],
    "DoPutPreparedStatementResult": [("prepared_statement_handle", 1, "optional:bytes")],
    "ActionCreatePreparedStatementRequest": [
        ("query", 1, "string"),
        ("transaction_id", 2, "optional:bytes"),
    ],
    "ActionCreatePreparedSubstraitPlanRequest": [
        ("plan", 1, "SubstraitPlan"),
        ("transaction_id", 2, "optional:bytes"),
    ],
    "ActionCreatePreparedStatementResult": [
        ("prepared_statement_handle", 1, "bytes"),
        ("dataset_schema", 2, "bytes"),
        ("parameter_schema", 3, "bytes"),
        ("is_update", 4, "optional:bool"),
    ],
    "ActionClosePreparedStatementRequest": [("prepared_statement_handle", 1, "bytes")],
    "ActionBeginTransactionRequest": [],
    "ActionBeginTransactionResult": [("transaction_id", 1, "bytes")],
    "ActionBeginSavepointRequest": [("transaction_id", 1, "bytes"), ("name", 2, "string")],
    "ActionBeginSavepointResult": [("savepoint_id", 1, "bytes")],
    "ActionEndTransactionRequest": [("transaction_id", 1, "bytes"), ("action", 2, "int32")],
    "ActionEndSavepointRequest": [("savepoint_id", 1, "bytes"), ("action", 2, "int32")],
    "ActionCancelQueryRequest": [("info", 1, "bytes")],
    "ActionCancelQueryResult": [("result", 1, "int32")],
}

MESSAGES = build(PACKAGE, _MESSAGES)


def unpacked(data: bytes) -> Any | None:
    """The Flight SQL message in an `Any`; None where the bytes are no such thing.

    Unsupported where the protocol has a message of this name that is not known here.
    """
    # The first byte of an Any is that of its type's field; JSON begins with a brace.
    if not data.startswith(b"\n"):
        return None
    box = any_pb2.Any()
    try:
        box.ParseFromString(data)
    except DecodeError:
        return None
    if not box.type_url.startswith(TYPE_PREFIX):
        return None
    name = box.type_url.removeprefix(TYPE_PREFIX)
    if name not in MESSAGES:
        raise Unsupported(f"There is no Flight SQL message '{name}'.{did_you_mean(name, MESSAGES)}")
    return parsed_message(MESSAGES[name], box.value, "message")


def kind_of(message: Any) -> str:
    """What a message is called in the protocol: `CommandStatementQuery`."""
    return str(message.DESCRIPTOR.name)


def packed(name: str, /, **fields: Any) -> bytes:
    """A message in an `Any`, as actions answer."""
    box = any_pb2.Any(
        type_url=TYPE_PREFIX + name, value=MESSAGES[name](**fields).SerializeToString()
    )
    return bytes(box.SerializeToString())


def serialized(name: str, /, **fields: Any) -> bytes:
    """A bare message, as the answers to DoPut are."""
    return bytes(MESSAGES[name](**fields).SerializeToString())


def name_of(message: Any) -> str:
    """The message's name in the protocol."""
    return str(message.DESCRIPTOR.name)
