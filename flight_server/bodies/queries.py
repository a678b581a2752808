"""`POST /query`: a statement of SQL, as JSON."""

from __future__ import annotations

from flight_server.bodies.requests import Int64, Sql


class Query(Sql):
    """A statement; `explain` asks for its plan, `cache` lets the answer be a kept one."""

    limit: Int64 | None = None
    explain: bool = False
    cache: bool = False
