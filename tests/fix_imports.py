"""Files read as an import reads them, without a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flight_server.transfer.cleaning import Rows, cleaned
from flight_server.transfer.memory import bounded_memory
from flight_server.transfer.planning import Target, plan_for
from flight_server.transfer.readers import ReadOptions, Reject, open_reader
from flight_server.transfer.readers.texts import File
from flight_server.transfer.sources.folders import LocalFile
from flight_server.transfer.sources.opening import kind_of
from flight_server.transfer.uniqueness import Keys
from flight_server.transfer.validation import Checker, ColumnRules
from tests.fix_exports import Run

UNPACKED_MAX = 2**28


@dataclass(frozen=True)
class Read:
    """What became of a file: the rows that are taken, and those that are not."""

    parts: list[Rows]
    schema: pa.Schema

    @property
    def table(self) -> pa.Table:
        return pa.Table.from_batches([one.batch for one in self.parts], self.schema)

    @property
    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.table.to_pylist()
        return found

    @property
    def rejects(self) -> list[Reject]:
        return [reject for one in self.parts for reject in one.rejects]

    @property
    def told(self) -> list[tuple[int, str | None, str]]:
        return [(one.row, one.column, one.reason) for one in self.rejects]


@dataclass(frozen=True)
class ImportedFiles:
    """Writes files and reads them."""

    folder: Path

    def write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def read(
        self,
        name: str,
        content: bytes | None = None,
        *,
        options: ReadOptions = ReadOptions(),  # noqa: B008
        target: Target = Target(),  # noqa: B008
        rules: Mapping[str, ColumnRules] | None = None,
        keys: Sequence[Sequence[str]] = (),
        start: Mapping[str, Any] | None = None,
        memory_max: int = 2**40,
    ) -> Read:
        path = self.folder / name if content is None else self.write(name, content)
        format_name, compression = kind_of(name)
        with bounded_memory(memory_max), closing(LocalFile.at(name, path)) as source:
            file = File(source, compression, self.folder, UNPACKED_MAX)
            reader = open_reader(file, format_name, options)
            plan = plan_for(reader.probe(), target)
            seen = [Keys(columns, self.folder) for columns in keys]
            checker = Checker(plan.schema, rules or {})
            blocks = reader.blocks(plan, start or {})
            return Read(list(cleaned(blocks, checker, seen, start or {})), plan.schema)


class CutError(Exception):
    """What a test does to a run."""


class CutRun(Run):
    """A run that is cut at the n-th thing it does; what it has saved is kept all the same."""

    def __init__(self, *given: Any, cut_at: int, after: bool = False, **more: Any) -> None:
        super().__init__(*given, **more)
        self.left = cut_at
        self._after = after

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise CutError

    def save(self, checkpoint: Mapping[str, Any]) -> None:
        if self._after:
            super().save(checkpoint)
        self._count()
        super().save(checkpoint)

    def check(self) -> None:
        self._count()

    def progress(self, **told: int | None) -> None:
        self._count()


@pytest.fixture
def imported(tmp_path: Path) -> ImportedFiles:
    return ImportedFiles(tmp_path)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes blocks and parts of text as small as a test needs them."""

    def make(size: int) -> None:
        from flight_server.transfer.readers import json_objects, records

        monkeypatch.setattr(records, "BLOCK_BYTES", size)
        monkeypatch.setattr(records, "RECORD_BYTES_MAX", 4 * size)
        monkeypatch.setattr(json_objects, "PART_BYTES", size)

    return make
