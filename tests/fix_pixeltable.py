"""A Pixeltable home as a user has one, and the engine over it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest

from flight_server.engines.pixeltable.channel import raise_failure, received_rows
from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.model import (
    Author,
    Commit,
    IngestMode,
    IngestRequest,
    ScanRequest,
    TableRef,
    TableSpec,
)

ROOT = Path(__file__).parents[1]
# What an operator has installed: functions that make embeddings.
EMBEDDINGS = "tests.multimodal.embeddings"
MAKE = "tests.multimodal.made_home"
NUMBERS = TableRef("pixeltable", "main", "numbers")
EVERY_KIND = TableRef("pixeltable", "kinds", "every")
PICTURES = TableRef("pixeltable", "main", "pictures")
FILES = TableRef("pixeltable", "main", "files")
ANA = Author("ana", principal_id="ana")


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that plain Pixeltable code has made. Copy it: nothing ever opens this one."""
    folder = tmp_path_factory.mktemp("multimodal")
    made = subprocess.run(
        [sys.executable, "-m", MAKE, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return folder / "home"


@pytest.fixture(scope="session")
def pixeltable_home(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the home that all tests read and none writes."""
    return copy_of(made_home, tmp_path_factory.mktemp("read"))


@pytest.fixture
def own_home(made_home: Path, tmp_path: Path) -> Path:
    """A copy of the home for one test."""
    return copy_of(made_home, tmp_path)


@pytest.fixture(scope="session")
def pixeltable(pixeltable_home: Path) -> Iterator[PixeltableEngine]:
    """The engine over that home, with a process that has answered."""
    with closing(PixeltableEngine.at(pixeltable_home)) as engine:
        engine.namespaces()
        yield engine


@pytest.fixture(scope="module")
def written_home(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that the tests of one file write to, each in tables of its own."""
    return copy_of(made_home, tmp_path_factory.mktemp("written"))


@pytest.fixture(scope="module")
def writable(written_home: Path) -> Iterator[PixeltableEngine]:
    admitted = {"media": [str(written_home.parent)], "functions": [EMBEDDINGS]}
    with closing(PixeltableEngine.at(written_home, **admitted)) as engine:  # type: ignore[arg-type]
        yield engine


@pytest.fixture
def new_table(
    writable: PixeltableEngine, request: pytest.FixtureRequest
) -> Callable[..., TableRef]:
    """Makes a table of some columns, called after the test."""

    def made(columns: dict[str, pa.DataType], **spec: Any) -> TableRef:
        name = "".join(c if c.isalnum() else "_" for c in request.node.name).lower()[:60]
        table = TableRef("pixeltable", "main", name)
        writable.create_table(table, TableSpec(pa.schema(columns), **spec), ANA)
        return table

    return made


def copy_of(home: Path, folder: Path) -> Path:
    """A copy of a home. PostgreSQL's files belong to a user of their own where root runs this."""
    subprocess.run(["cp", "-a", str(home), str(folder / "home")], check=True)
    return folder / "home"


def read_by(engine: PixeltableEngine, lane: str, table: TableRef, **request: Any) -> pa.Table:
    """The rows that one lane gives."""
    asked: Mapping[str, Any] = {
        "namespace": table.namespace,
        "name": table.name,
        "version": None,
        "columns": None,
        "filter": None,
        "order_by": None,
        "limit": None,
        "offset": 0,
        "with_row_id": False,
        "lane": lane,
        "media": None,
    }
    with closing(engine._process.request("scan", {**asked, **request})) as channel:
        raise_failure(channel.receive())
        reader = channel.rows()
        return pa.Table.from_batches(list(received_rows(channel, reader)), reader.schema)


def postgres_of(home: Path) -> list[psutil.Process]:
    """The PostgreSQL that serves a home, if one does."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if str(home / "pgdata") in command and "postgres" in command[0]:
            found.append(process)
    return found


def put(
    engine: PixeltableEngine, table: TableRef, rows: pa.Table, mode: str = "append", **more: Any
) -> Commit:
    request = IngestRequest(IngestMode(mode), **more)
    return engine.ingest(table, request, rows.to_reader(), ANA)


def read(engine: PixeltableEngine, table: TableRef, **request: Any) -> pa.Table:
    return engine.scan(table, ScanRequest(**request)).read_all()
