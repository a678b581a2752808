"""A terminal for tests: a program under a pseudo-terminal, typed to and read."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")
SECONDS_MAX = 15.0
# Makes standard input the terminal that Ctrl-C is typed at, and becomes the program.
ATTACHED = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """What a person sees and types. `seen` is all of the text so far, without colours."""

    def __init__(self, process: subprocess.Popen[bytes], file: int) -> None:
        self.seen = ""
        self._process = process
        self._file = file
        self._read_to = 0

    def type(self, text: str) -> None:
        """Types text; Enter is `\\r`, Ctrl-C is `\\x03`, Ctrl-D is `\\x04`."""
        os.write(self._file, text.encode())

    def until(self, text: str) -> str:
        """What appears from here to the text, which must appear."""
        ends = time.monotonic() + SECONDS_MAX
        while (found := self.seen.find(text, self._read_to)) < 0:
            assert time.monotonic() < ends, f"no {text!r} in {self.seen[self._read_to :]!r}"
            assert self._receive(), f"it ended before {text!r}: {self.seen!r}"
        passed = self.seen[self._read_to : found]
        self._read_to = found + len(text)
        return passed

    def ended(self) -> int:
        """The program's exit code, once it has ended."""
        ends = time.monotonic() + SECONDS_MAX
        while self._receive():
            assert time.monotonic() < ends, f"it does not end: {self.seen!r}"
        return self._process.wait(SECONDS_MAX)

    def _receive(self) -> bool:
        """Takes what has come; whether there may be more."""
        ready, _, _ = select.select([self._file], [], [], 0.1)
        if not ready:
            return self._process.poll() is None
        try:
            received = os.read(self._file, 65536)
        except OSError:
            return False
        self.seen += ANSI.sub("", received.decode(errors="replace"))
        return bool(received)


@contextmanager
def terminal(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> Iterator[Terminal]:
    """Runs the command in a terminal of 100 columns while the block does."""
    file, within = pty.openpty()
    fcntl.ioctl(file, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    # Nobody answers when the program asks where the cursor is.
    plain = {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", "PAGER": "cat"}
    process = subprocess.Popen(
        [sys.executable, "-c", ATTACHED, *command],
        stdin=within,
        stdout=within,
        stderr=within,
        cwd=folder,
        env={**environment, **plain},
        start_new_session=True,
    )
    os.close(within)
    try:
        yield Terminal(process, file)
    finally:
        process.kill()
        process.wait()
        os.close(file)
