"""Uploads: files in parts, each at its offset, until they are imported or forgotten.

How much has come is the size of the file: a part that was cut, or whose answer was lost, is gone on
with from there. Nobody but its principal learns that an upload exists.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flight_server.errors import (
    Conflict,
    ErrorCode,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    Unavailable,
)
from flight_server.metastore.uploads import KeptUpload, UploadStore
from flight_server.operations.services import Call, Services

FOLDER = "uploads"
CHUNK_BYTES = 2**20
NAME_LENGTH_MAX = 500
_ID = re.compile("[0-9a-f]{32}")
_SHA256 = re.compile("[0-9a-f]{64}")


class Bytes(Protocol):
    """Where a part comes from."""

    def read(self, size: int = -1) -> bytes:
        """Up to so many bytes, none at the end."""


@dataclass(frozen=True)
class Upload:
    """An upload as its principal sees it: `offset` bytes of it are there."""

    kept: KeptUpload
    offset: int
    expires_at: dt.datetime


def create_upload(
    services: Services, call: Call, name: str, size: int | None = None, sha256: str | None = None
) -> Upload:
    """A new upload. InvalidRequest; LimitExceeded."""
    _sweep(services)
    if not 0 < len(name) <= NAME_LENGTH_MAX or "\0" in name:
        raise InvalidRequest(f"The name of a file has 1 to {NAME_LENGTH_MAX} characters.")
    _check_size(services, size or 0)
    store = UploadStore(services.metastore)
    most = services.settings.uploads_max
    if store.count(call.principal.id) >= most:
        raise LimitExceeded(f"You have {most} uploads: remove one, or wait until some expire.")
    who = call.principal
    kept = store.add(who.workspace, who.id, name, size, _digest(sha256))
    path = _path(services, kept.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return _told(services, kept)


def list_uploads(services: Services, call: Call) -> list[Upload]:
    """One's uploads, the youngest first."""
    found = UploadStore(services.metastore).of(call.principal.workspace, call.principal.id)
    return [_told(services, kept) for kept in found if _is_there(services, kept)]


def describe_upload(services: Services, call: Call, id: str) -> Upload:
    """How far an upload is. NotFound (upload_not_found)."""
    return _told(services, _mine(services, call, id))


def write_part(
    services: Services, call: Call, id: str, offset: int, part: Bytes, sha256: str | None = None
) -> Upload:
    """Adds a part at its end. What came of a part that is cut short stays.

    Conflict (offset_conflict) where the end is elsewhere; InvalidRequest (invalid_data) where the
    part is not that of the digest, of which then nothing stays; LimitExceeded; Unavailable.
    """
    kept, expected = _mine(services, call, id), _digest(sha256)
    if kept.is_complete:
        raise InvalidRequest(f"The upload '{id}' is complete: nothing can be added to it.")
    with _writing(services, kept) as file:
        end = os.fstat(file).st_size
        if offset != end:
            raise Conflict(
                f"The part begins at {offset}, and the upload has {end} bytes: go on from there.",
                code=ErrorCode.OFFSET_CONFLICT,
                details={"offset": end},
            )
        digest = hashlib.sha256()
        most = services.settings.upload_bytes_max if kept.size is None else kept.size
        while data := part.read(CHUNK_BYTES):
            end += len(data)
            _check_room(services, kept, end, most, len(data))
            _write(file, data)
            if expected is not None:
                digest.update(data)
        if expected is not None and digest.hexdigest() != expected:
            os.ftruncate(file, offset)
            raise InvalidRequest(
                f"The part has the SHA-256 {digest.hexdigest()}, and {expected} was said. Nothing "
                "of it was kept: send it again.",
                code=ErrorCode.INVALID_DATA,
                details={"offset": offset},
            )
    UploadStore(services.metastore).touch(id)
    return _told(services, _mine(services, call, id))


def complete_upload(services: Services, call: Call, id: str, sha256: str | None = None) -> Upload:
    """Nothing comes any more: checks size and digest, and makes it safe. InvalidRequest."""
    kept = _mine(services, call, id)
    expected = _digest(sha256) or kept.sha256
    if kept.is_complete:
        return _told(services, kept)
    with _writing(services, kept) as file:
        size = os.fstat(file).st_size
        if kept.size is not None and size != kept.size:
            raise InvalidRequest(
                f"The upload has {size} bytes of {kept.size}: send the rest first.",
                code=ErrorCode.INVALID_DATA,
                details={"offset": size},
            )
        found = _digest_of(services, call, id) if expected is not None else None
        if found != expected:
            raise InvalidRequest(
                f"The upload has the SHA-256 {found}, and {expected} was said: something went "
                "wrong on the way. Send it anew.",
                code=ErrorCode.INVALID_DATA,
            )
        os.fsync(file)
    UploadStore(services.metastore).complete(id, size, expected)
    return _told(services, _mine(services, call, id))


