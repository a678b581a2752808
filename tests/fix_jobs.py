"""Custom jobs for tests: a package with entry points, where a server's processes find it."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from flight_server.testing.server import ServerProcess

PACKAGE = '''
"""What custom jobs of tests do."""

import time

import pyarrow as pa


def count(run):
    """Puts `steps` parts of ten rows into a table, each once, and remembers how far it is."""
    wanted = run.parameters["arguments"]
    steps, table = wanted["steps"], wanted["table"]
    run.log(f"attempt {run.attempt}")
    for step in range(run.checkpoint.get("step", 0), steps):
        run.check()
        rows = pa.table({"job": [run.id] * 10, "row": range(step * 10, step * 10 + 10)})
        run.client.put(table, rows, token=f"job:{run.id}:{step}")
        run.progress(rows=(step + 1) * 10, rows_total=steps * 10)
        (run.folder / f"part-{step}").write_text("scratch")
        if step % 2:
            run.save({"step": step + 1})
        time.sleep(wanted.get("pause_seconds", 0))
    return {"rows": steps * 10}


def stubborn(run):
    """Hears nothing."""
    run.log("begun")
    time.sleep(600)
'''
POINTS = """\
[pixelflight.jobs]
count = custom_jobs_of_tests:count
stubborn = custom_jobs_of_tests:stubborn
"""
ALLOWED = "count,stubborn"


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the package where processes that are started from now on find it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "custom_jobs_of_tests.py").write_text(PACKAGE, "utf-8")
    told = folder / "custom_jobs_of_tests-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: custom_jobs_of_tests\n")
    (told / "entry_points.txt").write_text(POINTS)
    path = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), path]).rstrip(os.pathsep))


def workers(server: ServerProcess) -> list[psutil.Process]:
    """The processes that a server has started and that live."""
    return [child for child in psutil.Process(server.process.pid).children() if _works(child)]


def _works(process: psutil.Process) -> bool:
    try:
        return "flight_server.worker" in process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False
