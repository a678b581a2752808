"""Exports: rows as files, made by a job, and fetched from here where they go nowhere else."""

from __future__ import annotations

import base64
from typing import Any

from fastapi import APIRouter, Response

from control_api.dependencies import Call, Services
from control_api.files import FileAnswer
from control_api.openapi.shared import errors
from flight_server import operations
from flight_server.bodies.jobs import SubmitExport, job_told
from flight_server.errors import ErrorCode
from flight_server.transfer.formats import FORMATS

router = APIRouter(prefix="/batch", tags=["jobs"])

_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_OBJECTS: dict[str, Any] = {"schema": {"type": "array", "items": {"type": "object"}}}
_TYPES = {
    **dict.fromkeys(("application/zip", "application/gzip", "application/zstd"), _BYTES),
    **dict.fromkeys(sorted({one.media_type for one in FORMATS.values()}), _BYTES),
    "application/json": _OBJECTS,
}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file. ETag and Repr-Digest hold its SHA-256.", "content": _TYPES},
    206: {"description": "The part of the file that Range names.", "content": _TYPES},
    **errors(ErrorCode.RANGE_UNSATISFIABLE),
}


@router.post("/export", status_code=201)
def export_rows(services: Services, call: Call, body: SubmitExport) -> dict[str, Any]:
    """Submits a job that writes rows of one moment as files.

    Without a destination the result is fetched from `/batch/jobs/{job_id}/download`.
    """
    return job_told(body.submit(services, call))


@router.get("/jobs/{job_id}/download", response_class=Response, responses=_FILE)
def download_result(services: Services, call: Call, job_id: str) -> Response:
    """The file that an export has written; of several an archive. Parts of it by Range."""
    found = operations.describe_result(services, call, job_id)
    digest = base64.b64encode(bytes.fromhex(found.sha256)).decode()
    headers = {"etag": f'"{found.sha256}"', "repr-digest": f"sha-256=:{digest}:"}
    return FileAnswer(found.path, found.name, found.media_type, headers)
