"""What goes into a folder: renamed where it lies on the same disk, else copied under another name.

A folder gets its name with everything in it. A file gets its name first, and its manifest a moment
later.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flight_server.errors import AlreadyExists, InvalidRequest
from flight_server.transfer.manifests import MANIFEST, written
from flight_server.transfer.places.base import Check, Result

PIECE_BYTES = 2**22


class FilePlace:
    """A path on this machine: of a folder, or of one file."""

    def __init__(
        self,
        path: Path,
        job_id: str,
        is_folder: bool,
        overwrite: bool,
        is_attested: bool = True,
    ) -> None:
        """`is_attested` says whether a file is to have its manifest beside it."""
        self._path = path
        self._is_attested = is_attested
        self._is_folder = is_folder
        self._overwrite = overwrite
        self._part = path.with_name(f".{path.name}.{job_id}.part")
        self._old = path.with_name(f".{path.name}.{job_id}.old")
        self._job_id = job_id

    @property
    def url(self) -> str:
        """The path."""
        return str(self._path)

    @property
    def _manifest(self) -> Path:
        if self._is_folder:
            return self._path / MANIFEST
        return self._path.with_name(f"{self._path.name}.{MANIFEST}")

    def refuse(self) -> None:
        """AlreadyExists."""
        if not os.path.lexists(self._path):
            return
        if self._path.is_dir() != self._is_folder:
            what = "a folder" if self._path.is_dir() else "a file"
            raise AlreadyExists(f"'{self._path}' is {what}. Choose another destination.")
        is_empty = self._is_folder and not any(self._path.iterdir())
        if not (self._overwrite or is_empty):
            raise AlreadyExists(
                f"'{self._path}' is there already. Say overwrite, or choose another destination."
            )

    def clean(self, names: tuple[str, ...] = ()) -> None:
        """Removes what is half there, and brings back what was to be replaced."""
        if os.path.lexists(self._old) and not os.path.lexists(self._path):
            self._old.rename(self._path)
        for path in (self._part, self._old):
            _remove(path)

    def holds(self, manifest: Mapping[str, Any]) -> bool:
        """Whether it is there: a folder by its manifest, a file by its bytes."""
        if self._is_folder:
            return bool(_loaded(self._manifest) == manifest)
        only = manifest["files"][0]
        return (
            self._path.is_file()
            and self._path.stat().st_size == only["bytes"]
            and _sha256(self._path) == only["sha256"]
        )

    def publish(self, result: Result, check: Check) -> None:
        """Gives the result its name."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if self._is_folder:
                _write(result.folder / MANIFEST, written(result.manifest))
                self._bring(result.folder, check)
                self._name_folder()
            else:
                self._bring(result.folder / result.names[0], check)
                self._name_file()
                self.attest(result.manifest)
            _flush_folder(self._path.parent)
        except OSError as error:
            raise _cannot(self._path, error) from None

    def attest(self, manifest: Mapping[str, Any]) -> None:
        """Writes the manifest beside a file that is there."""
        if self._is_folder or not self._is_attested or _loaded(self._manifest) == manifest:
            return
        _write(self._part, written(manifest))
        self._part.replace(self._manifest)

    def _bring(self, source: Path, check: Check) -> None:
        """The files under the name of what is not yet whole, flushed."""
        _remove(self._part)
        try:
            source.rename(self._part)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy(source, self._part, check)
        if self._is_folder:
            for folder, _, _ in os.walk(self._part):
                _flush_folder(Path(folder))

    def _name_folder(self) -> None:
        self.refuse()
        if self._path.exists() and any(self._path.iterdir()):
            self._path.rename(self._old)
        self._part.rename(self._path)
        _remove(self._old)

    def _name_file(self) -> None:
        self.refuse()
        if self._overwrite:
            self._part.replace(self._path)
            return
        try:
            # Unlike a rename, it replaces nothing that has come meanwhile.
            os.link(self._part, self._path)
        except FileExistsError:
            self.refuse()
            raise
        except OSError:
            self._part.rename(self._path)
        else:
            self._part.unlink()


def _copy(source: Path, target: Path, check: Check) -> None:
    if source.is_file():
        _copy_file(source, target, check)
        return
    for folder, _, names in os.walk(source):
        inside = target / Path(folder).relative_to(source)
        inside.mkdir(parents=True, exist_ok=True)
        for name in names:
            _copy_file(Path(folder) / name, inside / name, check)


def _copy_file(source: Path, target: Path, check: Check) -> None:
    with source.open("rb") as reading, target.open("xb") as writing:
        while piece := reading.read(PIECE_BYTES):
            check()
            writing.write(piece)
        writing.flush()
        os.fsync(writing.fileno())


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _loaded(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cannot(path: Path, error: OSError) -> InvalidRequest:
    reason = error.strerror or type(error).__name__
    return InvalidRequest(f"'{path}' cannot be written: {reason}.")
