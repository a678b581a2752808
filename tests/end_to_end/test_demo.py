"""The demo runs as `make demo` runs it: on real flights, in good time, leaving nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SECONDS_MAX = 60


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder, whose name is short enough for the socket of a PostgreSQL within."""
    with tempfile.TemporaryDirectory(prefix="pf-") as folder:
        yield Path(folder)


def test_the_demo_shows_real_flights_arriving(place: Path) -> None:
    environment = os.environ | {"TMPDIR": str(place)}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "flight_server", "demo"],
        capture_output=True,
        text=True,
        cwd=place,
        env=environment,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < SECONDS_MAX
    for said in (
        "336,776 rows into flights",
        "United Air Lines Inc.        58665",
        "100 inserted and 842 updated",
        "now: 336,876 flights",
        "before: 336,776 flights",
        "flights has 336,776 rows again",
        "EWR       120835",
        "She asks for another column:",
        "flights.parquet holds 336,776 rows",
        "is completed: 336,776 of 336,776 rows",
        "7 images are in pixeltable:pictures",
        "Of 160 x 120 pixels the first has 32 x 32.",
        "sunset at sea",
        "$ make serve",
    ):
        assert said in done.stdout, done.stdout
    assert list(place.iterdir()) == []
