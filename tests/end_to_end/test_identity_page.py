"""The page on who asks keeps its word: its blocks run, and print as shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from flight_server.testing.server import running_server
from tests.end_to_end.test_readme import ROOT, assert_printed, blocks, run_bash

PAGE = ROOT / "docs" / "identity.md"
BLOCKS_MIN = 5


@pytest.mark.timeout(200)
def test_every_block_of_bash_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    printed, ran = "", 0
    with running_server(tmp_path / "pixelflight-data", durability="none") as server:
        monkeypatch.setenv("PIXELFLIGHT_HTTP_URL", server.http)
        for block in blocks(PAGE):
            if block.language == "bash":
                printed, ran = run_bash(block, monkeypatch), ran + 1
            elif block.language == "text":
                assert_printed(block, printed, PAGE)
    assert ran >= BLOCKS_MIN
