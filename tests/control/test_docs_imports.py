"""The page on imports runs as it stands."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.control.test_docs_http import BLOCK
from tests.fix_http import TwoDoors
from tests.tidy.generate import DOCS


def test_the_page_runs(start_doors: Callable[..., TwoDoors], tmp_path: Path) -> None:
    doors = start_doors(job_workers=1)
    environment = {
        **os.environ,
        "API": f"{doors.url}/api/v1",
        "KEY": doors.key,
        "LC_ALL": "C.UTF-8",
    }
    said, compared = "", 0
    for language, text in BLOCK.findall((DOCS / "imports.md").read_text("utf-8")):
        if language == "sh":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text],
                env=environment,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=90,
            )
            assert done.returncode == 0, done.stderr
            said = done.stdout
        elif language == "output":
            assert said.strip() == text.strip()
            compared += 1
    assert compared == 3
