"""Which place a destination means, and whether results may go there.

The server writes as itself. So nothing is allowed but what the setting `export_destinations`
names: folders, and prefixes of buckets.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from flight_server.errors import Forbidden, InvalidRequest
from flight_server.settings import Settings
from flight_server.transfer.formats import format_of_path
from flight_server.transfer.object_stores import SCHEME, s3_path
from flight_server.transfer.outputs import Layout
from flight_server.transfer.places.base import Place
from flight_server.transfer.places.buckets import BucketPlace
from flight_server.transfer.places.files import FilePlace

DOWNLOADS = "exports"


@dataclass(frozen=True)
class Target:
    """Where a result goes, checked. `path` has the bucket first where it is one of S3."""

    path: str
    is_bucket: bool
    is_folder: bool
    overwrite: bool = False

    def as_json(self) -> dict[str, Any]:
        """What a note says of it."""
        return asdict(self)


def downloads(settings: Settings, job_id: str) -> Path:
    """The folder of a result that is fetched from the server."""
    return settings.data / DOWNLOADS / job_id


def checked_target(
    settings: Settings, destination: str, layout: Layout, overwrite: bool = False
) -> Target:
    """The target that a text means. InvalidRequest; Forbidden where results must not go there."""
    is_bucket = destination.startswith(SCHEME)
    path = s3_path(destination) if is_bucket else _local(destination)
    if not layout.is_folder:
        path = _file_path(path, layout)
    path = path.rstrip("/")
    if is_bucket:
        _allow_bucket(settings, path)
    else:
        path = str(_allowed_folder(settings, Path(path)))
    return Target(path, is_bucket, layout.is_folder, overwrite)


def place_of(settings: Settings, job_id: str, target: Target | None) -> Place:
    """The place of a job's result; without a target, where it is fetched from the server."""
    if target is None:
        return FilePlace(downloads(settings, job_id), job_id, is_folder=True, overwrite=True)
    if target.is_bucket:
        return BucketPlace(settings, job_id, target.path, target.is_folder, target.overwrite)
    path = _allowed_folder(settings, Path(target.path))
    return FilePlace(path, job_id, target.is_folder, target.overwrite)


def _local(destination: str) -> str:
    parts = urlsplit(destination)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        destination = unquote(parts.path)
    elif parts.scheme and "://" in destination:
        raise InvalidRequest(
            f"'{destination[:200]}' is no destination: give the path of a folder or a file on the "
            "server, or s3://bucket/prefix."
        )
    if not destination.startswith("/") or "\0" in destination:
        raise InvalidRequest(
            f"The destination '{destination[:200]}' is not a whole path, which begins with '/'."
        )
    if ".." in destination.split("/"):
        raise InvalidRequest(f"The destination '{destination[:200]}' holds '..'.")
    return destination


def _file_path(path: str, layout: Layout) -> str:
    """The path of the one file: below a path that ends with a slash it has a name of ours."""
    if path.endswith("/"):
        return path + layout.name
    found = format_of_path(path)
    around = layout.options.codec if layout.kind.is_text else None
    if found is None or found[0] is not layout.kind or (found[1] or "none") != (around or "none"):
        ending = layout.name.removeprefix(layout.stem)
        raise InvalidRequest(
            f"'{path[:200]}' does not end in '{ending}', as the file does. A folder to put it into "
            "ends with a slash."
        )
    return path


def _allow_bucket(settings: Settings, path: str) -> None:
    own = (settings.lake_files or "").removeprefix(SCHEME)
    if own != settings.lake_files and (_is_below(path, own) or _is_below(own, path)):
        raise _own(f"{SCHEME}{path}")
    for one in settings.export_destinations:
        if one.startswith(SCHEME) and _is_below(path, one.removeprefix(SCHEME)):
            return
    raise _forbidden(f"{SCHEME}{path}")


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix.rstrip("/") or path.startswith(f"{prefix.rstrip('/')}/")


def _allowed_folder(settings: Settings, path: Path) -> Path:
    """The path without links, in one of the folders that are allowed."""
    found = path.resolve()
    own = [settings.data.resolve()]
    if settings.lake_files and not settings.lake_files.startswith(SCHEME):
        own.append(Path(settings.lake_files).resolve())
    if any(found.is_relative_to(one) or one.is_relative_to(found) for one in own):
        raise _own(str(path))
    for one in settings.export_destinations:
        if not one.startswith(SCHEME):
            folder = Path(one).resolve()
            if found != folder and found.is_relative_to(folder):
                return found
    raise _forbidden(str(path))


def _own(where: str) -> Forbidden:
    return Forbidden(f"'{where[:200]}' is where the server keeps its own data.")


def _forbidden(where: str) -> Forbidden:
    return Forbidden(
        f"Exports must not be written to '{where[:200]}'. The operator allows destinations by the "
        "setting export_destinations; without a destination the result can be downloaded."
    )
