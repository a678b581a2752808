"""What a URL answers, brought to a file first: so it can be read twice, and from any place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from flight_server.dialling import Dialling
from flight_server.settings import Settings
from flight_server.transfer.sources.folders import LocalFile

IDLE_SECONDS = 30.0


def download(
    url: str,
    settings: Settings,
    dialling: Dialling,
    target: Path,
    check: Callable[[], None],
    bytes_max: int | None = None,
) -> LocalFile:
    """The content of a URL, in a file. Errors as `dialling.fetching.fetch`.

    With `bytes_max` no more than about that of it is read, whatever its size.
    """
    from flight_server.dialling.fetching import FetchLimits, fetch

    limits = FetchLimits(
        bytes_max=settings.import_bytes_max,
        seconds_max=settings.import_url_seconds_max,
        idle_seconds=IDLE_SECONDS,
    )
    received, digest = 0, hashlib.sha256()
    with target.open("wb") as file, fetch(url, dialling, limits, check=check) as fetched:
        for chunk in fetched.chunks:
            file.write(chunk)
            digest.update(chunk)
            received += len(chunk)
            if bytes_max is not None and received >= bytes_max:
                break
    return LocalFile.at(f"'{url}'", target, digest.hexdigest())
