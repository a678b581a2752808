"""Which files are meant, what is in them, and how their bytes are had.

A format is told by the file's ending, a compression by an ending after it (`flights.csv.gz`);
on standard input the format is said and the compression seen from its first bytes.
"""

from __future__ import annotations

import glob
import io
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from flight_server.cli.formats.pipes import LiveRows
from flight_server.errors import ErrorCode, InvalidRequest, NotFound, did_you_mean

FORMATS = {
    "csv": (".csv", ".tsv", ".tab"),
    "json": (".jsonl", ".ndjson", ".json"),
    "parquet": (".parquet", ".pq"),
    "arrow": (".arrow", ".arrows", ".feather", ".ipc"),
}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".lz4": "lz4", ".zip": "zip"}
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
# How files begin that are not the text they are called.
_OTHERS = {b"PAR1": ("a Parquet", "parquet"), b"ARROW1": ("an Arrow", "arrow")}
STDIN = "-"


def find_files(patterns: list[str], format: str | None, is_live: bool = False) -> list[InputFile]:
    """The files of paths and glob patterns, those of a pattern sorted; `-` is standard input.

    With `is_live` its rows are had as they come, and the first of them tell the types.
    InvalidRequest and NotFound name the path or pattern that does not work out.
    """
    found: list[InputFile] = []
    for pattern in patterns:
        for path in _matches(pattern):
            found.append(InputFile(path, *format_of(path, format), is_live=is_live))
    if sum(file.is_stdin for file in found) > 1:
        raise InvalidRequest("Standard input ('-') can be given once only.")
    return found


def format_of(path: str, format: str | None = None) -> tuple[str, str | None]:
    """The format and the compression of a path. InvalidRequest lists the formats there are."""
    if format is not None and format not in FORMATS:
        raise InvalidRequest(
            f"There is no format '{format}'.{did_you_mean(format, FORMATS)} {_known_formats()}"
        )
    if path == STDIN:
        if format is None:
            raise InvalidRequest("Say what comes on standard input: --format csv, for example.")
        return format, None
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    compression = COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    ending = (suffixes[-2:-1] if compression else suffixes[-1:]) or [""]
    by_ending = {end: name for name, ends in FORMATS.items() for end in ends}
    found = format or by_ending.get(ending[0])
    if found is None:
        what = f"ends in '{ending[0]}'" if ending[0] else "has no ending"
        raise InvalidRequest(
            f"The format of '{path}' is not known: it {what}. {_known_formats()} "
            "Or name it with --format."
        )
    return found, compression


def is_tab_separated(path: str) -> bool:
    """Whether the name says that tabs separate the values."""
    return any(suffix in (".tsv", ".tab") for suffix in Path(path.lower()).suffixes)


def check_text(file: InputFile, start: bytes) -> None:
    """InvalidRequest (invalid_data) where a file that is read as text begins as no text does."""
    for magic, (kind, found) in _OTHERS.items():
        if start.startswith(magic):
            raise InvalidRequest(
                f"{file} is {kind} file, whatever its name says: --format {found} reads it.",
                code=ErrorCode.INVALID_DATA,
            )
    wide = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}.get(start[:2])
    if wide is None and b"\0" in start[:2]:
        # Without a mark the place of the zero tells which byte of a letter comes first.
        wide = "utf-16be" if start[:1] == b"\0" else "utf-16le"
    if wide is not None:
        raise InvalidRequest(
            f"{file} is UTF-16. Convert it first: iconv -f {wide} -t utf-8 {file.path} > utf8",
            code=ErrorCode.INVALID_DATA,
        )


