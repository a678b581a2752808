"""Tickets: signed claims on one part of one result, pinned to a snapshot, for one principal.

A ticket is `PF1`, a signature and JSON. It tells its holder nothing that was not in the request.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import dataclass
from typing import Any

from flight_server.auth import sign, verify
from flight_server.auth.signing import derived
from flight_server.bodies.requests import Sql
from flight_server.errors import ErrorCode, InvalidRequest, Unauthenticated
from flight_server.model import Principal
from flight_server.wire.descriptors import Read, read_of_command
from flight_server.wire.serials import serial

_MARK = b"PF1"


@dataclass(frozen=True)
class Claim:
    """What a ticket says.

    `snapshot` is what the read is pinned to, and `catalog` whose; a read in a `transaction` has
    none. `slice` names the part of a large scan. `flight` is shared by the tickets of one flight
    info. `expires_at` is Unix time. `parameters` are rows of parameters for SQL, as text.
    """

    read: Read
    catalog: str
    snapshot: int | None
    principal: str
    expires_at: float
    flight: str
    slice: str | None = None
    transaction: str | None = None
    parameters: str | None = None

    @property
    def expiration(self) -> dt.datetime:
        """When the ticket ends."""
        return dt.datetime.fromtimestamp(self.expires_at, dt.UTC)


def new_flight() -> str:
    """A name for one flight info, by which all of its streams can be cancelled.

    It counts only within a signed ticket, so that it may be guessed.
    """
    return serial()


def issue(secret: bytes, claim: Claim) -> bytes:
    """The ticket's bytes."""
    payload = {
        "read": command_of(claim.read),
        "catalog": claim.catalog,
        "snapshot": claim.snapshot,
        "principal": claim.principal,
        "expires_at": claim.expires_at,
        "flight": claim.flight,
        "slice": claim.slice,
        "transaction": claim.transaction,
        "parameters": claim.parameters,
    }
    return _MARK + sign(derived(secret, "ticket"), json.dumps(payload).encode())


def redeem(secret: bytes, ticket: bytes, principal: Principal, now: float | None = None) -> Claim:
    """What the ticket says. InvalidRequest (invalid_ticket, ticket_expired)."""
    try:
        payload = verify(derived(secret, "ticket"), ticket.removeprefix(_MARK))
    except Unauthenticated:
        raise _invalid("it is damaged, or another server's") from None
    values: dict[str, Any] = json.loads(payload)
    read = read_of_command(json.dumps(values.pop("read")).encode(), "ticket")
    claim = Claim(read=read, **values)
    if claim.principal != principal.id:
        raise _invalid("it was made for somebody else")
    if claim.expires_at <= (time.time() if now is None else now):
        raise InvalidRequest(
            f"The ticket expired at {claim.expiration:%Y-%m-%d %H:%M:%S} UTC: "
            "ask for the flight info again.",
            code=ErrorCode.TICKET_EXPIRED,
        )
    return claim


def is_signed(ticket: bytes) -> bool:
    """Whether the ticket claims to be one of ours, and is not a plain JSON command."""
    return ticket.startswith(_MARK)


def command_of(read: Read) -> dict[str, Any]:
    """The JSON command that means this read."""
    values = read.model_dump(mode="json", exclude_defaults=True)
    return values if isinstance(read, Sql) else {type(read).__name__.lower(): values}


def _invalid(reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"The ticket is not valid: {reason}. Ask for the flight info again.",
        code=ErrorCode.INVALID_TICKET,
    )
