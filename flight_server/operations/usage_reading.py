"""Reading what was used: one's own, one's workspace's, everybody's."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flight_server.auth import SERVER, Action
from flight_server.errors import Forbidden
from flight_server.metastore.usage import read_usage as read_rows
from flight_server.operations.authority import authority
from flight_server.operations.limits import Quota
from flight_server.operations.services import Call, Services


class Whose(StrEnum):
    """Whose usage is asked for."""

    MINE = "mine"
    WORKSPACE = "workspace"
    ALL = "all"


@dataclass(frozen=True)
class UsageReport:
    """Usage by day, workspace and principal, and the quotas of the caller's workspace."""

    rows: list[dict[str, Any]]
    workspace: str
    quotas: list[Quota]


def read_usage(
    services: Services,
    call: Call,
    whose: Whose = Whose.MINE,
    since: dt.date | None = None,
    until: dt.date | None = None,
) -> UsageReport:
    """What was used on the days from `since` to before `until`, of UTC. Forbidden."""
    who = call.principal
    _check_may_read(services, call, whose)
    services.usage.flush()
    with services.metastore.read() as connection:
        rows = read_rows(
            connection,
            workspace=None if whose is Whose.ALL else who.workspace,
            principal_id=who.id if whose is Whose.MINE else None,
            since=None if since is None else since.isoformat(),
            until=None if until is None else until.isoformat(),
        )
    told = [dict(row) for row in rows]
    return UsageReport(told, who.workspace, services.limits.quotas(who.workspace))


def is_server_admin(services: Services, call: Call) -> bool:
    """Whether the caller may admin the server."""
    return services.access.may(call.principal, Action.ADMIN, SERVER).allowed


def _check_may_read(services: Services, call: Call, whose: Whose) -> None:
    if whose is Whose.MINE or is_server_admin(services, call):
        return
    if whose is Whose.WORKSPACE and authority(services, call) is not None:
        return
    who = "may admin the server" if whose is Whose.ALL else "manages your workspace"
    message = f"You may not read the usage of others: that is for whoever {who}."
    raise Forbidden(message).refusing("read", "usage")
