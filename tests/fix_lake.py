"""Lakes of a test's own, and what lies in their folders."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flight_server.engines.lake import instance
from flight_server.engines.lake.engine import LakeEngine
from flight_server.engines.lake.instance import CATALOG, METADATA, literal
from flight_server.settings import Settings

# Nothing happens unless a test asks for it. Statements on a few rows have no work for a second
# thread of DuckDB's, and take a third more time with one.
QUIET = {"housekeeping_seconds": 0, "durability": "none", "threads": 1}
# Whatever may be tidied away is, at once.
EAGER = {
    "ticket_seconds": 0.05,
    "removal_grace_seconds": 0,
    "snapshot_seconds_max": 0,
    "snapshots_max": 1,
}
PATIENCE_SECONDS = 30

OpenLake = Callable[..., LakeEngine]


@pytest.fixture(autouse=True, scope="session")
def trusted_extensions() -> Iterator[None]:
    """Lakes opened by tests in their own process do not verify the signatures of extensions.

    That is half the time of opening a lake, and hundreds of tests do. Servers that tests start
    verify them.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(instance.OPENED_WITH, "allow_unsigned_extensions", "true")
        yield


@pytest.fixture(autouse=True, scope="session")
def new_lakes_are_copies(
    trusted_extensions: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., None]]:
    """A new lake in a test's own process begins as a copy of one that was set up once.

    Setting one up is half the time of opening it. Servers that tests start set up their own.
    """
    model = tmp_path_factory.mktemp("model")
    LakeEngine.open(Settings(data=model, **QUIET)).close()
    attach = instance._attach

    def attach_a_copy(
        connection: duckdb.DuckDBPyConnection, settings: Settings, folder: Path, files: str
    ) -> None:
        catalog = folder / "catalog.duckdb"
        if catalog.exists() or settings.lake_encrypted:
            attach(connection, settings, folder, files)
            return
        shutil.copyfile(model / "lake" / "catalog.duckdb", catalog)
        connection.execute(
            f"ATTACH {literal(f'ducklake:{catalog}')} AS {CATALOG} "
            f"(DATA_PATH {literal(files)}, OVERRIDE_DATA_PATH true)"
        )
        connection.execute(
            f"UPDATE {METADATA}.ducklake_metadata SET value = ? WHERE key = 'data_path'", [files]
        )

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(instance, "_attach", attach_a_copy)
        yield attach


@pytest.fixture
def fresh_lakes(new_lakes_are_copies: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """New lakes are set up by whoever opens them."""
    monkeypatch.setattr(instance, "_attach", new_lakes_are_copies)


@pytest.fixture
def lake_threads() -> int:
    """How many threads DuckDB has; modules whose tests write or read many rows say more."""
    return 1


@pytest.fixture
def open_lake(tmp_path: Path, lake_threads: int) -> Iterator[OpenLake]:
    """Opens the lake of the test's folder with settings of its own; close it to open it again."""
    with ExitStack() as opened:

        def open_one(**settings: Any) -> LakeEngine:
            folder = settings.pop("data", tmp_path / "data")
            chosen = QUIET | {"threads": lake_threads} | settings
            engine = LakeEngine.open(Settings(data=folder, **chosen))
            return opened.enter_context(closing(engine))

        yield open_one


@pytest.fixture
def lake(open_lake: OpenLake) -> LakeEngine:
    """A lake that does nothing by itself."""
    return open_lake()


def parquet_files(data: Path) -> set[Path]:
    """The Parquet files of a lake, wherever below its folder."""
    return set((data / "lake" / "files").rglob("*.parquet"))


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Asks again and again until it holds; fails when patience ends."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.02)
