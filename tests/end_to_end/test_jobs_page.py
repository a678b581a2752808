"""The page on jobs keeps its word: its blocks run, and print as shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from flight_server.testing.server import running_server
from tests.end_to_end.test_readme import ROOT, assert_printed, blocks, run_bash, run_python

PAGE = ROOT / "docs" / "jobs.md"
BLOCKS_MIN = 4


@pytest.mark.timeout(200)
def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    names: dict[str, Any] = {"__name__": "page"}
    printed, ran = "", 0
    with running_server(tmp_path / "pixelflight-data", durability="none") as server:
        monkeypatch.setenv("PIXELFLIGHT_URL", server.url)
        monkeypatch.setenv("PIXELFLIGHT_HTTP_URL", server.http)
        monkeypatch.setenv("PIXELFLIGHT_KEY", server.key)
        for block in blocks(PAGE):
            match block.language:
                case "bash":
                    printed, ran = run_bash(block, monkeypatch), ran + 1
                case "python":
                    printed, ran = run_python(block, names, PAGE), ran + 1
                case "text":
                    assert_printed(block, printed, PAGE)
        names["client"].close()
    assert ran >= BLOCKS_MIN
