"""A signal that asks the server to stop is heard, whenever it comes."""

from __future__ import annotations

import subprocess
import sys

SIGNALS = 500
SECONDS_MAX = 30

# The sender is a process of its own: a thread would send only while the main thread stands still.
SCRIPT = f"""
import os, random, signal, sys, threading, time
from flight_server.cli.serve import _signals

asked, ask = os.pipe()
waiting = os.getpid()
if os.fork() == 0:
    os.close(ask)
    while os.read(asked, 1):
        until = time.perf_counter() + random.random() * 60e-6
        while time.perf_counter() < until:
            pass
        os.kill(waiting, signal.SIGTERM)
    os._exit(0)

def work():
    while True:
        sum(range(50))

# Whoever waits gives the interpreter's lock to another thread first, if one wants it.
sys.setswitchinterval(0.001)
threading.Thread(target=work, daemon=True).start()
for _ in range({SIGNALS}):
    stop = _signals()
    os.write(ask, b".")
    os.read(stop, 1)
    os.close(stop)
print("heard all")
"""


def test_none_is_missed_that_comes_just_as_the_server_begins_to_wait() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("heard all\n", 0), done.stderr
