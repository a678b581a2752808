"""A source by its name: what kind it is, whether it may be read, and its bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from flight_server.dialling import Destination, Dialling
from flight_server.errors import ErrorCode, InvalidRequest, LimitExceeded, did_you_mean
from flight_server.settings import Settings
from flight_server.transfer.formats import COMPRESSIONS, FORMATS, format_named
from flight_server.transfer.readers import Reader, ReadOptions, open_reader
from flight_server.transfer.readers.texts import File
from flight_server.transfer.sources import buckets, folders, web
from flight_server.transfer.sources.folders import LocalFile

SCHEMES = ("http", "https", "s3", "file")
# Endings that are read, and written by nobody here.
_COMPRESSIONS = {**COMPRESSIONS, ".bz2": "bz2", ".lz4": "lz4", ".zip": "zip"}
_ENDINGS = {"arrow": (".arrows",), "excel": (".xls", ".xlsb", ".ods", ".xlsm")}
_LANCE = "lance"


class Found(Protocol):
    """A source that has been found; `identity` changes with its content."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def size(self) -> int:
        """Its bytes."""

    @property
    def identity(self) -> str:
        """Something that another content would not have."""

    def open(self) -> pa.NativeFile:
        """Its bytes, from the beginning."""

    def close(self) -> None:
        """Lets go of it."""


@dataclass(frozen=True)
class SourceName:
    """What is to be read: a URL, a path, or an upload, of which `file_name` is the client's name.

    `format` is the name of a format, or None where the name's ending says it.
    """

    url: str | None = None
    upload: Path | None = None
    file_name: str = ""
    format: str | None = None

    def kind(self) -> tuple[str, str | None]:
        """The format and the compression around it. InvalidRequest."""
        return kind_of(self.url or self.file_name, self.format)


@dataclass(frozen=True)
class Opened:
    """A source that can be read."""

    reader: Reader
    size: int
    identity: str


def check_source(source: SourceName, settings: Settings) -> None:
    """Whether a source may be read, as far as its name tells. InvalidRequest; Forbidden."""
    format_name, _ = source.kind()
    url = source.url
    if url is None:
        if format_name == _LANCE:
            raise InvalidRequest("A dataset of Lance is a folder, and an upload is one file.")
        return
    match _scheme(url):
        case "http" | "https":
            if format_name == _LANCE:
                raise InvalidRequest("A dataset of Lance is a folder: no URL answers one.")
            Destination.of(url)
        case "s3":
            buckets.check_bucket(url, settings)
        case _:
            folders.root_of(folders.local_path(url), settings.import_sources)


@contextmanager
def open_source(
    source: SourceName,
    options: ReadOptions,
    settings: Settings,
    dialling: Dialling,
    scratch: Path,
    check: Callable[[], None] = lambda: None,
    bytes_max: int | None = None,
) -> Iterator[Opened]:
    """The source, for a block. `bytes_max` bounds what is fetched of a URL for a first look.

    InvalidRequest; Forbidden; NotFound; and whatever reading from afar can end with.
    """
    check_source(source, settings)
    format_name, compression = source.kind()
    if format_name == _LANCE:
        yield _lance(source, settings, scratch)
        return
    found = _found(source, settings, dialling, scratch, check, bytes_max)
    try:
        if found.size > settings.import_bytes_max:
            raise _too_large(found, settings)
        file = File(found, compression, scratch, settings.import_bytes_max)
        yield Opened(open_reader(file, format_name, options), found.size, found.identity)
    finally:
        found.close()


def kind_of(name: str, format_name: str | None = None) -> tuple[str, str | None]:
    """The format and compression of a name; a query behind a path is no part of its ending."""
    path = name.split("?", 1)[0].split("#", 1)[0] if "://" in name else name
    plain, compression = path.rstrip("/").lower(), None
    for ending, codec in _COMPRESSIONS.items():
        if plain.endswith(ending):
            plain, compression = plain.removesuffix(ending), codec
            break
    if format_name is not None:
        return format_named(format_name).name, compression
    for one in FORMATS.values():
        if plain.endswith((*one.endings, *_ENDINGS.get(one.name, ()))):
            return one.name, compression
    raise InvalidRequest(
        f"The format of '{name[:200]}' is not known from its ending: give a 'format', one of "
        f"{', '.join(FORMATS)}."
    )


def _found(
    source: SourceName,
    settings: Settings,
    dialling: Dialling,
    scratch: Path,
    check: Callable[[], None],
    bytes_max: int | None,
) -> Found:
    if source.upload is not None:
        return LocalFile.at(f"upload '{source.file_name[:80]}'", source.upload)
    assert source.url is not None, "a source is an upload or has a URL"
    match _scheme(source.url):
        case "http" | "https":
            target = scratch / "fetched"
            return web.download(source.url, settings, dialling, target, check, bytes_max)
        case "s3":
            return buckets.open_object(source.url, settings)
    return folders.open_local(folders.local_path(source.url), settings.import_sources)


def _lance(source: SourceName, settings: Settings, scratch: Path) -> Opened:
    from flight_server.transfer.readers.columnar import LanceReader

    assert source.url is not None, "checked before"
    if _scheme(source.url) == "s3":
        located, storage, size = source.url, buckets.lance_options(settings), 0
    else:
        folder = folders.local_folder(folders.local_path(source.url), settings.import_sources)
        located, storage, size = str(folder), {}, sum(folders.sizes_below(folder))
    file = File(_Folder(source.url, size), None, scratch, settings.import_bytes_max)
    return Opened(LanceReader(file, located, storage), size, "lance")


@dataclass(frozen=True)
class _Folder:
    """A dataset as something with a name and a size."""

    url: str
    size: int

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"'{self.url}'"

    def open(self) -> pa.NativeFile:
        """A folder has no bytes of its own."""
        raise InvalidRequest(f"{self.name} is a folder.")


def _scheme(url: str) -> str:
    """`http`, `https`, `s3` or `file`, which a path without a scheme is, too. InvalidRequest."""
    if url.startswith("/"):
        return "file"
    scheme, mark, _ = url.partition("://")
    if not mark or scheme.lower() not in SCHEMES:
        raise InvalidRequest(
            f"'{url[:200]}' is no source.{did_you_mean(scheme, SCHEMES) if mark else ''} Give a "
            "URL that begins with https://, http:// or s3://, the absolute path of a file, or an "
            "upload."
        )
    return scheme.lower()


def _too_large(found: Found, settings: Settings) -> LimitExceeded:
    return LimitExceeded(
        f"{found.name} has {found.size} bytes, and an import may read {settings.import_bytes_max}.",
        code=ErrorCode.TOO_LARGE,
        details={"limit": settings.import_bytes_max},
    )
