"""An export from end to end: rows into files, packed where they are fetched, then given a name.

Used by jobs and by the command line alike.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flight_server.errors import InvalidRequest
from flight_server.transfer.formats import codec_for, format_named
from flight_server.transfer.manifests import MANIFEST, written
from flight_server.transfer.outputs import Layout
from flight_server.transfer.places.base import Check, Result
from flight_server.transfer.writers import WriteOptions
from flight_server.transfer.writers.base import hashed

QUERY = "query"


def layout_for(
    format: str,
    stem: str,
    *,
    codec: str | None = None,
    compress: bool = False,
    header: bool = True,
    delimiter: str = ",",
    partition_by: tuple[str, ...] = (),
    rows_per_file: int | None = None,
) -> Layout:
    """How rows become files. InvalidRequest says what does not go together."""
    kind = format_named(format)
    if delimiter != "," and kind.name != "csv":
        raise InvalidRequest(f"A delimiter goes with csv, not with {kind.name}.")
    if delimiter in '"\r\n\0':
        raise InvalidRequest("A delimiter is neither a quote nor the end of a line.")
    if len(set(partition_by)) < len(partition_by):
        raise InvalidRequest("'partition_by' names a column twice.")
    options = WriteOptions(codec_for(kind, codec, compress), header, delimiter)
    return Layout(kind, options, stem, partition_by, rows_per_file)


def stem_of(table: str | None) -> str:
    """What the file of a table's rows is called, before its ending."""
    name = (table or QUERY).rpartition(".")[2]
    return re.sub(r"[^\w-]+", "_", name).strip("_")[:100] or QUERY


@dataclass(frozen=True)
class Packed:
    """A result that is fetched as one file."""

    result: Result
    download: Mapping[str, Any]


def packed(result: Result, layout: Layout, check: Check) -> Packed:
    """The result as one file to be fetched: itself, or an archive with the manifest in it."""
    if not layout.is_folder:
        only = result.manifest["files"][0]
        told = {"name": only["name"], "bytes": only["bytes"], "sha256": only["sha256"]}
        return Packed(result, told | {"media_type": _media_type(layout)})
    name = f"{layout.stem}.zip"
    path = result.folder / name
    # What is in it is compressed already, or was not to be.
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for one in result.names:
            check()
            archive.write(result.folder / one, one)
            (result.folder / one).unlink()
        archive.writestr(MANIFEST, written(result.manifest))
    _remove_empty(result.folder)
    file = hashed(path)
    told = {"name": name, "bytes": file.bytes, "sha256": file.sha256}
    whole = Result(result.folder, (name,), result.manifest)
    return Packed(whole, told | {"media_type": "application/zip"})


def _media_type(layout: Layout) -> str:
    codec = layout.options.codec if layout.kind.is_text else "none"
    return {"gzip": "application/gzip", "zstd": "application/zstd"}.get(
        codec, layout.kind.media_type
    )


def _remove_empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
