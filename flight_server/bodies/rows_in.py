"""Rows from a client, in whichever form, on their way into a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from flight_server import operations
from flight_server.auth import Action
from flight_server.bodies.changes import EXPRESSION
from flight_server.engines.stream import BatchStream
from flight_server.errors import ErrorCode, InvalidRequest, LimitExceeded
from flight_server.formats.fitting import Fitting, Judge, Report
from flight_server.formats.json_lines import loaded_json, row_batches
from flight_server.model import (
    COMPUTED_WITH,
    Commit,
    IngestMode,
    IngestRequest,
    TableRef,
    Violation,
)
from flight_server.operations import Call, Services

ROWS = "rows"

Read = Callable[[Any, Fitting], tuple[pa.Schema, Iterator[pa.RecordBatch]]]


def ingest_text(
    services: Services,
    call: Call,
    table: TableRef,
    request: IngestRequest,
    source: Any,
    read: Read,
    report: Report | None = None,
) -> Commit:
    """Ingests rows whose types are those of the table, which has to be there.

    `read` reads a source into batches. Errors as `ingest`, and InvalidRequest (invalid_data).
    """
    if request.mode is IngestMode.CREATE or request.create_if_missing:
        raise InvalidRequest(
            "JSON and CSV do not say of which types a new table's columns are: create the table "
            "first, or send Arrow."
        )
    known = operations.writable_schema(services, call, table)
    judge = None if report is None else _judge(services, call, table, request.mode)
    schema, batches = read(source, Fitting(known, report, judge))
    if not len(schema):
        raise InvalidRequest("There is no row in the body.", code=ErrorCode.INVALID_DATA)
    return ingest_stream(services, call, table, request, BatchStream(schema, batches))


def _judge(services: Services, call: Call, table: TableRef, mode: IngestMode) -> Judge | None:
    """Says of rows that violate the table's rules what a report says of them."""
    find = operations.judge_of(services, call, table, mode)
    if find is None:
        return None

    def judge(batch: pa.RecordBatch) -> dict[int, tuple[str | None, str]]:
        return {at: (one.column, _violated(one)) for at, one in find(batch).items()}

    return judge


def _violated(one: Violation) -> str:
    what = "check" if one.column is None else "constraint"
    return f"it violates the {what} '{one.rule}'"


def ingest_stream(
    services: Services, call: Call, table: TableRef, request: IngestRequest, batches: Any
) -> Commit:
    """Ingests batches. What broke them is the error, not that the engine then failed."""
    broken: list[Exception] = []

    def remembering() -> Iterator[pa.RecordBatch]:
        try:
            yield from batches
        except Exception as error:
            broken.append(error)
            raise

    stream = BatchStream(batches.schema, remembering())
    try:
        return operations.ingest(services, call, table, request, stream)
    except Exception as error:
        raise (broken[0] if broken else error) from None


def whole_row(
    services: Services, call: Call, table: TableRef, row: dict[str, Any]
) -> dict[str, Any]:
    """A row that takes another's place: columns that are left out get their defaults, or null."""
    schema = operations.writable_schema(services, call, table, Action.UPDATE)
    known = [field.name for field in schema if COMPUTED_WITH not in (field.metadata or {})]
    defaults = operations.column_defaults(services, call, table)
    given = {name.lower() for name in row}
    rest = {
        name: {EXPRESSION: defaults[name]} if name in defaults else None
        for name in known
        if name.lower() not in given
    }
    return {**row, **rest}


def read_json_body(
    rows_max: int,
) -> Callable[[Any, Fitting], tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """Reads one object, a list of them, or `{"rows": […]}`; LimitExceeded (too_large) beyond."""

    def read(source: Any, fitting: Fitting) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        rows = rows_of(loaded_json(source.read(), "The body"))
        check_count(len(rows), rows_max, "rows")
        return row_batches(rows, fitting)

    return read


def rows_of(body: Any) -> list[Any]:
    """The rows of a body of JSON."""
    if isinstance(body, dict) and isinstance(body.get(ROWS), list) and len(body) == 1:
        found: list[Any] = body[ROWS]
        return found
    return body if isinstance(body, list) else [body]


def check_count(count: int, most: int, what: str) -> None:
    """LimitExceeded (too_large) where a body of JSON holds more than it may."""
    if count > most:
        raise LimitExceeded(
            f"The body holds {count} {what}, and one of JSON may hold {most}. Send several, or "
            "JSON lines, CSV or Arrow, which have no such limit.",
            code=ErrorCode.TOO_LARGE,
            details={"limit": most},
        )
