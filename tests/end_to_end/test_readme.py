"""The README keeps its word: its tour is walked, block by block, on a server of its own.

Blocks of `bash` and `python` are run in their order in an empty folder: variables that a shell
exports and names that Python gives are there in later blocks, as they are for a reader with one
terminal and one notebook. A block of `text` is what the block before it must have printed, with
`...` for what differs from run to run. Lines that call `make` are checked to name a target; what
the targets do takes minutes and is tested elsewhere.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.end_to_end.serving import both_served

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MAKE = re.compile(r"^make (.*?)( +#.*)?$", re.MULTILINE)
BLOCKS_MIN = 8
# Where a reader's server answers HTTP.
WEB = "http://127.0.0.1:8816"


class Block(NamedTuple):
    """A fenced block, and the line of the README that it starts on."""

    language: str
    text: str
    line: int


def blocks(page: Path = README) -> list[Block]:
    """The fenced blocks of a page in their order."""
    text = page.read_text("utf-8")
    return [
        Block(match[1], match[2], text.count("\n", 0, match.start()) + 2)
        for match in BLOCK.finditer(text)
    ]


@pytest.mark.timeout(300)
def test_every_block_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    names: dict[str, Any] = {"__name__": "readme"}
    printed = ""
    with both_served(tmp_path / "pixelflight-data") as (url, web):
        monkeypatch.setenv("PIXELFLIGHT_URL", url)
        for block in blocks():
            block = block._replace(text=block.text.replace(WEB, web))
            if block.language == "bash":
                printed = run_bash(block, monkeypatch)
            elif block.language == "python":
                printed = run_python(block, names)
            else:
                assert_printed(block, printed)


def test_the_readme_has_a_tour() -> None:
    languages = [block.language for block in blocks()]
    assert set(languages) == {"bash", "python", "text"}
    assert len(languages) >= BLOCKS_MIN


def test_what_is_not_printed_as_shown_is_noticed() -> None:
    shown = Block("text", "version ...: 3 rows\n", 1)
    assert_printed(shown, "version 17:  3 rows\n")
    with pytest.raises(AssertionError, match="but this was printed"):
        assert_printed(shown, "version 17: 4 rows\n")


def run_bash(block: Block, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a block in bash, any failing command ends it; later blocks see what it exports."""
    script = MAKE.sub(rf"make -n -C {ROOT} \1 > /dev/null", block.text)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{script}\nenv -0 > .exported"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"README.md:{block.line}\n{block.text}\n{done.stderr}"
    exported = Path(".exported").read_text().rstrip("\0").split("\0")
    for name, _, value in (line.partition("=") for line in exported):
        monkeypatch.setenv(name, value)
    return done.stdout


def run_python(block: Block, names: dict[str, Any], page: Path = README) -> str:
    """Runs a block in this process among the names of the blocks before it."""
    printed = io.StringIO()
    # Line numbers of errors are those of the page.
    code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    return printed.getvalue()


def assert_printed(block: Block, printed: str, page: Path = README) -> None:
    """What was printed is what the page shows."""
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    same = doctest.OutputChecker().check_output(block.text, printed, options)
    assert same, f"{page.name}:{block.line} shows\n{block.text}\nbut this was printed:\n{printed}"
