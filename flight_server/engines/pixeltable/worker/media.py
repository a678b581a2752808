"""Where media may be read from: nobody reads the server's own files by naming them in a row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from flight_server.errors import ErrorCode, InvalidRequest


def checked(url: str, allowed: Sequence[str]) -> str:
    """The URL, or the path, that Pixeltable is to read. InvalidRequest where it may not.

    `allowed` are whole paths of folders, and s3://bucket/prefix.
    """
    scheme = urlsplit(url).scheme.lower()
    if scheme == "s3":
        within = any(_is_below(url, place) for place in allowed if place.startswith("s3://"))
        if within and "/../" not in f"{url}/":
            return url
    elif scheme in ("", "file"):
        path = Path(unquote(urlsplit(url).path) if scheme else url).resolve()
        folders = [Path(place).resolve() for place in allowed if place.startswith("/")]
        if any(path.is_relative_to(folder) for folder in folders):
            return str(path)
    else:
        raise InvalidRequest(
            f"Media are not fetched by '{scheme}:'. Send images as bytes, or put files where "
            "import_sources allows them to be read from.",
            code=ErrorCode.ADDRESS_REFUSED,
        )
    raise InvalidRequest(
        f"'{url[:200]}' is in no place that media may be read from (the setting import_sources).",
        code=ErrorCode.ADDRESS_REFUSED,
    )


def _is_below(url: str, place: str) -> bool:
    return url.startswith(f"{place.rstrip('/')}/")
