"""Flight's own actions: cancel, renew, sessions. Protobuf in and out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pyarrow import flight

from flight_server import operations
from flight_server.bodies.requests import Scan
from flight_server.errors import InvalidRequest, LimitExceeded
from flight_server.model import TableRef
from flight_server.wire.contexts import open_session
from flight_server.wire.infos import endpoint
from flight_server.wire.protobuf import MESSAGES, parsed_message
from flight_server.wire.sessions import OptionValue, set_option
from flight_server.wire.state import ServerState
from flight_server.wire.tickets import Claim, is_signed, redeem
from flight_server.wire.visits import Visit

# CancelFlightInfoResult.status and CloseSessionResult.status.
_CANCELLED, _NOT_CANCELLABLE, _CLOSED = 1, 3, 1
# SetSessionOptionsResult.ErrorValue.
_INVALID_NAME, _INVALID_VALUE = 1, 2
OPTION_NAME_LENGTH_MAX = 200

FlightAction = Callable[[ServerState, Visit, bytes], bytes]


def cancel_flight_info(state: ServerState, visit: Visit, body: bytes) -> bytes:
    """Ends the streams of a flight and refuses its tickets; plain tickets cannot be refused."""
    info = _flight_part(flight.FlightInfo, _message("CancelFlightInfoRequest", body).info)
    tickets = [part.ticket.ticket for part in info.endpoints]
    signed = [ticket for ticket in tickets if is_signed(ticket)]
    for ticket in signed:
        claim = redeem(state.services.signing_secret, ticket, visit.principal)
        # One that was renewed just now lives longer than the one that the info shows.
        state.calls.cancel_flight(claim.flight, state.services.settings.ticket_seconds)
    status = _CANCELLED if signed else _NOT_CANCELLABLE
    return _bytes("CancelFlightInfoResult", status=status)


def cancel_request(info: bytes) -> bytes:
    """A CancelFlightInfoRequest for the serialized info."""
    return bytes(MESSAGES["CancelFlightInfoRequest"](info=info).SerializeToString())


def cancel_status(answer: bytes) -> int:
    """The status in a CancelFlightInfoResult."""
    return int(MESSAGES["CancelFlightInfoResult"].FromString(answer).status)


def renew_flight_endpoint(state: ServerState, visit: Visit, body: bytes) -> bytes:
    """The same ticket with a later end. Cancelled where its flight has been cancelled."""
    part = _flight_part(
        flight.FlightEndpoint, _message("RenewFlightEndpointRequest", body).endpoint
    )
    services = state.services
    claim = redeem(services.signing_secret, part.ticket.ticket, visit.principal)
    # Taken before the looks and holds that follow, so that the ticket outlives none of them.
    expires_at = time.time() + services.settings.ticket_seconds
    state.calls.check_flight(claim.flight)
    if claim.snapshot is not None:
        operations.hold(services, claim.catalog, claim.snapshot, _sliced(claim))
    return bytes(endpoint(services, replace(claim, expires_at=expires_at)).serialize())


def set_session_options(state: ServerState, visit: Visit, body: bytes) -> bytes:
    """Sets options, takes away those without a value, and names those that cannot be set."""
    wanted = _message("SetSessionOptionsRequest", body).session_options
    session = open_session(state, visit)
    result = MESSAGES["SetSessionOptionsResult"]()
    for name in wanted:
        if not 0 < len(name) <= OPTION_NAME_LENGTH_MAX:
            result.errors[name].value = _INVALID_NAME
            continue
        try:
            set_option(session, name, _value_of(wanted[name]))
        except (InvalidRequest, LimitExceeded):
            result.errors[name].value = _INVALID_VALUE
    return bytes(result.SerializeToString())


def get_session_options(state: ServerState, visit: Visit, body: bytes) -> bytes:
    """All options; none where nothing was ever set."""
    result = MESSAGES["GetSessionOptionsResult"]()
    for name, value in state.sessions.options(visit.session_names()).items():
        _set_value(result.session_options[name], value)
    return bytes(result.SerializeToString())


def close_session(state: ServerState, visit: Visit, body: bytes) -> bytes:
    """Ends the session. NotFound where there is none."""
    state.sessions.close(visit.session_names())
    return _bytes("CloseSessionResult", status=_CLOSED)


FLIGHT_ACTIONS: dict[str, tuple[str, FlightAction]] = {
    "CancelFlightInfo": ("End a flight's streams and refuse its tickets.", cancel_flight_info),
    "RenewFlightEndpoint": ("Make a ticket live longer.", renew_flight_endpoint),
    "SetSessionOptions": ("Set options of the session.", set_session_options),
    "GetSessionOptions": ("The options of the session.", get_session_options),
    "CloseSession": ("End the session.", close_session),
}


def _sliced(claim: Claim) -> TableRef | None:
    """The table that the ticket is for a part of; only scans have parts."""
    if claim.slice is None or not isinstance(claim.read, Scan):
        return None
    return TableRef.parse(claim.read.table)


def _message(name: str, body: bytes) -> Any:
    return parsed_message(MESSAGES[name], body, "body of the action")


def _flight_part(kind: Any, data: bytes) -> Any:
    try:
        return kind.deserialize(data)
    except (flight.FlightError, OSError, ValueError):
        raise InvalidRequest(f"The body of the action holds no {kind.__name__}.") from None


def _bytes(name: str, **fields: int) -> bytes:
    return bytes(MESSAGES[name](**fields).SerializeToString())


def _value_of(option: Any) -> OptionValue | None:
    kind = option.WhichOneof("value")
    if kind is None:
        return None
    if kind == "string_list_value":
        return list(option.string_list_value.values)
    value: OptionValue = getattr(option, kind)
    return value


def _set_value(option: Any, value: OptionValue) -> None:
    match value:
        case bool():
            option.bool_value = value
        case str():
            option.string_value = value
        case int():
            option.int64_value = value
        case float():
            option.double_value = value
        case list():
            option.string_list_value.values.extend(value)
