"""Objects of S3, as far as settings allow, read with the server's own credentials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.fs

from flight_server.errors import Forbidden, InvalidRequest, NotFound, Unavailable
from flight_server.settings import Settings
from flight_server.transfer.object_stores import s3_filesystem, s3_path


@dataclass(frozen=True)
class BucketObject:
    """One object, whose size was asked for when it was found."""

    filesystem: Any
    path: str
    info: Any

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"'s3://{self.path}'"

    @property
    def size(self) -> int:
        """Its bytes."""
        return int(self.info.size or 0)

    @property
    def identity(self) -> str:
        """Something that another content would not have."""
        return f"{self.size}:{self.info.mtime_ns}"

    def open(self) -> pa.NativeFile:
        """Its bytes, from the beginning."""
        return self.filesystem.open_input_file(self.path)

    def close(self) -> None:
        """Nothing is held."""


def check_bucket(url: str, settings: Settings) -> str:
    """`bucket/key` of a URL that may be read. InvalidRequest; Forbidden."""
    path = s3_path(url)
    if "/" not in path.rstrip("/"):
        raise InvalidRequest(f"'{url[:200]}' names a bucket, and no object in it.")
    own = settings.lake_files or ""
    if own.startswith("s3://") and (_is_below(url, own) or _is_below(own, url)):
        raise Forbidden(f"'{url}' is the lake's own: its tables are read as tables.")
    if not any(_is_below(url, one) for one in settings.import_sources if one.startswith("s3://")):
        raise Forbidden(
            f"'{url}' is in no bucket that may be read: the setting 'import_sources' names those."
        )
    return path


def open_object(url: str, settings: Settings) -> BucketObject:
    """An object that may be read. NotFound besides; Unavailable where S3 does not answer."""
    path = check_bucket(url, settings)
    filesystem = s3_filesystem(settings)
    try:
        info = filesystem.get_file_info(path)
    except OSError as error:
        lines = str(error).splitlines() or ["it does not answer"]
        raise Unavailable(f"'{url}' cannot be read: {lines[0][:200]}.") from None
    if info.type != pyarrow.fs.FileType.File:
        raise NotFound(f"There is no object '{url}'.")
    return BucketObject(filesystem, path, info)


def lance_options(settings: Settings) -> dict[str, str]:
    """How Lance is told to reach S3."""
    secret = settings.s3_secret_access_key
    scheme = "https" if settings.s3_use_ssl else "http"
    values = {
        "aws_access_key_id": settings.s3_access_key_id,
        "aws_secret_access_key": secret.get_secret_value() if secret else None,
        "aws_endpoint": f"{scheme}://{settings.s3_endpoint}" if settings.s3_endpoint else None,
        "aws_region": settings.s3_region,
        "allow_http": None if settings.s3_use_ssl else "true",
    }
    return {name: value for name, value in values.items() if value is not None}


def _is_below(url: str, prefix: str) -> bool:
    """Whether the prefix, of whole parts of a path, is the URL's."""
    return (url.rstrip("/") + "/").startswith(prefix.rstrip("/") + "/")
