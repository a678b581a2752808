"""What a table was: versions, differences, changes, tags, and the ways back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from control_api.answers import Told, rows_answer
from control_api.dependencies import NO_BODY, Call, Services
from control_api.described import rows_of
from control_api.paths import Table
from control_api.routes.rows import VERSION
from control_api.row_queries import NUMBERS_MAX, Wanted, Whole
from flight_server import operations
from flight_server.bodies.answers import committed, tag_listed, version_listed
from flight_server.bodies.history import NewTag, Restoring
from flight_server.errors import InvalidRequest
from flight_server.model import ChangesRequest, Images, TableRef

router = APIRouter(prefix="/tables/{table:table}", tags=["history"])


class Between(BaseModel):
    """Two versions of a table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    older: Annotated[
        str,
        Field(
            alias="from",
            description="The older version: a snapshot's number, or the name of a tag.",
            examples=["12"],
        ),
    ]
    newer: Annotated[
        str | None, Field(alias="to", description="The newer one; the newest without it.")
    ] = None


class Since(BaseModel):
    """The part of a table's change feed that is wanted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: Annotated[Whole, Field(description="The snapshot to go on from.", examples=[12])]
    until: Annotated[Whole | None, Field(description="The last snapshot; else the newest.")] = None
    images: Annotated[
        Images, Field(description="Whether rows are also shown as they were before an update.")
    ] = Images.AFTER


@router.get("/versions")
def list_versions(
    services: Services,
    call: Call,
    table: Table,
    limit: Annotated[int | None, Query(ge=1, le=NUMBERS_MAX)] = None,
) -> dict[str, Any]:
    """The history of a table or a view, newest first."""
    versions = operations.list_versions(services, call, table, limit)
    return {"versions": [version_listed(version) for version in versions]}


@router.get("/diff", response_class=Response, responses=rows_of("The rows that differ."))
def diff(
    services: Services,
    call: Call,
    table: Table,
    query: Annotated[Between, Query()],
    wanted: Wanted,
) -> Response:
    """The net difference between two versions.

    `_change` says of each row whether it is an `insert`, a `delete`, or one of the two images of
    an update; `_row_id` stays with a row. The other columns are the newer version's.
    """
    older = _snapshot(services, call, table, query.older)
    newer = (
        operations.newest_version(services, call, table)
        if query.newer is None
        else _snapshot(services, call, table, query.newer)
    )
    rows = operations.diff(services, call, table, older, newer)
    told = Told({"from": older, "to": newer}, {VERSION: str(newer)})
    return rows_answer(rows, wanted, call, services.settings.batch_bytes, told)


@router.get("/changes", response_class=Response, responses=rows_of("The rows that changed."))
def changes(
    services: Services, call: Call, table: Table, query: Annotated[Since, Query()], wanted: Wanted
) -> Response:
    """The rows that changed after a snapshot, in the order of the commits.

    The answer's `until`, or the header X-Version, is where the next request goes on.
    """
    until = query.until
    if until is None:
        until = max(operations.newest_version(services, call, table), query.after)
    between = ChangesRequest(query.after, until, query.images)
    rows = operations.changes(services, call, table, between)
    told = Told({"after": query.after, "until": until}, {VERSION: str(until)})
    return rows_answer(rows, wanted, call, services.settings.batch_bytes, told)


@router.post("/restore")
def restore(services: Services, call: Call, table: Table, body: Restoring) -> dict[str, Any]:
    """Brings an old state back as a new commit, which can be undone as well."""
    version = operations.snapshot_of(services, call, table, body.version, body.as_of)
    if version is None:
        raise InvalidRequest("Give the 'version' to restore, or a time as 'as_of'.")
    return committed(operations.restore(services, call, table, version))


@router.post("/undrop", dependencies=[NO_BODY])
def undrop(services: Services, call: Call, table: Table) -> dict[str, Any]:
    """Brings a dropped table back, as it was just before."""
    return committed(operations.undrop_table(services, call, table))


@router.get("/tags")
def list_tags(services: Services, call: Call, table: Table) -> dict[str, Any]:
    """The named versions of a table, which do not expire."""
    return {"tags": [tag_listed(tag) for tag in operations.list_tags(services, call, table)]}


@router.post("/tags", status_code=201)
def create_tag(services: Services, call: Call, table: Table, body: NewTag) -> dict[str, Any]:
    """Names a version."""
    return tag_listed(operations.create_tag(services, call, table, body.name, body.version))


@router.delete("/tags/{tag}", status_code=204, response_class=Response)
def drop_tag(services: Services, call: Call, table: Table, tag: str) -> None:
    """Takes the name of a version away; it may expire then."""
    operations.drop_tag(services, call, table, tag)


def _snapshot(services: Services, call: Call, table: TableRef, text: str) -> int:
    """The snapshot that a number or a tag names. NotFound; InvalidRequest."""
    named: int | str = int(text) if text.isdecimal() else text
    if isinstance(named, int) and named > NUMBERS_MAX:
        raise InvalidRequest(f"'{text[:40]}' is no version: no snapshot has that number.")
    found = operations.snapshot_of(services, call, table, named, None)
    assert found is not None, "it was named"
    return found
