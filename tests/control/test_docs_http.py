"""The tour of HTTP runs as it stands in the documents."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from typing import Any

import httpx
import polars as pl
import pytest

from tests.fix_http import TwoDoors
from tests.tidy.generate import DOCS

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What differs from server to server.
NUMBERS = re.compile(r'"(commit|version)":\d+')


@pytest.mark.parametrize("page", ["http.md", "tables.md"])
def test_the_tour_runs(start_doors: Callable[..., TwoDoors], page: str) -> None:
    doors = start_doors()
    api = f"{doors.url}/api/v1"
    environment = {**os.environ, "API": api, "KEY": doors.key, "LC_ALL": "C.UTF-8"}
    said, ran = "", 0
    for language, text in BLOCK.findall((DOCS / page).read_text("utf-8")):
        if language == "sh":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text],
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 0, done.stderr
            said, ran = done.stdout, ran + 1
        elif language == "output":
            assert normal(said) == normal(text)
        elif language == "python":
            names: dict[str, Any] = {"API": api, "KEY": doors.key}
            exec(text, names)
            assert isinstance(names["planes"], pl.DataFrame)
    assert ran > 5
    assert httpx.get(f"{doors.url}/health/live").status_code == 200


def normal(text: str) -> str:
    # Answers of JSON end without a line's end, so the next one follows at once.
    return NUMBERS.sub(r'"\1":N', text).replace("}{", "}\n{").strip()
