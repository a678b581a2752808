"""S3 as the settings say that it is reached."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flight_server.errors import InvalidRequest
from flight_server.settings import Settings

SCHEME = "s3://"
CONNECT_SECONDS_MAX = 10
REQUEST_SECONDS_MAX = 60
ATTEMPTS_MAX = 3


def s3_filesystem(settings: Settings) -> Any:
    """A filesystem of pyarrow's. What the settings lack is looked for where AWS keeps it."""
    from pyarrow import fs

    secret = settings.s3_secret_access_key
    return fs.S3FileSystem(
        access_key=settings.s3_access_key_id,
        secret_key=secret.get_secret_value() if secret is not None else None,
        endpoint_override=settings.s3_endpoint,
        region=settings.s3_region,
        scheme="https" if settings.s3_use_ssl else "http",
        force_virtual_addressing=False,
        connect_timeout=CONNECT_SECONDS_MAX,
        request_timeout=REQUEST_SECONDS_MAX,
    )


def s3_client(settings: Settings) -> Any:
    """AWS's own client, for what is written.

    pyarrow's filesystem makes an object of what had come when writing failed, and leaves markers
    of folders where something was removed.
    """
    import boto3
    from botocore.config import Config

    secret = settings.s3_secret_access_key
    scheme = "https" if settings.s3_use_ssl else "http"
    return boto3.client(
        "s3",
        endpoint_url=f"{scheme}://{settings.s3_endpoint}" if settings.s3_endpoint else None,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret is not None else None,
        config=Config(
            connect_timeout=CONNECT_SECONDS_MAX,
            read_timeout=REQUEST_SECONDS_MAX,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS_MAX},
            s3={"addressing_style": "path" if settings.s3_path_style else "auto"},
            # Servers that are not AWS do not all know of the others.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def s3_path(url: str) -> str:
    """`bucket/key` of an `s3://` URL. InvalidRequest where it names no bucket."""
    parts = urlsplit(url)
    path = f"{parts.netloc}{parts.path}"
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise InvalidRequest(f"'{url[:200]}' is not s3://bucket/prefix.")
    if any(part in ("", ".", "..") for part in path.rstrip("/").split("/")):
        raise InvalidRequest(f"'{url[:200]}' holds an empty part, '.' or '..'.")
    return path
