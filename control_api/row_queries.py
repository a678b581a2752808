"""What the routes of rows take behind the question mark."""

from __future__ import annotations

from typing import Annotated, Literal

import pyarrow as pa
from fastapi import Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from control_api.dependencies import Call, Services
from control_api.media_types import Form, form_sent, form_wanted, takes_json
from flight_server import operations
from flight_server.bodies.filters import filter_sql, order_sql
from flight_server.bodies.media import MediaOptions
from flight_server.bodies.names import names_in, order_in, where_in
from flight_server.bodies.requests import AsOf
from flight_server.errors import InvalidRequest
from flight_server.model import (
    IngestMode,
    IngestRequest,
    ScanRequest,
    TableRef,
)

NUMBERS_MAX = 2**63 - 1
Whole = Annotated[int, Field(ge=0, le=NUMBERS_MAX)]


async def _accepted(request: Request) -> Form:
    return form_wanted(request.headers.get("accept", ""))


async def _takes_json(request: Request) -> bool:
    return takes_json(request.headers.get("accept", ""))


async def _sent(request: Request) -> Form:
    return form_sent(request.headers.get("content-type", ""))


Wanted = Annotated[Form, Depends(_accepted)]
TakesJson = Annotated[bool, Depends(_takes_json)]
Sent = Annotated[Form, Depends(_sent)]


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class At(_Query):
    """Which moment is read."""

    version: Annotated[
        str | None, Field(description="A snapshot's number, or the name of a tag.")
    ] = None
    as_of: Annotated[AsOf | None, Field(description="A time, with its zone.")] = None

    def snapshot(self, services: Services, call: Call, table: TableRef) -> int | None:
        """The snapshot that is meant, None for the newest. NotFound; InvalidRequest."""
        version = self.version
        named = int(version) if version is not None and version.isdecimal() else version
        if isinstance(named, int) and named > NUMBERS_MAX:
            raise InvalidRequest(f"'version' is {str(version)[:40]}, which no snapshot has.")
        return operations.snapshot_of(services, call, table, named, self.as_of)


class ReadOne(At, MediaOptions):
    """How one row is read."""

    select: Annotated[
        str | None, Field(description="Columns, between commas; or a JSON list of them.")
    ] = None
    with_row_id: Annotated[bool, Field(description="Adds the column _row_id.")] = False


class ReadRows(ReadOne):
    """How rows are read."""

    where: Annotated[
        str | None, Field(description="A filter: a predicate of SQL, or an object of JSON.")
    ] = None
    order_by: Annotated[
        str | None, Field(description="As in SQL, or a JSON list of {column, direction, nulls}.")
    ] = None
    limit: Annotated[Whole | None, Field(description="How many rows at most.")] = None
    offset: Annotated[Whole, Field(description="How many rows to leave out first.")] = 0
    cursor: Annotated[
        str | None,
        Field(description="Empty for the first page; then what the last page named as the next."),
    ] = None
    aggregate: Annotated[
        str | None, Field(description="Aggregates instead of rows: count(*), sum(x) AS total.")
    ] = None
    group_by: Annotated[
        str | None, Field(description="Expressions to aggregate by, between commas.")
    ] = None

    def request(self, services: Services, call: Call, table: TableRef) -> ScanRequest:
        """The scan that is meant. InvalidRequest; NotFound."""
        version = self.snapshot(services, call, table)
        where, order = where_in(self.where), order_in(self.order_by)
        # SQL is taken as it is; what comes as JSON is written for the columns there are.
        schema = pa.schema([])
        if not (isinstance(where, str | None) and isinstance(order, str | None)):
            schema = operations.readable_schema(services, call, table, version)
        return ScanRequest(
            names_in(self.select, "select"),
            filter_sql(where, schema),
            order_sql(order, schema),
            self.limit,
            self.offset,
            version,
            self.with_row_id,
            media=self.media_bytes(),
        )


class WriteRows(_Query):
    """How rows are written."""

    mode: Annotated[
        IngestMode, Field(description="upsert and merge find rows by the table's key, or by `key`.")
    ] = IngestMode.APPEND
    key: Annotated[str | None, Field(description="Columns to match by, between commas.")] = None
    token: Annotated[
        str | None,
        Field(min_length=1, max_length=500, description="Sent again, it writes nothing twice."),
    ] = None
    create_if_missing: Annotated[
        bool, Field(description="Makes the table of an Arrow stream's schema.")
    ] = False
    on_error: Annotated[
        Literal["abort", "skip"],
        Field(description="skip leaves out rows that do not fit, and lists them."),
    ] = "abort"

    def request(self, token: str | None = None) -> IngestRequest:
        """How the rows enter the table: with the given token where the query names none."""
        key = names_in(self.key, "key") or ()
        return IngestRequest(self.mode, key, self.create_if_missing, self.token or token)


class RemoveRow(_Query):
    """How one row is deleted."""

    soft: Annotated[bool, Field(description="Lets the row be brought back for a while.")] = False


class RemoveRows(RemoveRow):
    """Which rows are deleted."""

    where: Annotated[
        str | None, Field(description="A filter: a predicate of SQL, or an object of JSON.")
    ] = None
    all: Annotated[bool, Field(description="Has to be said where there is no `where`.")] = False


class Undeleting(_Query):
    """Which rows are brought back."""

    deletion: Annotated[
        Whole | None, Field(description="The commit that deleted them; by default the last.")
    ] = None
    on_conflict: Annotated[
        Literal["abort", "skip"],
        Field(description="What becomes of rows whose key is there again."),
    ] = "abort"


Removing = Annotated[RemoveRow, Query()]
RemovingMany = Annotated[RemoveRows, Query()]
BringingBack = Annotated[Undeleting, Query()]
Reading = Annotated[ReadRows, Query()]
ReadingOne = Annotated[ReadOne, Query()]
Writing = Annotated[WriteRows, Query()]
