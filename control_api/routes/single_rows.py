"""One row of a table, by its `_row_id` or by the table's key.

`…/rows/17` is the row whose `_row_id` is 17, and `…/rows/key/AA/1545` the one whose key is AA,
1545, in the order of the key's columns; a slash in a value is written %2F.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Response

from control_api.answers import rows_answer
from control_api.dependencies import Call, Services
from control_api.described import row_body, rows_answered
from control_api.media_types import Form
from control_api.paths import Table, parts_of
from control_api.routes.rows import VERSION
from control_api.row_queries import ReadingOne, Removing, Wanted
from control_api.uploads import Body
from flight_server import operations
from flight_server.bodies.answers import rows_committed
from flight_server.bodies.changes import row_of_id, row_of_key, set_columns
from flight_server.bodies.names import names_in
from flight_server.bodies.rows_in import whole_row
from flight_server.errors import InvalidRequest
from flight_server.formats.json_lines import loaded_object
from flight_server.formats.json_rows import JsonWriter
from flight_server.model import ScanRequest

router = APIRouter(prefix="/tables/{table:table}/rows", tags=["rows"])

_ROW = {"tail": "N14228", "seats": 149}
_SET = {"seats": 150, "price": {"expr": "price + 1"}}
_TAG = re.compile(r'(?:W/)?"?(\d{1,18})"?')


def _by_id(
    row: Annotated[str, Path(description="The row's `_row_id`.", examples=["17"])],
) -> str:
    return row_of_id(row)


def _by_key(
    services: Services,
    call: Call,
    table: Table,
    values: Annotated[str, Path(description="The values of the key, with slashes between.")],
) -> str:
    key = operations.readable_key(services, call, table)
    return row_of_key(key, table, parts_of(values))


def _since(
    version: Annotated[
        str | None,
        Header(alias="if-match", description="The version that the change is meant for."),
    ] = None,
) -> int | None:
    if version is None or version.strip() == "*":
        return None
    match = _TAG.fullmatch(version.strip())
    if match is None:
        raise InvalidRequest(f"'If-Match' is '{version[:40]}', which is no version of a row.")
    return int(match[1])


ById = Annotated[str, Depends(_by_id)]
ByKey = Annotated[str, Depends(_by_key)]
Since = Annotated[int | None, Depends(_since)]


@router.get("/{row}", response_class=Response, responses=rows_answered(is_one=True))
def read_row(
    services: Services, call: Call, table: Table, which: ById, query: ReadingOne, wanted: Wanted
) -> Response:
    """One row, by its id."""
    return _read(services, call, table, which, query, wanted)


@router.get("/key/{values:parts}", response_class=Response, responses=rows_answered(is_one=True))
def read_row_of_key(
    services: Services, call: Call, table: Table, which: ByKey, query: ReadingOne, wanted: Wanted
) -> Response:
    """One row, by its key."""
    return _read(services, call, table, which, query, wanted)


@router.put("/{row}", openapi_extra=row_body(_ROW))
def replace_row(
    services: Services, call: Call, table: Table, which: ById, body: Body, since: Since = None
) -> dict[str, Any]:
    """Replaces one row, by its id: columns that the body leaves out get their defaults."""
    return _replace(services, call, table, which, body, since)


@router.put("/key/{values:parts}", openapi_extra=row_body(_ROW))
def replace_row_of_key(
    services: Services, call: Call, table: Table, which: ByKey, body: Body, since: Since = None
) -> dict[str, Any]:
    """Replaces one row, by its key."""
    return _replace(services, call, table, which, body, since)


@router.patch("/{row}", openapi_extra=row_body(_SET))
def update_row(
    services: Services, call: Call, table: Table, which: ById, body: Body, since: Since = None
) -> dict[str, Any]:
    """Sets some columns of one row, by its id: `{"price": 5, "n": {"expr": "n + 1"}}`."""
    return _update(services, call, table, which, body, since)


@router.patch("/key/{values:parts}", openapi_extra=row_body(_SET))
def update_row_of_key(
    services: Services, call: Call, table: Table, which: ByKey, body: Body, since: Since = None
) -> dict[str, Any]:
    """Sets some columns of one row, by its key."""
    return _update(services, call, table, which, body, since)


@router.delete("/{row}")
def delete_row(
    services: Services,
    call: Call,
    table: Table,
    which: ById,
    query: Removing,
    since: Since = None,
) -> dict[str, Any]:
    """Deletes one row, by its id."""
    return _delete(services, call, table, which, query, since)


@router.delete("/key/{values:parts}")
def delete_row_of_key(
    services: Services,
    call: Call,
    table: Table,
    which: ByKey,
    query: Removing,
    since: Since = None,
) -> dict[str, Any]:
    """Deletes one row, by its key."""
    return _delete(services, call, table, which, query, since)


def _read(
    services: Services, call: Call, table: Table, which: str, query: ReadingOne, wanted: Form
) -> Response:
    request = ScanRequest(
        names_in(query.select, "select"),
        which,
        version=query.snapshot(services, call, table),
        with_row_id=query.with_row_id,
        media=query.media_bytes(),
    )
    found = operations.one_row(services, call, table, request)
    if wanted is Form.JSON:
        [batch] = list(found.rows)
        call.meter.sent(batch)
        text = b"".join(JsonWriter(batch.schema).rows(batch, after=""))
        answer = Response(text, media_type=wanted.value, headers={"vary": "accept"})
    else:
        answer = rows_answer(found.rows, wanted, call, services.settings.batch_bytes)
    answer.headers["etag"] = f'"{found.snapshot}"'
    answer.headers[VERSION] = str(found.snapshot)
    return answer


def _replace(
    services: Services, call: Call, table: Table, which: str, body: Body, since: int | None
) -> dict[str, Any]:
    row = loaded_object(body.read(), "The body")
    given = whole_row(services, call, table, row)
    return rows_committed(
        operations.change_row(
            services,
            call,
            table,
            which,
            "replace row",
            lambda inside, where: set_columns(services, inside, table, given, where),
            since,
        )
    )


def _update(
    services: Services, call: Call, table: Table, which: str, body: Body, since: int | None
) -> dict[str, Any]:
    given = loaded_object(body.read(), "The body")
    return rows_committed(
        operations.change_row(
            services,
            call,
            table,
            which,
            "update row",
            lambda inside, where: set_columns(services, inside, table, given, where),
            since,
        )
    )


def _delete(
    services: Services, call: Call, table: Table, which: str, query: Removing, since: int | None
) -> dict[str, Any]:
    remove = operations.soft_delete if query.soft else operations.delete
    return rows_committed(
        operations.change_row(
            services,
            call,
            table,
            which,
            "delete row",
            lambda inside, where: remove(services, inside, table, where),
            since,
        )
    )
