"""CommandStatementIngest: a stream of batches becomes a table, or a part of one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from flight_server import operations
from flight_server.errors import InvalidRequest, did_you_mean
from flight_server.model import (
    DEFAULT_CATALOG,
    DEFAULT_NAMESPACE,
    TEMPORARY_CATALOG,
    Commit,
    IngestMode,
    IngestRequest,
    TableRef,
)
from flight_server.operations import Call
from flight_server.wire.contexts import call_in, open_session
from flight_server.wire.flight_sql.messages import (
    EXISTS_APPEND,
    EXISTS_FAIL,
    EXISTS_REPLACE,
    NOT_EXIST_CREATE,
    NOT_EXIST_FAIL,
    serialized,
)
from flight_server.wire.flight_sql.queries import transaction_of
from flight_server.wire.incoming import Incoming
from flight_server.wire.puts import tell
from flight_server.wire.state import ServerState
from flight_server.wire.visits import Visit

# Options of the message, with or without this prefix; in a session they are called `ingest_…`.
_PREFIX = "pixelflight."
_OPTIONS = ("token", "key", "mode")
_MODES = {"upsert": IngestMode.UPSERT, "merge": IngestMode.MERGE}


def ingest_statement(
    state: ServerState, visit: Visit, message: Any, incoming: Incoming, writer: Any
) -> None:
    """Ingests the stream in one commit, or in the transaction, and tells the number of rows."""
    options = _options(state, visit, message)
    if message.temporary:
        open_session(state, visit)
    with call_in(state, visit, _transaction(state, visit, message)) as call:
        if message.temporary:
            operations.open_temporary(state.services, call)
        table = _table(call, message)
        try:
            commit = _ingest(state, call, table, message, options, incoming)
        except Exception as error:
            reason = incoming.error or error
            incoming.close()
            raise reason from None
    incoming.drain()
    tell(writer, serialized("DoPutUpdateResult", record_count=commit.rows))


def _ingest(
    state: ServerState,
    call: Call,
    table: TableRef,
    message: Any,
    options: dict[str, str],
    incoming: Incoming,
) -> Commit:
    request = _request(message, options)
    batches = incoming.batches()
    if request.mode is IngestMode.OVERWRITE:
        return operations.replace_table(state.services, call, table, request, batches)
    return operations.ingest(state.services, call, table, request, batches)


def _request(message: Any, options: dict[str, str]) -> IngestRequest:
    """What the two options about the table mean, and ours beside them."""
    token, key = options.get("token"), _names(options.get("key", ""))
    definition = message.table_definition_options
    missing, there = definition.if_not_exist, definition.if_exists
    if missing not in (NOT_EXIST_CREATE, NOT_EXIST_FAIL) or there not in (
        EXISTS_FAIL,
        EXISTS_APPEND,
        EXISTS_REPLACE,
    ):
        raise InvalidRequest(
            f"The table definition options are if_not_exist={missing}, if_exists={there}: say "
            "for both what is to happen."
        )
    creates = missing == NOT_EXIST_CREATE
    if there == EXISTS_FAIL and not creates:
        raise InvalidRequest("The ingest is to fail where the table exists, and where it does not.")
    modes = {
        EXISTS_FAIL: IngestMode.CREATE,
        EXISTS_APPEND: _MODES.get(options.get("mode", ""), IngestMode.APPEND),
        EXISTS_REPLACE: IngestMode.OVERWRITE,
    }
    request = IngestRequest(modes[there], key, creates, token)
    return replace(request, create_if_missing=False) if there == EXISTS_FAIL else request


def _table(call: Call, message: Any) -> TableRef:
    """The table that is named, completed by the session's catalog and schema."""
    if not message.table:
        raise InvalidRequest("The ingest names no table.")
    if message.temporary:
        return TableRef(TEMPORARY_CATALOG, DEFAULT_NAMESPACE, message.table)
    session = call.session
    catalog = session.catalog if session else DEFAULT_CATALOG
    namespace = session.namespace if session else DEFAULT_NAMESPACE
    return TableRef(message.catalog or catalog, message.schema or namespace, message.table)


def _transaction(state: ServerState, visit: Visit, message: Any) -> str | None:
    """The transaction that is named, else the session's only one: ADBC's driver sends no name."""
    named = transaction_of(message)
    session = state.sessions.peek(visit.session_names())
    if named is not None or session is None or message.temporary:
        return named
    latest = session.state.latest
    return latest.name if latest is not None else None


def _options(state: ServerState, visit: Visit, message: Any) -> dict[str, str]:
    """Our options: the session's, and over them the message's."""
    session = state.sessions.peek(visit.session_names())
    kept = session.options if session is not None else {}
    found = {name: str(kept[f"ingest_{name}"]) for name in _OPTIONS if kept.get(f"ingest_{name}")}
    for name, value in message.options.items():
        plain = name.removeprefix(_PREFIX)
        if plain not in _OPTIONS:
            raise InvalidRequest(
                f"There is no ingest option '{name}'.{did_you_mean(plain, _OPTIONS)}"
            )
        found[plain] = value
    mode = found.get("mode")
    if mode is not None and mode not in (*_MODES, "append"):
        raise InvalidRequest(f"The ingest option 'mode' is '{mode}': give append, upsert or merge.")
    return found


def _names(text: str) -> tuple[str, ...]:
    """Column names in a JSON list, or separated by commas."""
    if text.lstrip().startswith("["):
        try:
            names = json.loads(text)
        except ValueError:
            names = None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InvalidRequest(f"The ingest option 'key' is {text[:80]}: not a list of names.")
        return tuple(names)
    return tuple(name.strip() for name in text.split(",") if name.strip())
