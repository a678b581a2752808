"""The formats of files: their names, endings and compressions, and which one a name means.

A format is told by the file's ending, a compression by an ending after it: `flights.csv.gz`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flight_server.errors import InvalidRequest, did_you_mean

NONE = "none"


@dataclass(frozen=True)
class FileFormat:
    """One format. `codecs` are the compressions that it can be written with.

    `usual_codec` is that of whoever asks for a smaller file without saying how; `codec` that of
    whoever says nothing. `is_text` says that the codec is around the file, and not within it.
    """

    name: str
    endings: tuple[str, ...]
    media_type: str
    codecs: tuple[str, ...]
    usual_codec: str
    codec: str = NONE
    is_text: bool = False

    @property
    def ending(self) -> str:
        """The first of its endings, which new files get."""
        return self.endings[0]


_TEXT_CODECS = (NONE, "gzip", "zstd")
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMATS = {
    one.name: one
    for one in (
        FileFormat("csv", (".csv", ".tsv", ".tab"), "text/csv", _TEXT_CODECS, "gzip", is_text=True),
        FileFormat("json", (".json",), "application/json", _TEXT_CODECS, "gzip", is_text=True),
        FileFormat(
            "jsonl",
            (".jsonl", ".ndjson"),
            "application/x-ndjson",
            _TEXT_CODECS,
            "gzip",
            is_text=True,
        ),
        FileFormat(
            "parquet",
            (".parquet", ".pq"),
            "application/vnd.apache.parquet",
            (NONE, "snappy", "lz4", "zstd", "gzip", "brotli"),
            "zstd",
            "zstd",
        ),
        FileFormat("excel", (".xlsx",), _SHEET, (NONE,), NONE),
        FileFormat(
            "arrow",
            (".arrow", ".feather", ".ipc"),
            "application/vnd.apache.arrow.file",
            (NONE, "lz4", "zstd"),
            "zstd",
        ),
        FileFormat("lance", (".lance",), "application/octet-stream", (NONE,), NONE),
    )
}
# The endings of files that are compressed as a whole.
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_SPELLINGS = {"ndjson": "jsonl", "xlsx": "excel", "ipc": "arrow", "feather": "arrow"}


def format_named(name: str) -> FileFormat:
    """The format of a name. InvalidRequest lists those there are."""
    found = FORMATS.get(_SPELLINGS.get(name.lower(), name.lower()))
    if found is None:
        raise InvalidRequest(
            f"There is no format '{name[:40]}'.{did_you_mean(name, FORMATS)} "
            f"Formats are {', '.join(FORMATS)}."
        )
    return found


def format_of_path(path: str) -> tuple[FileFormat, str | None] | None:
    """The format and the compression around it that a path's endings tell; None where none does."""
    name = path.rstrip("/").rpartition("/")[2].lower()
    compression = None
    for ending, codec in COMPRESSIONS.items():
        if name.endswith(ending):
            name, compression = name.removesuffix(ending), codec
    for one in FORMATS.values():
        if name.endswith(one.endings):
            return one, compression
    return None


def codec_for(kind: FileFormat, codec: str | None, compress: bool = False) -> str:
    """The codec to write with. InvalidRequest lists those that the format has."""
    if codec is None:
        return kind.usual_codec if compress else kind.codec
    wanted = codec.lower()
    if wanted not in kind.codecs:
        raise InvalidRequest(
            f"The format {kind.name} has no compression '{codec[:40]}'."
            f"{did_you_mean(codec, kind.codecs)} It has {_listed(kind.codecs)}."
        )
    return wanted


def ending_of(kind: FileFormat, codec: str) -> str:
    """How names of new files end: `.csv`, `.csv.gz`, `.parquet`."""
    around = {name: ending for ending, name in COMPRESSIONS.items()}
    return kind.ending + (around.get(codec, "") if kind.is_text else "")


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
