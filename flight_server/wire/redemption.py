"""DoGet: from a ticket to batches."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from flight_server import operations
from flight_server.engines.stream import Batches, BatchStream
from flight_server.wire.contexts import call_in
from flight_server.wire.descriptors import kind_of_read, read_of_command
from flight_server.wire.flight_sql.commands import metadata
from flight_server.wire.flight_sql.messages import kind_of, unpacked
from flight_server.wire.parameters import from_text
from flight_server.wire.reads import open_read
from flight_server.wire.state import ServerState
from flight_server.wire.tickets import Claim, is_signed, redeem
from flight_server.wire.visits import SQL_DOOR, Visit

# What a result in a transaction may hold to be read ahead, which leaves the transaction free for
# the next statement although the client has not fetched this one yet.
AHEAD_BYTES_MAX = 16 * 2**20


def open_ticket(state: ServerState, visit: Visit, ticket: bytes) -> Batches:
    """The batches of a signed ticket, of a JSON command, or of a command of Flight SQL."""
    message = unpacked(ticket)
    if message is not None:
        visit.is_for(kind_of(message), SQL_DOOR)
        table = metadata(state, visit, message)
        return BatchStream(table.schema, iter(table.to_batches()))
    if not is_signed(ticket):
        claim = Claim(read_of_command(ticket, "ticket"), "", None, "", 0.0, "")
    else:
        claim = _redeemed(state, visit, ticket)
    visit.is_for(kind_of_read(claim.read))
    call = visit.at_end.enter_context(call_in(state, visit, claim.transaction))
    parameters = None if claim.parameters is None else from_text(claim.parameters)
    batches = open_read(state.services, call, claim.read, claim.slice, parameters)
    return batches if call.transaction is None else _ahead(visit, batches)


def _redeemed(state: ServerState, visit: Visit, ticket: bytes) -> Claim:
    """What a signed ticket says; its snapshot is kept until the call ends."""
    claim = redeem(state.services.signing_secret, ticket, visit.principal)
    state.calls.join_flight(visit.running, claim.flight)
    if claim.snapshot is not None:
        pin = operations.pinned(state.services, claim.catalog, claim.snapshot)
        visit.at_end.enter_context(pin)
    return claim


def _ahead(visit: Visit, batches: Batches) -> Batches:
    """The same batches, the first of them read by now. A small result frees the transaction."""
    kept: list[pa.RecordBatch] = []
    size = 0
    rest = iter(batches)
    for batch in rest:
        kept.append(batch)
        size += batch.nbytes
        if size > AHEAD_BYTES_MAX:
            return BatchStream(batches.schema, _chained(kept, rest), batches.close)
    batches.close()
    visit.at_end.close()
    return BatchStream(batches.schema, iter(kept))


def _chained(
    first: list[pa.RecordBatch], rest: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    yield from first
    yield from rest
