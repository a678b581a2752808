"""Imports: files of many formats into tables, and the uploads that they come by."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from control_api.dependencies import Call, Services
from control_api.described import BINARY_BODY
from control_api.uploads import Body
from flight_server import operations
from flight_server.bodies.import_requests import PreviewImport, SubmitImport
from flight_server.bodies.jobs import job_told
from flight_server.bodies.uploads import CreateUpload, UploadSum, upload_told

router = APIRouter(prefix="/batch", tags=["imports"])


@router.post("/import", status_code=201)
def import_data(services: Services, call: Call, body: SubmitImport) -> dict[str, Any]:
    """Reads a file into a table, as a job: an upload, a URL, or a place that settings allow."""
    return job_told(body.submit(services, call))


@router.post("/import/preview")
def preview_import(services: Services, call: Call, body: PreviewImport) -> dict[str, Any]:
    """What an import would find: columns, their types, the first rows, and what is wrong."""
    return body.preview(services, call)


@router.get("/uploads")
def list_uploads(services: Services, call: Call) -> dict[str, Any]:
    """Your uploads, the youngest first."""
    found = operations.list_uploads(services, call)
    return {"uploads": [upload_told(one) for one in found]}


@router.post("/uploads", status_code=201)
def create_upload(services: Services, call: Call, body: CreateUpload) -> dict[str, Any]:
    """Begins an upload. Its parts are sent one after another, each at its offset."""
    return upload_told(body.create(services, call))


@router.get("/uploads/{upload_id}")
def describe_upload(services: Services, call: Call, upload_id: str) -> dict[str, Any]:
    """How far an upload is: `offset` is where the next part begins."""
    return upload_told(operations.describe_upload(services, call, upload_id))


@router.put("/uploads/{upload_id}", openapi_extra=BINARY_BODY)
def write_part(
    services: Services,
    call: Call,
    upload_id: str,
    body: Body,
    offset: Annotated[int, Query(ge=0, description="How many bytes are there already.")] = 0,
    sha256: Annotated[str | None, Query(min_length=64, max_length=64)] = None,
) -> dict[str, Any]:
    """Adds bytes at the end. What came of a part that was cut stays: go on at the new `offset`."""
    return upload_told(operations.write_part(services, call, upload_id, offset, body, sha256))


@router.post("/uploads/{upload_id}/complete")
def complete_upload(
    services: Services, call: Call, upload_id: str, body: UploadSum
) -> dict[str, Any]:
    """Ends an upload, whose size and SHA-256 are checked where they were said."""
    return upload_told(operations.complete_upload(services, call, upload_id, body.sha256))


@router.delete("/uploads/{upload_id}", status_code=204, response_class=Response)
def drop_upload(services: Services, call: Call, upload_id: str) -> None:
    """Removes an upload."""
    operations.drop_upload(services, call, upload_id)