def drop_upload(services: Services, call: Call, id: str) -> None:
    """Removes an upload. NotFound (upload_not_found)."""
    kept = _mine(services, call, id)
    _remove(services, kept.id)


def whole_upload(services: Services, call: Call, id: str) -> Upload:
    """An upload that can be imported. NotFound; InvalidRequest where parts are missing."""
    kept = _mine(services, call, id)
    if not kept.is_complete:
        raise InvalidRequest(f"The upload '{id}' is not complete: complete it first.")
    # Whoever imports it needs it for a while.
    UploadStore(services.metastore).touch(id)
    return _told(services, kept)


def _mine(services: Services, call: Call, id: str) -> KeptUpload:
    """One of the caller's. NotFound, alike for those of others."""
    who = call.principal
    kept = UploadStore(services.metastore).find(id) if _ID.fullmatch(id) else None
    if kept is None or (kept.principal_id, kept.workspace) != (who.id, who.workspace):
        raise _not_found(id)
    if not _is_there(services, kept):
        raise _not_found(id)
    return kept


def _is_there(services: Services, kept: KeptUpload) -> bool:
    """Whether it can be used: it has not expired, and the server was not killed as it began it."""
    is_young = _expiry(services, kept) >= dt.datetime.now(dt.UTC)
    return is_young and _path(services, kept.id).exists()


def _not_found(id: str) -> NotFound:
    return NotFound(
        f"There is no upload '{id[:80]}'; it may have expired.", code=ErrorCode.UPLOAD_NOT_FOUND
    )


def _told(services: Services, kept: KeptUpload) -> Upload:
    try:
        offset = _path(services, kept.id).stat().st_size
    except FileNotFoundError:
        offset = 0
    return Upload(kept, offset, _expiry(services, kept))


def _expiry(services: Services, kept: KeptUpload) -> dt.datetime:
    return kept.touched_at + dt.timedelta(seconds=services.settings.upload_seconds_max)


def _path(services: Services, id: str) -> Path:
    return services.settings.data / FOLDER / id


@contextmanager
def _writing(services: Services, kept: KeptUpload) -> Iterator[int]:
    """The file, for one writer at a time. Conflict."""
    try:
        file = os.open(_path(services, kept.id), os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except FileNotFoundError:
        raise _not_found(kept.id) from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"Another part of the upload '{kept.id}' is being written.") from None
        yield file
    finally:
        os.close(file)


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _check_room(services: Services, kept: KeptUpload, end: int, most: int, more: int) -> None:
    if end > most:
        raise LimitExceeded(
            f"The upload '{kept.id}' may have {most} bytes, and more were sent.",
            code=ErrorCode.TOO_LARGE,
            details={"limit": most},
        )
    free = shutil.disk_usage(services.settings.data).free
    if free - more < services.settings.disk_free_bytes_min:
        raise Unavailable("The server's disk is nearly full: go on with the upload later.")


def _check_size(services: Services, size: int) -> None:
    most = services.settings.upload_bytes_max
    if size > most:
        raise LimitExceeded(
            f"The file has {size} bytes, and an upload may have {most}.",
            code=ErrorCode.TOO_LARGE,
            details={"limit": most},
        )


def _digest(text: str | None) -> str | None:
    if text is None:
        return None
    if not _SHA256.fullmatch(text.lower()):
        raise InvalidRequest(f"'sha256' is '{text[:80]}': give 64 digits of base 16.")
    return text.lower()


def _digest_of(services: Services, call: Call, id: str) -> str:
    digest = hashlib.sha256()
    with _path(services, id).open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            call.cancellation.check()
            digest.update(data)
    return digest.hexdigest()


def _sweep(services: Services) -> None:
    """Removes uploads of which nothing was heard for long."""
    seconds = services.settings.upload_seconds_max
    oldest = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds)
    for one in UploadStore(services.metastore).untouched_since(oldest):
        _remove(services, one)


def _remove(services: Services, id: str) -> None:
    _path(services, id).unlink(missing_ok=True)
    UploadStore(services.metastore).remove(id)
