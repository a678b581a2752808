"""What the documents say of webhooks is done as it stands there, with a receiver beside it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fix_http import TwoDoors
from tests.tidy.generate import DOCS

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_examples_run(start_doors: Callable[..., TwoDoors], tmp_path: Path) -> None:
    doors = start_doors(outbound_networks=("127.0.0.1/32",))
    # The command line stands beside the Python that runs the tests.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = {"API": f"{doors.url}/api/v1", "KEY": doors.key, "FLIGHT": doors.flight.url}
    names: dict[str, Any] = dict(given)
    ran = 0
    try:
        for language, text in BLOCK.findall((DOCS / "webhooks.md").read_text("utf-8")):
            ran += 1
            if language == "python":
                exec(compile(text, "webhooks.md", "exec"), names)
                continue
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text],
                env={**os.environ, **given, "PATH": path},
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 0, done.stderr
            assert '"error"' not in done.stdout
    finally:
        names["client"].close()
        names["receiver"].shutdown()
        names["receiver"].server_close()
    assert ran == 7
