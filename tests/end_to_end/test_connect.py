"""The page on connecting tools keeps its word: every block of Python runs, and prints as shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flight_server.testing.server import LocalServer
from tests.end_to_end.test_readme import ROOT, assert_printed, blocks, run_python

PAGE = ROOT / "docs" / "connect.md"
BLOCKS_MIN = 5


def test_every_block_of_python_runs(
    start_server: Callable[..., LocalServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server()
    monkeypatch.setenv("PIXELFLIGHT_URL", server.url)
    monkeypatch.setenv("PIXELFLIGHT_KEY", server.key)
    names: dict[str, Any] = {"__name__": "connect"}
    printed, before = "", ""
    for block in blocks(PAGE):
        if block.language == "python":
            printed = run_python(block, names, PAGE)
        elif block.language == "text" and before == "python":
            assert_printed(block, printed, PAGE)
        before = block.language


def test_the_page_has_python_and_more() -> None:
    languages = [block.language for block in blocks(PAGE)]
    assert languages.count("python") >= BLOCKS_MIN
    assert {"r", "go"} <= set(languages)
