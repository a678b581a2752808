"""The courier as the server holds it: a process that is started when there is something to send."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

END_SECONDS_MAX = 2.0

log = logging.getLogger(__name__)

Told = Callable[[Mapping[str, Any]], None]


class Courier:
    """Sends messages in a process of its own; `told` gets each result, `gone` hears of its end.

    Both are called in a thread of the courier's.
    """

    def __init__(
        self,
        networks: Sequence[str],
        timeout_seconds: float,
        told: Told,
        gone: Callable[[], None],
    ) -> None:
        self._told = told
        self._gone = gone
        command = [sys.executable, "-m", "flight_server.webhooks.courier"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._reader = threading.Thread(target=self._read, name="webhook-courier", daemon=True)
        self._reader.start()
        self.send([{"networks": list(networks), "timeout_seconds": timeout_seconds}])

    @property
    def process_id(self) -> int:
        """The process."""
        return self._process.pid

    def send(self, messages: Iterable[Mapping[str, Any]]) -> None:
        """Hands messages over. Where the courier has ended nothing happens; `gone` tells of it."""
        assert self._process.stdin is not None, "it was opened with a pipe"
        text = "".join(json.dumps(message, ensure_ascii=False) + "\n" for message in messages)
        with suppress(BrokenPipeError):
            self._process.stdin.write(text.encode())
            self._process.stdin.flush()

    def close(self) -> None:
        """Ends the process and what it is about to send."""
        assert self._process.stdin is not None, "it was opened with a pipe"
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None, "it was opened with a pipe"
        with self._process.stdout as lines:
            for line in lines:
                # A last line may be cut, when the process was killed while it wrote it.
                with suppress(ValueError):
                    self._told(json.loads(line))
        self._gone()
