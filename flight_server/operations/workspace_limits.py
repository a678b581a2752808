"""Limits and quotas of a workspace, as the metastore keeps them: JSON, checked when it is set."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import select

from flight_server.errors import InvalidRequest, did_you_mean
from flight_server.metastore import Metastore
from flight_server.metastore.tables import workspaces
from flight_server.setting_values import Rate

Amount = Annotated[int, Field(ge=0)]


class Quotas(BaseModel):
    """How much a workspace may use in a day or a month of UTC; what is None is any amount."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_day: Amount | None = None
    requests_per_month: Amount | None = None
    rows_in_per_day: Amount | None = None
    rows_in_per_month: Amount | None = None
    rows_out_per_day: Amount | None = None
    rows_out_per_month: Amount | None = None
    bytes_in_per_day: Amount | None = None
    bytes_in_per_month: Amount | None = None
    bytes_out_per_day: Amount | None = None
    bytes_out_per_month: Amount | None = None


class WorkspaceLimits(BaseModel):
    """What holds in a workspace instead of the server's settings; what is None is as they are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    read: Rate | None = None
    write: Rate | None = None
    admin: Rate | None = None
    batch: Rate | None = None
    jobs: Rate | None = None
    streams_max: Amount | None = None
    request_rows_max: Amount | None = None
    request_bytes_max: Amount | None = None
    result_rows_max: Amount | None = None
    result_bytes_max: Amount | None = None
    quotas: Quotas = Quotas()


# How the limits of a workspace are found: by its name, to the JSON object that it keeps.
ReadLimits = Callable[[str], Mapping[str, Any]]
NO_LIMITS = WorkspaceLimits()


def stored_limits(metastore: Metastore) -> ReadLimits:
    """Limits as they stand in the metastore: none for a workspace that is not there."""

    def read(workspace: str) -> Mapping[str, Any]:
        this = workspaces.c.name == workspace
        with metastore.read() as connection:
            text = connection.scalar(select(workspaces.c.limits).where(this))
        found: dict[str, Any] = json.loads(text) if text else {}
        return found

    return read


def parse_workspace_limits(given: Mapping[str, Any]) -> WorkspaceLimits:
    """The limits, or InvalidRequest saying which of them is wrong and why."""
    try:
        return WorkspaceLimits.model_validate(dict(given))
    except ValidationError as error:
        raise InvalidRequest(" ".join(map(_sentence, error.errors()))) from None


def _sentence(problem: Any) -> str:
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] != "extra_forbidden":
        what = problem["msg"].removeprefix("Value error, ")
        return f"The limit '{path}' = {json.dumps(problem['input'], default=str)}: {what}."
    is_quota = path.startswith("quotas.")
    known = (Quotas if is_quota else WorkspaceLimits).model_fields
    return f"There is no limit '{path}'.{did_you_mean(path.rpartition('.')[2], known)}"
