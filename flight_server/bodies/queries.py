"""`POST /query`: a statement of SQL, as JSON."""

from __future__ import annotations

from pydantic import ConfigDict

from flight_server.bodies.requests import Int64, Sql


class Query(Sql):
    """A statement; `explain` asks for its plan, `cache` lets the answer be a kept one."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "sql": "SELECT seats, count(*) AS n FROM planes WHERE seats > $least GROUP BY ALL",
                "parameters": {"least": 100},
            }
        }
    )

    limit: Int64 | None = None
    explain: bool = False
    cache: bool = False