class InputFile:
    """One file to read, or standard input. It can be opened several times; stdin only once.

    `position` says how many of the file's `size` bytes have been read.
    """

    def __init__(
        self, path: str, format: str, compression: str | None, *, is_live: bool = False
    ) -> None:
        self.path = path
        self.format = format
        self.compression = compression
        self.is_stdin = path == STDIN
        self._is_live = is_live and format in ("csv", "json")
        self.size = 0 if self.is_stdin else Path(path).stat().st_size
        self._raw: Any = None
        self._position = 0
        self._head = b""
        self._rest: Any = None

    def __str__(self) -> str:
        return "standard input" if self.is_stdin else self.path

    @property
    def position(self) -> int:
        """How far reading has come, in bytes of the file as it is on disk."""
        if self._raw is not None and not self._raw.closed:
            self._position = self._raw.tell()
        return self._position

    @position.setter
    def position(self, position: int) -> None:
        self._raw, self._position = None, position

    def sample(self, bytes_max: int) -> bytes:
        """The first bytes, decompressed; reading starts before them nevertheless."""
        if self.is_stdin:
            stdin = self._stdin()
            if isinstance(stdin, LiveRows):
                self._head = stdin.sample(bytes_max)
                return self._head + stdin.held
            self._head = _read_up_to(stdin, bytes_max)
            return self._head
        with self.open() as stream:
            return _read_up_to(stream, bytes_max)

    def open(self) -> Any:
        """The decompressed bytes as a stream from the beginning."""
        if self.is_stdin:
            replayed = _Replayed(self._head, self._stdin())
            return replayed if self._is_live else io.BufferedReader(replayed, 2**20)
        self._raw = pa.OSFile(self.path)
        if self.compression == "zip":
            return _only_member(self.path, self._raw)
        if self.compression:
            return pa.CompressedInputStream(self._raw, self.compression)
        return self._raw

    def open_seekable(self) -> Any:
        """The same as a file that can be read from any place, by way of a temporary one."""
        if not self.is_stdin and not self.compression:
            return pa.memory_map(self.path)
        with tempfile.NamedTemporaryFile() as copy:
            with self.open() as stream:
                shutil.copyfileobj(stream, copy, 2**20)
            copy.flush()
            # What is mapped stays readable when the name is gone.
            return pa.memory_map(copy.name)

    def _stdin(self) -> Any:
        if self._rest is None:
            raw: Any = sys.stdin.buffer
            start = raw.peek(4)
            kind = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
            if kind:
                self._rest = pa.CompressedInputStream(pa.PythonFile(raw), kind)
            else:
                self._rest = LiveRows(raw, self.format == "csv") if self._is_live else raw
        return self._rest


class _Replayed(io.RawIOBase):
    """A stream whose first bytes had been read already."""

    def __init__(self, head: bytes, rest: Any) -> None:
        self._head = memoryview(head)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part: Any = self._head[: len(buffer)]
        self._head = self._head[len(part) :]
        part = part or self._rest.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


def _read_up_to(stream: Any, bytes_max: int) -> bytes:
    parts = []
    while bytes_max > 0 and (part := stream.read(bytes_max)):
        parts.append(part)
        bytes_max -= len(part)
    return b"".join(parts)


def _only_member(path: str, raw: Any) -> Any:
    try:
        archive = zipfile.ZipFile(raw)
    except zipfile.BadZipFile:
        raise _damaged(path, "it is not a zip archive") from None
    names = [name for name in archive.namelist() if not name.endswith("/")]
    if len(names) != 1:
        raise InvalidRequest(f"'{path}' holds {len(names)} files; a zip archive may hold one only.")
    return archive.open(names[0])


def _damaged(path: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"'{path}' cannot be read: {why}.", code=ErrorCode.INVALID_DATA)


def _matches(pattern: str) -> list[str]:
    if pattern == STDIN:
        return [STDIN]
    path = Path(pattern).expanduser()
    if path.is_dir():
        raise InvalidRequest(f"'{pattern}' is a folder. Name its files: '{pattern}/*.parquet'.")
    if path.exists():
        return [str(path)]
    if not glob.has_magic(pattern):
        near = did_you_mean(path.name, _neighbours(path))
        raise NotFound(f"The file '{pattern}' does not exist.{near}")
    found = sorted(glob.glob(str(path), recursive=True))
    files = [match for match in found if Path(match).is_file()]
    if not files:
        raise NotFound(f"No file matches '{pattern}'.")
    return files


def _neighbours(path: Path) -> list[str]:
    return [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []


def _known_formats() -> str:
    known = ", ".join(f"{name} ({' '.join(ends)})" for name, ends in FORMATS.items())
    return f"Formats are {known}; each may be followed by {' '.join(COMPRESSIONS)}."
