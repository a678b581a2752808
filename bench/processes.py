"""Processes beside this one: started, waited for until they answer, and ended."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS_MAX = 300


@contextmanager
def serving(command: Sequence[str], log: Path, ready: str) -> Iterator[re.Match[str]]:
    """Runs a server while the block does; gives where its output matches `ready`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT
        )
        try:
            yield _wait(process, command, log, ready)
        finally:
            process.kill()
            process.wait()


class Conversation:
    """A process that answers each line of JSON with one."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def ask(self, **question: Any) -> Any:
        """One question and its answer."""
        asking, answers = self._process.stdin, self._process.stdout
        assert asking is not None, "it was opened with a pipe"
        assert answers is not None, "it was opened with a pipe"
        asking.write(json.dumps(question) + "\n")
        asking.flush()
        line = answers.readline()
        if not line:
            raise RuntimeError(f"{self._command} ended without an answer to {question}.")
        return json.loads(line)

    def end(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()


def python(module: str, *arguments: object, executable: Path | None = None) -> list[str]:
    """The command that runs a module of ours, in this Python or in another."""
    return [str(executable or sys.executable), "-m", module, *map(str, arguments)]


def _wait(
    process: subprocess.Popen[bytes], command: Sequence[str], log: Path, ready: str
) -> re.Match[str]:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        text = log.read_text("utf-8", errors="replace")
        if match := re.search(ready, text):
            return match
        if ended:
            break
        time.sleep(0.05)
    raise RuntimeError(f"{command} did not start. It said: {text[-2000:]}")
