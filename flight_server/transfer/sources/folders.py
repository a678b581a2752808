"""Files of folders that settings allow, and no way out of them.

A path is walked from the allowed folder on, each part opened in the one before without following a
link: whoever can write into the folder cannot point out of it, not even in the last moment.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pyarrow as pa

from flight_server.errors import Forbidden, InvalidRequest, NotFound, PixelflightError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe would keep waiting whoever opens it.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class LocalFile:
    """A file of this machine, held open: what its name means later does not matter."""

    def __init__(self, name: str, descriptor: int, identity: str | None = None) -> None:
        self._name = name
        self._identity = identity
        self._file: BinaryIO = os.fdopen(descriptor, "rb")
        self._status = os.fstat(descriptor)

    @classmethod
    def at(cls, name: str, path: Path, identity: str | None = None) -> LocalFile:
        """A file of the server's own. NotFound."""
        try:
            return cls(name, os.open(path, _FILE), identity)
        except OSError:
            raise NotFound(f"There is no {name}.") from None

    @property
    def name(self) -> str:
        """What messages call it."""
        return self._name

    @property
    def size(self) -> int:
        """Its bytes."""
        return self._status.st_size

    @property
    def identity(self) -> str:
        """Something that another content would not have."""
        if self._identity is not None:
            return self._identity
        return f"{self._status.st_ino}:{self._status.st_size}:{self._status.st_mtime_ns}"

    def open(self) -> pa.NativeFile:
        """Its bytes, from the beginning."""
        own = f"/proc/self/fd/{self._file.fileno()}"
        if os.path.exists(own):
            return pa.OSFile(own)
        self._file.seek(0)
        return pa.PythonFile(self._file, mode="r")

    def close(self) -> None:
        """Lets go of it."""
        self._file.close()


def local_path(text: str) -> PurePosixPath:
    """The path that a text names: `/data/in/a.csv` or `file:///data/in/a.csv`. InvalidRequest."""
    path = text.removeprefix("file://")
    if not path.startswith("/") or "\0" in path:
        raise InvalidRequest(f"'{text[:200]}' is no absolute path.")
    parts = PurePosixPath(path)
    if ".." in parts.parts:
        raise InvalidRequest(f"'{text[:200]}' leads upwards by '..': name the path as it is.")
    return parts


def root_of(path: PurePosixPath, allowed: Sequence[str]) -> Path:
    """The allowed folder that a path is in. Forbidden, alike for what exists and what does not."""
    for root in allowed:
        if root.startswith("/") and path.is_relative_to(root) and path != PurePosixPath(root):
            return Path(root)
    raise Forbidden(
        f"'{path}' is in no folder that may be read: the setting 'import_sources' names those."
    )


def open_local(path: PurePosixPath, allowed: Sequence[str]) -> LocalFile:
    """A file in an allowed folder. Forbidden; NotFound; InvalidRequest where it is no file."""
    root = root_of(path, allowed)
    *folders, name = path.relative_to(root).parts
    with _walked(root, folders, path) as folder:
        try:
            descriptor = os.open(name, _FILE, dir_fd=folder)
        except OSError as error:
            raise _refused(path, error) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InvalidRequest(f"'{path}' is no file.")
    return LocalFile(f"'{path}'", descriptor)


def local_folder(path: PurePosixPath, allowed: Sequence[str]) -> Path:
    """A folder in an allowed one that holds no links. Errors as `open_local`."""
    root = root_of(path, allowed)
    with _walked(root, path.relative_to(root).parts, path):
        pass
    for folder, names, files in os.walk(path):
        for name in (*names, *files):
            if os.path.islink(os.path.join(folder, name)):
                raise Forbidden(f"'{path}' holds a link, '{name[:80]}': links are not followed.")
    return Path(path)


def sizes_below(folder: Path) -> Iterator[int]:
    """The sizes of all files in a folder."""
    for place, _, files in os.walk(folder):
        for name in files:
            yield os.lstat(os.path.join(place, name)).st_size


@contextmanager
def _walked(root: Path, folders: Sequence[str], path: PurePosixPath) -> Iterator[int]:
    """The last of some folders, each opened in the one before, for a block."""
    opened: list[int] = []
    try:
        try:
            # The folder that the operator has named may be a link itself.
            opened.append(os.open(root.resolve(), _FOLDER))
            for name in folders:
                opened.append(os.open(name, _FOLDER, dir_fd=opened[-1]))
        except OSError as error:
            raise _refused(path, error) from None
        yield opened[-1]
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _refused(path: PurePosixPath, error: OSError) -> PixelflightError:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return Forbidden(f"'{path}' leads through a link or a file: links are not followed.")
    if isinstance(error, PermissionError):
        return Forbidden(f"'{path}' may not be read by the server.")
    return NotFound(f"There is no file '{path}'.")
