"""Uploads as clients ask for them, and what they are told."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from flight_server import operations
from flight_server.bodies.requests import Body
from flight_server.jobs.records import text_of
from flight_server.operations import Call, Services
from flight_server.operations.uploads import Upload

Sha256 = Annotated[str, Field(min_length=64, max_length=64)]


class CreateUpload(Body):
    """`create_upload`: a file that is to come; its size and SHA-256, where they are known."""

    name: Annotated[str, Field(min_length=1, max_length=500)]
    bytes: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    sha256: Sha256 | None = None

    def create(self, services: Services, call: Call) -> Upload:
        """Makes it. Errors as `operations.create_upload`."""
        return operations.create_upload(services, call, self.name, self.bytes, self.sha256)


class OfUpload(Body):
    """Something about one upload."""

    upload_id: str


class CompleteUpload(OfUpload):
    """`complete_upload`."""

    sha256: Sha256 | None = None


class UploadSum(Body):
    """What the whole is to be."""

    sha256: Sha256 | None = None


class UploadPart(OfUpload):
    """`upload_part`: where the bytes that follow it belong."""

    offset: Annotated[int, Field(ge=0)]
    sha256: Sha256 | None = None


def upload_told(one: Upload) -> dict[str, Any]:
    """An upload."""
    kept = one.kept
    return {
        "upload_id": kept.id,
        "name": kept.name,
        "bytes": kept.size,
        "sha256": kept.sha256,
        "offset": one.offset,
        "complete": kept.is_complete,
        "created_at": text_of(kept.created_at),
        "expires_at": text_of(one.expires_at),
    }
