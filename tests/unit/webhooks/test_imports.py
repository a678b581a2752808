"""A server without webhooks and imports loads nothing of what they need."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, tempfile
from pathlib import Path

from control_api.app import create_app
from flight_server.assemble import assemble
from flight_server.settings import Settings
from flight_server.wire import FlightDoor

with tempfile.TemporaryDirectory() as folder:
    services = assemble(Settings(data=Path(folder), durability="none", flight="127.0.0.1:0"))
    create_app(services)
    services.close()
names = ("aiohttp", "httpcore", "flight_server.webhooks.outbox", "flight_server.webhooks.deliverer")
print([name for name in names if name in sys.modules])
"""


def test_nothing_is_loaded_before_the_first_webhook() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
