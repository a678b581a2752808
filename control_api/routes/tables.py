"""Tables: listed, made, described, altered, renamed, dropped; what became of their columns."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from control_api.dependencies import Call, Services
from control_api.described import new_table_body
from control_api.media_types import Form
from control_api.paths import CASCADE, Table
from control_api.row_queries import At, Sent
from control_api.uploads import Body
from flight_server import operations
from flight_server.bodies.actions import ChangeTable, CreateTable
from flight_server.bodies.answers import committed, described, encoded, inferred_told
from flight_server.bodies.names import names_in
from flight_server.bodies.requests import loaded, parsed
from flight_server.bodies.rows_in import rows_of
from flight_server.bodies.schema_steps import step_listed
from flight_server.errors import Forbidden, InvalidRequest, NotFound
from flight_server.formats.arrow_streams import read_arrow
from flight_server.formats.inference import Inferred, from_csv, from_lines, from_rows
from flight_server.formats.json_lines import loaded_json
from flight_server.model import Commit, TableRef, TableSpec
from flight_server.row_schemas import row_schema

THERE_ALREADY = {"description": "The table was there already, and 'if_not_exists' was said."}

SCHEMA_TYPE = "application/schema+json"
AS_JSON_SCHEMA = {
    "description": "The table; with `format=json-schema` what a row of it is.",
    "content": {SCHEMA_TYPE: {"schema": {"type": "object"}}},
}

router = APIRouter(prefix="/tables", tags=["tables"])

TABLES_MAX = 10_000


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Listing(_Parameters):
    """Which tables are listed."""

    catalog: Annotated[str | None, Field(description="In this catalog only.")] = None
    namespace: Annotated[str | None, Field(description="In this namespace only.")] = None
    pattern: Annotated[
        str | None, Field(description="A glob over names, with their namespace or without.")
    ] = None
    details: Annotated[bool, Field(description="Describes each of them.")] = False
    limit: Annotated[int, Field(ge=1, le=TABLES_MAX, description="How many at most.")] = 1_000
    cursor: Annotated[str | None, Field(description="What the last page named as the next.")] = None


class NewTable(_Parameters):
    """What goes with a body that is a sample of rows, or an Arrow stream."""

    infer: Annotated[
        bool, Field(description="Takes a body of JSON as sample rows: one, a list, or {rows: […]}.")
    ] = False
    table: Annotated[str | None, Field(description="The name of the new table.")] = None
    key: Annotated[str | None, Field(description="Columns to match by, between commas.")] = None
    partition_by: Annotated[str | None, Field(description="Columns, or year(c), month(c), ….")] = (
        None
    )
    comment: str = ""
    if_not_exists: Annotated[bool, Field(description="Does nothing where there is one.")] = False

    def name(self) -> TableRef:
        """The new table. InvalidRequest."""
        if self.table is None:
            raise InvalidRequest("Name the new table in the URL: ?table=sales.daily.")
        return TableRef.parse(self.table)

    def spec(self, schema: Any) -> TableSpec:
        """What the table is to be, with these columns."""
        parts = names_in(self.partition_by, "partition_by") or ()
        return TableSpec(schema, names_in(self.key, "key") or (), parts, comment=self.comment)


class Describing(At):
    """How a table is described."""

    format: Annotated[
        Literal["json-schema"] | None,
        Field(description="`json-schema`: what a row is in JSON, as a JSON Schema."),
    ] = None


@router.get("")
def list_tables(
    services: Services, call: Call, query: Annotated[Listing, Query()]
) -> dict[str, Any]:
    """The tables and views that you may know of, by name, page by page."""
    after = TableRef.parse(query.cursor) if query.cursor else None
    found = operations.list_tables(services, call, query.catalog, query.namespace, query.pattern)
    page, last = operations.page_of_tables(found, query.limit, after)
    if query.details:
        tables = [described(info) for info in operations.describe_tables(services, call, page)]
    else:
        tables = [_named(table) for table in page]
    return {"tables": tables, "next_cursor": None if last is None else str(last)}


@router.post("", status_code=201, openapi_extra=new_table_body(), responses={200: THERE_ALREADY})
def create_table(
    services: Services,
    call: Call,
    query: Annotated[NewTable, Query()],
    sent: Sent,
    body: Body,
) -> Response:
    """Makes a table: of columns in JSON, of an Arrow schema, or as sample rows show it.

    Sample rows, in whichever form, are looked at and not inserted.
    """
    if sent is Form.JSON and not query.infer:
        what = "body of the new table"
        given = parsed(CreateTable, loaded(body.read(), what), what)
        table, spec, sample = TableRef.parse(given.table), given.spec(), given.inferred()
        if_not_exists = given.if_not_exists or query.if_not_exists
    else:
        table, sample = query.name(), _sample(sent, body)
        spec = query.spec(read_arrow(body).schema if sample is None else sample.schema)
        if_not_exists = query.if_not_exists
    make = operations.ensure_table if if_not_exists else operations.create_table
    made = make(services, call, table, spec)
    answer = _described(services, call, table, made)
    if sample is not None:
        answer["inferred"] = inferred_told(sample)
    location = {"location": f"/api/v1/tables/{quote(str(table), safe='.:')}"}
    return _json(answer, 200 if made is None else 201, location)


@router.get("/{table:table}", response_class=Response, responses={200: AS_JSON_SCHEMA})
def describe_table(
    services: Services, call: Call, table: Table, query: Annotated[Describing, Query()]
) -> Response:
    """A table with its columns and all that is known of it, as it is or was."""
    version = query.snapshot(services, call, table)
    info = operations.describe_table(services, call, table, version)
    if query.format is None:
        return _json(described(info))
    schema = row_schema(str(info.table), info.spec)
    return Response(json.dumps(schema, ensure_ascii=False), media_type=SCHEMA_TYPE)


@router.patch("/{table:table}")
def change_table(services: Services, call: Call, table: Table, body: ChangeTable) -> Response:
    """Alters and renames a table, all in one commit: changes as the action `alter_table` takes."""
    to = None if body.rename_to is None else TableRef.parse(body.rename_to)
    made = operations.change_table(services, call, table, body.parsed_changes(), to)
    return _json(_described(services, call, to or table, made))


@router.delete("/{table:table}")
def drop_table(
    services: Services,
    call: Call,
    table: Table,
    if_exists: Annotated[bool, Query(description="Does nothing where there is none.")] = False,
    cascade: Annotated[bool, Query(description=CASCADE)] = False,
) -> dict[str, Any]:
    """Removes a table; one of the lake can be brought back while its snapshots live."""
    return committed(
        operations.unless_missing(
            if_exists, lambda: operations.drop_table(services, call, table, cascade)
        )
    )


@router.get("/{table:table}/schema-history")
def schema_history(
    services: Services,
    call: Call,
    table: Table,
    limit: Annotated[int | None, Query(ge=1, le=TABLES_MAX)] = None,
) -> Response:
    """What became of the columns and properties of a table, newest first.

    Each change is told as PATCH takes it.
    """
    steps = operations.schema_history(services, call, table, limit)
    return _json({"history": [step_listed(step) for step in steps]})


def _sample(sent: Form, body: Body) -> Inferred | None:
    """What a body that is a sample shows; None for Arrow, which says it."""
    if sent is Form.ARROW:
        return None
    if sent is Form.LINES:
        return from_lines(body)
    if sent is Form.CSV:
        return from_csv(body)
    return from_rows(rows_of(loaded_json(body.read(), "The body")))


def _described(
    services: Services, call: Call, table: TableRef, made: Commit | None
) -> dict[str, Any]:
    """The table as it is now, as far as whoever made or changed it may read it."""
    commit = {"commit": None if made is None else made.snapshot}
    try:
        return described(operations.describe_table(services, call, table)) | commit
    except (NotFound, Forbidden):
        return {"table": str(table)} | commit


def _named(table: TableRef) -> dict[str, str]:
    return {
        "table": str(table),
        "catalog": table.catalog,
        "namespace": table.namespace,
        "name": table.name,
    }


def _json(answer: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(encoded(answer), status, headers, media_type=Form.JSON.value)
