"""The Flight service: each RPC decodes, lets an operation decide, and encodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyarrow import flight

from flight_server import operations
from flight_server.errors import Unsupported, did_you_mean
from flight_server.wire.actions import ACTIONS, run_action
from flight_server.wire.answers import encoded
from flight_server.wire.descriptors import ingest_of, read_of, read_of_command
from flight_server.wire.flight_actions import FLIGHT_ACTIONS
from flight_server.wire.guard import guarded, quietly_guarded
from flight_server.wire.incoming import Incoming
from flight_server.wire.infos import info_of_plan, list_infos
from flight_server.wire.middleware import BareHandshake, Gate, Visit
from flight_server.wire.outgoing import flight_stream
from flight_server.wire.puts import put
from flight_server.wire.reads import open_read, plan_read
from flight_server.wire.state import ServerState
from flight_server.wire.tickets import is_signed, redeem

_VISIT = "visit"


class FlightServer(flight.FlightServerBase):
    """Flight without SQL's own messages. It answers as soon as it is made."""

    def __init__(self, state: ServerState, location: str, **tls: Any) -> None:
        self._state = state
        self._services = state.services
        gate = Gate(state.services, state.calls)
        super().__init__(location, auth_handler=BareHandshake(), middleware={_VISIT: gate}, **tls)

    def visit(self, context: flight.ServerCallContext) -> Visit:
        """The call as the gate let it in."""
        visit: Visit = context.get_middleware(_VISIT)
        visit.enter(context)
        return visit

    @guarded
    def list_flights(self, visit: Visit, criteria: bytes) -> list[flight.FlightInfo]:
        """The tables that may be known of, narrowed by JSON criteria."""
        return list_infos(self._services, visit.call, criteria)

    @guarded
    def get_flight_info(
        self, visit: Visit, descriptor: flight.FlightDescriptor
    ) -> flight.FlightInfo:
        """Schema, estimates and tickets of a read, pinned to a snapshot."""
        read = read_of(descriptor, self._services.engines)
        plan = plan_read(self._services, visit.call, read)
        return info_of_plan(self._services, visit.call, descriptor, plan)

    @quietly_guarded
    def get_schema(self, visit: Visit, descriptor: flight.FlightDescriptor) -> flight.SchemaResult:
        """The schema of a read."""
        read = read_of(descriptor, self._services.engines)
        return flight.SchemaResult(plan_read(self._services, visit.call, read).schema)

    @guarded
    def do_get(self, visit: Visit, ticket: flight.Ticket) -> flight.GeneratorStream:
        """The batches of a signed ticket or a plain JSON one."""
        read, part = self._redeemed(visit, ticket.ticket)
        batches = open_read(self._services, visit.call, read, part)
        visit.at_end.callback(batches.close)
        size = self._services.settings.batch_bytes
        return flight_stream(batches, visit.running.cancellation, visit.request_id, size)

    @guarded
    def do_put(
        self,
        visit: Visit,
        descriptor: flight.FlightDescriptor,
        reader: flight.MetadataRecordBatchReader,
        writer: flight.FlightMetadataWriter,
    ) -> None:
        """Batches into a table; each commit is acknowledged."""
        table, request = ingest_of(descriptor, self._services.engines)
        incoming = Incoming(reader, visit.running.cancellation)
        put(self._services, visit.call, table, request, incoming, writer)

    @guarded
    def do_exchange(self, visit: Visit, *arguments: object) -> None:
        """Live streams are not there yet."""
        raise Unsupported("This server does not do DoExchange.")

    @guarded
    def list_actions(self, visit: Visit) -> list[tuple[str, str]]:
        """The names and descriptions of all actions."""
        ours = [(name, action.description) for name, action in ACTIONS.items()]
        return ours + [(name, entry[0]) for name, entry in FLIGHT_ACTIONS.items()]

    @guarded
    def do_action(self, visit: Visit, action: flight.Action) -> Iterator[bytes]:
        """One action, one result."""
        body = action.body.to_pybytes()
        if action.type in FLIGHT_ACTIONS:
            return iter([FLIGHT_ACTIONS[action.type][1](self._state, visit, body)])
        if action.type not in ACTIONS:
            near = did_you_mean(action.type, [*ACTIONS, *FLIGHT_ACTIONS])
            raise Unsupported(f"There is no action '{action.type}'.{near}")
        return iter([encoded(run_action(self._services, visit.call, action.type, body))])

    def _redeemed(self, visit: Visit, ticket: bytes) -> tuple[Any, str | None]:
        """What the ticket asks for; the snapshot it is pinned to is kept until the call ends."""
        if not is_signed(ticket):
            return read_of_command(ticket, "ticket"), None
        claim = redeem(self._services.signing_secret, ticket, visit.principal)
        self._state.calls.join_flight(visit.running, claim.flight)
        if claim.snapshot is not None:
            pin = operations.pinned(self._services, claim.catalog, claim.snapshot)
            visit.at_end.enter_context(pin)
        return claim.read, claim.slice
