"""What the calls of one Flight server share."""

from __future__ import annotations

from dataclasses import dataclass, field

from flight_server.operations import Services
from flight_server.wire.calls import RunningCalls
from flight_server.wire.prepared import PreparedStatements
from flight_server.wire.sessions import Sessions


@dataclass(frozen=True)
class ServerState:
    """The services, and what the wire itself remembers between calls."""

    services: Services
    calls: RunningCalls = field(default_factory=RunningCalls)
    sessions: Sessions = field(default_factory=Sessions)
    statements: PreparedStatements = field(default_factory=PreparedStatements)

    def __post_init__(self) -> None:
        self.sessions.on_end.append(self.statements.end)
