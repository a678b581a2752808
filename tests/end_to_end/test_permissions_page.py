"""The page on who may do what keeps its word: its blocks run, and print as shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from flight_server.testing.server import running_server
from tests.end_to_end.test_readme import ROOT, assert_printed, blocks, run_bash
from tests.fix_server import QUIET

PAGE = ROOT / "docs" / "permissions.md"
BLOCKS_MIN = 5


@pytest.mark.timeout(200)
def test_every_block_of_bash_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    printed, ran = "", 0
    with running_server(tmp_path / "pixelflight-data", **QUIET) as server:
        monkeypatch.setenv("PIXELFLIGHT_HTTP_URL", server.http)
        for block in blocks(PAGE):
            if block.language == "bash":
                printed, ran = run_bash(block, monkeypatch), ran + 1
            elif block.language == "text":
                assert_printed(block, printed, PAGE)
    assert ran >= BLOCKS_MIN
