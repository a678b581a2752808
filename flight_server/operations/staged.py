"""Rows that a worker has laid into files: who may put them, and which files those are."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa

from flight_server.engines.base import require
from flight_server.engines.staging import SupportsStaging
from flight_server.errors import Forbidden, InvalidRequest
from flight_server.model import Commit, IngestRequest, Staged, TableRef
from flight_server.operations.services import Call, Services, engine_of

_NAME = re.compile(r"(?P<job>.+)-\d+/[0-9a-z]+\.parquet")


def ingest_staged(
    services: Services,
    call: Call,
    table: TableRef,
    request: IngestRequest,
    schema: pa.Schema,
    staged: Staged,
) -> Commit:
    """Files become rows of a table that may be written to. Forbidden; InvalidRequest; NotFound."""
    engine = require(engine_of(services, call, table.catalog), SupportsStaging)
    files = [_file(services.settings.attempts, call.principal.job, name) for name in staged.files]
    author = call.author(f"ingest ({request.mode})", table)
    call.meter.received(staged.rows, staged.bytes)
    with call.meter.stream():
        return engine.ingest_staged(table, request, schema, files, author, call.cancellation)


def _file(folder: Path, job: str, name: str) -> Path:
    """A file that an attempt at the job has written: none else is anybody's to put."""
    if not job:
        raise Forbidden("'staged' is for the server's own workers. Send the rows themselves.")
    match = _NAME.fullmatch(name)
    if match is None or match["job"] != job:
        raise Forbidden("A file that is 'staged' is not one of this job's own.")
    path = folder / name
    if path.resolve() != folder.resolve() / name or not path.is_file():
        raise InvalidRequest("A file that is 'staged' is not there.")
    return path
