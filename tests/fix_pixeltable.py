"""A Pixeltable home as a user has one, and the engine over it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest

from flight_server.engines.pixeltable.channel import raise_failure, received_rows
from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.model import TableRef

MADE = Path(__file__).parent / "multimodal" / "made_home.py"
NUMBERS = TableRef("pixeltable", "main", "numbers")
EVERY_KIND = TableRef("pixeltable", "kinds", "every")
PICTURES = TableRef("pixeltable", "main", "pictures")


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that plain Pixeltable code has made. Copy it: nothing ever opens this one."""
    folder = tmp_path_factory.mktemp("multimodal")
    made = subprocess.run(
        [sys.executable, str(MADE), str(folder)], capture_output=True, text=True, check=False
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
        "lane": lane,
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
