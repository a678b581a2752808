"""The processes of clients: started, read, killed, cut off from the server, and replaced."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path

from bench.processes import ROOT, python
from flight_server.testing.server import LocalServer
from tests.end_to_end.load.oracle import Journal
from tests.fix_cut import Wire

END_SECONDS_MAX = 60


class Process:
    """Several clients in one process, and a thread that reads their journal."""

    def __init__(self, journal: Journal, lock: threading.Lock, arguments: list[object]) -> None:
        self._journal = journal
        self._lock = lock
        self.ended = False
        self._process = subprocess.Popen(
            python("tests.end_to_end.load.client", *arguments),
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._reading = threading.Thread(target=self._read, name="journal")
        self._reading.start()

    def kill(self) -> None:
        """Ends it on the spot; what it has said until then counts."""
        self._process.kill()
        self.join()

    def join(self) -> None:
        """Waits for its end."""
        self._process.wait(END_SECONDS_MAX)
        self._reading.join(END_SECONDS_MAX)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None, "it was opened with a pipe"
        for line in self._process.stdout:
            # The last line of one that is killed may be cut.
            if not line.endswith("\n"):
                break
            with self._lock:
                said = json.loads(line)
                self.ended = self.ended or said.get("event") == "end"
                self._journal.add(said)


class Crew:
    """All clients: some are left in peace, some are killed, some are cut off."""

    def __init__(self, server: LocalServer, folder: Path, each: int) -> None:
        self.journal = Journal()
        self.kills = self.cuts = 0
        self._server = server
        self._folder = folder
        self._each = each
        self._first = 1
        self._lock = threading.Lock()
        self._over = folder / "over"
        self._direct = folder / "direct"
        self._direct.write_text(server.url, "utf-8")
        self._wire = self._wired()
        self._steady = [self._start(self._direct), self._start(self._direct)]
        self._mortal = self._start(self._direct)
        self._cut_off = self._start(folder / "wired", "broken")

    def kill_one(self) -> None:
        """Kills a process in the middle of what it does, and starts another in its place."""
        self._mortal.kill()
        self.kills += 1
        self._mortal = self._start(self._direct)

    def few(self, least: dict[str, int]) -> dict[str, int]:
        """What was done less often than it has to be, with how often it was."""
        with self._lock:
            done = dict(self.journal.events)
        return {name: done.get(name, 0) for name, n in least.items() if done.get(name, 0) < n}

    def cut(self) -> None:
        """Cuts the wire of a process, which finds another one."""
        old, self._wire = self._wire, self._wired()
        old.cut()
        self.cuts += 1

    def join(self) -> Journal:
        """Lets all end, and waits for it: what they have told."""
        self._over.touch()
        everyone = [*self._steady, self._mortal, self._cut_off]
        for process in everyone:
            process.join()
        self._wire.cut()
        assert all(process.ended for process in everyone), "a process ended before its time"
        return self.journal

    def _start(self, address: Path, broken: str = "whole") -> Process:
        first, self._first = self._first, self._first + self._each
        arguments = [address, self._server.key, first, self._each, self._over, broken]
        return Process(self.journal, self._lock, arguments)

    def _wired(self) -> Wire:
        wire = Wire(self._server)
        new = self._folder / "wired.new"
        new.write_text(wire.url, "utf-8")
        new.replace(self._folder / "wired")
        return wire
