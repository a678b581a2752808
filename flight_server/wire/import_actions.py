"""Actions about imports and the uploads that they come by."""

from __future__ import annotations

import io
from typing import Any

from flight_server import operations
from flight_server.bodies.actions import Nothing
from flight_server.bodies.import_requests import PreviewImport, SubmitImport
from flight_server.bodies.jobs import job_told
from flight_server.bodies.uploads import (
    CompleteUpload,
    CreateUpload,
    OfUpload,
    UploadPart,
    upload_told,
)
from flight_server.operations import Call, Services
from flight_server.wire.json_actions import Answer, JsonAction


def _import(services: Services, call: Call, body: SubmitImport) -> Answer:
    return job_told(body.submit(services, call))


def _preview(services: Services, call: Call, body: PreviewImport) -> Answer:
    return body.preview(services, call)


def _create(services: Services, call: Call, body: CreateUpload) -> Answer:
    return upload_told(body.create(services, call))


def _list(services: Services, call: Call, body: Any) -> Answer:
    return {"uploads": [upload_told(one) for one in operations.list_uploads(services, call)]}


def _describe(services: Services, call: Call, body: OfUpload) -> Answer:
    return upload_told(operations.describe_upload(services, call, body.upload_id))


def _write(services: Services, call: Call, body: UploadPart, part: bytes) -> Answer:
    written = operations.write_part(
        services, call, body.upload_id, body.offset, io.BytesIO(part), body.sha256
    )
    return upload_told(written)


def _complete(services: Services, call: Call, body: CompleteUpload) -> Answer:
    return upload_told(operations.complete_upload(services, call, body.upload_id, body.sha256))


def _drop(services: Services, call: Call, body: OfUpload) -> Answer:
    operations.drop_upload(services, call, body.upload_id)
    return {}


IMPORT_ACTIONS: dict[str, JsonAction] = {
    "import_data": JsonAction("Read a file into a table, as a job.", SubmitImport, _import),
    "preview_import": JsonAction("What an import would find.", PreviewImport, _preview),
    "create_upload": JsonAction("Begin an upload.", CreateUpload, _create),
    "list_uploads": JsonAction("One's uploads.", Nothing, _list),
    "describe_upload": JsonAction("How far an upload is.", OfUpload, _describe),
    "upload_part": JsonAction(
        "Add bytes to an upload: they follow the JSON after a line's end.",
        UploadPart,
        _write,
        takes_bytes=True,
    ),
    "complete_upload": JsonAction("End an upload.", CompleteUpload, _complete),
    "drop_upload": JsonAction("Remove an upload.", OfUpload, _drop),
}
