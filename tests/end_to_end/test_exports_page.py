"""The page on exports keeps its word: its blocks run, and print as shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from flight_server.testing.server import running_server
from tests.end_to_end.test_readme import ROOT, assert_printed, blocks, run_bash, run_python

PAGE = ROOT / "docs" / "exports.md"
BLOCKS_MIN = 7


@pytest.mark.timeout(200)
def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    (tmp_path / "out").mkdir()
    settings = {"durability": "none", "export_destinations": tmp_path / "out"}
    names: dict[str, Any] = {"__name__": "page"}
    printed, ran = "", 0
    with running_server(tmp_path / "pixelflight-data", **settings) as server:
        for name, value in (
            ("PIXELFLIGHT_URL", server.url),
            ("PIXELFLIGHT_KEY", server.key),
            ("API", f"{server.http}/api/v1"),
            ("EXPORTS", str(tmp_path / "out")),
        ):
            monkeypatch.setenv(name, value)
        for block in blocks(PAGE):
            if block.language == "text":
                assert_printed(block, printed, PAGE)
                continue
            run = run_bash(block, monkeypatch) if block.language == "bash" else None
            printed = run_python(block, names, PAGE) if run is None else run
            ran += 1
        names["client"].close()
    assert ran >= BLOCKS_MIN
