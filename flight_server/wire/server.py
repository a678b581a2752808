"""The Flight service: each RPC decodes, lets an operation decide, and encodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyarrow import flight

from flight_server.bodies.answers import encoded
from flight_server.errors import Unsupported, did_you_mean
from flight_server.operations.limits import RouteClass
from flight_server.wire.actions import ACTIONS, run_action
from flight_server.wire.contexts import call_in
from flight_server.wire.descriptors import ingest_of, kind_of_read, read_of
from flight_server.wire.executions import EXECUTE, run_execute
from flight_server.wire.flight_actions import FLIGHT_ACTIONS
from flight_server.wire.flight_sql.actions import SQL_ACTIONS, run_sql_action
from flight_server.wire.flight_sql.commands import info_of, put_command, schema_of
from flight_server.wire.flight_sql.messages import kind_of, unpacked
from flight_server.wire.guard import guarded, quietly_guarded
from flight_server.wire.incoming import Incoming
from flight_server.wire.infos import info_of_plan, list_infos
from flight_server.wire.middleware import BareHandshake, Gate
from flight_server.wire.outgoing import flight_stream
from flight_server.wire.puts import put
from flight_server.wire.reads import plan_read
from flight_server.wire.redemption import open_ticket
from flight_server.wire.state import ServerState
from flight_server.wire.visits import SQL_DOOR, Stranger, Visit

_VISIT = "visit"
ADMIN_ACTIONS = frozenset({"read_audit", "read_usage"})
# Actions that change nothing but a session; all others are counted as writes.
READING_ACTIONS = frozenset(
    {
        "describe_table", "list_namespaces", "list_versions", "list_tags", "explain", "health",
        "list_webhooks", "describe_webhook", "list_deliveries",
        "preview_import", "list_uploads", "describe_upload",
        "list_jobs", "get_job", "job_logs", "list_schedules", "read_result",
        *FLIGHT_ACTIONS,
        *SQL_ACTIONS,
    }
)  # fmt: skip
# What the metrics call an action that there is not, whatever a client calls it.
UNKNOWN = "unknown"
_KNOWN_ACTIONS = frozenset({*ACTIONS, *FLIGHT_ACTIONS, EXECUTE})


class FlightServer(flight.FlightServerBase):
    """Flight and Flight SQL. It answers as soon as it is made."""

    def __init__(self, state: ServerState, location: str, **tls: Any) -> None:
        self._state = state
        self._services = state.services
        gate = Gate(state.services, state.calls)
        # pyarrow tells whose certificate a client shows only where it has no handshake.
        handshake = None if state.services.settings.tls_client_identity else BareHandshake()
        super().__init__(location, auth_handler=handshake, middleware={_VISIT: gate}, **tls)

    def visit(self, context: flight.ServerCallContext) -> Visit | Stranger:
        """The call as the gate let it in, or as it is to be refused: `enter` it."""
        visit: Visit | Stranger = context.get_middleware(_VISIT)
        return visit

    @guarded
    def list_flights(self, visit: Visit, criteria: bytes) -> list[flight.FlightInfo]:
        """The tables that may be known of, narrowed by JSON criteria."""
        with call_in(self._state, visit) as call:
            return list_infos(self._services, call, criteria)

    @guarded
    def get_flight_info(
        self, visit: Visit, descriptor: flight.FlightDescriptor
    ) -> flight.FlightInfo:
        """Schema, estimates and tickets of a read, pinned to a snapshot."""
        message = unpacked(descriptor.command or b"")
        if message is not None:
            visit.is_for(kind_of(message), SQL_DOOR)
            return info_of(self._state, visit, descriptor, message)
        read = read_of(descriptor, self._services.engines)
        visit.is_for(kind_of_read(read))
        with call_in(self._state, visit) as call:
            plan = plan_read(self._services, call, read)
        return info_of_plan(self._services, visit.call, descriptor, plan)

    @quietly_guarded
    def get_schema(self, visit: Visit, descriptor: flight.FlightDescriptor) -> flight.SchemaResult:
        """The schema of a read."""
        message = unpacked(descriptor.command or b"")
        if message is not None:
            visit.is_for(kind_of(message), SQL_DOOR)
            return flight.SchemaResult(schema_of(self._state, visit, message))
        read = read_of(descriptor, self._services.engines)
        visit.is_for(kind_of_read(read))
        with call_in(self._state, visit) as call:
            return flight.SchemaResult(plan_read(self._services, call, read).schema)

    @guarded
    def do_get(self, visit: Visit, ticket: flight.Ticket) -> flight.GeneratorStream:
        """The batches of a signed ticket, a plain JSON one, or a command of Flight SQL."""
        visit.begin_stream()
        batches = open_ticket(self._state, visit, ticket.ticket)
        visit.at_end.callback(batches.close)
        size = self._services.settings.batch_bytes
        visit.is_stream()
        return flight_stream(batches, visit, size)

    @guarded
    def do_put(
        self,
        visit: Visit,
        descriptor: flight.FlightDescriptor,
        reader: flight.MetadataRecordBatchReader,
        writer: flight.FlightMetadataWriter,
    ) -> None:
        """Batches into a table; each commit is acknowledged. Or a DoPut of Flight SQL."""
        message = unpacked(descriptor.command or b"")
        visit.is_stream()
        if message is not None:
            visit.is_for(kind_of(message), SQL_DOOR)
            incoming = Incoming(reader, visit.running.cancellation, may_be_missing=True)
            put_command(self._state, visit, message, incoming, writer)
            return
        visit.is_for("ingest")
        table, request = ingest_of(descriptor, self._services.engines)
        incoming = Incoming(reader, visit.running.cancellation)
        with call_in(self._state, visit) as call:
            put(self._services, call, table, request, incoming, writer)

    @guarded
    def do_exchange(self, visit: Visit, *arguments: object) -> None:
        """Live streams are not there yet."""
        raise Unsupported("This server does not do DoExchange.")

    @guarded
    def list_actions(self, visit: Visit) -> list[tuple[str, str]]:
        """The names and descriptions of all actions."""
        ours = [(name, action.description) for name, action in ACTIONS.items()]
        flights = [(name, entry[0]) for name, entry in FLIGHT_ACTIONS.items()]
        ours.append((EXECUTE, "Run one statement of SQL that writes."))
        return [*ours, *flights, *((name, entry[0]) for name, entry in SQL_ACTIONS.items())]

    @guarded
    def do_action(self, visit: Visit, action: flight.Action) -> Iterator[bytes]:
        """One action, one result."""
        visit.admit(_class_of(action.type))
        body = action.body.to_pybytes()
        if action.type in SQL_ACTIONS:
            visit.is_for(action.type, SQL_DOOR)
            return iter(run_sql_action(self._state, visit, action.type, body))
        visit.is_for(action.type if action.type in _KNOWN_ACTIONS else UNKNOWN)
        if action.type in FLIGHT_ACTIONS:
            return iter([FLIGHT_ACTIONS[action.type][1](self._state, visit, body)])
        if action.type == EXECUTE:
            return iter([encoded(run_execute(self._state, visit, body))])
        if action.type not in ACTIONS:
            near = did_you_mean(action.type, [*ACTIONS, *FLIGHT_ACTIONS, *SQL_ACTIONS])
            raise Unsupported(f"There is no action '{action.type}'.{near}")
        with call_in(self._state, visit) as call:
            return iter([encoded(run_action(self._services, call, action.type, body))])


def _class_of(action: str) -> RouteClass:
    """What an action is counted as."""
    if action in ADMIN_ACTIONS:
        return RouteClass.ADMIN
    if action == "batch":
        return RouteClass.BATCH
    return RouteClass.READ if action in READING_ACTIONS else RouteClass.WRITE
