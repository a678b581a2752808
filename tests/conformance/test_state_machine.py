"""Random operations: the engines stay equal to an oracle made of dicts and lists."""

from __future__ import annotations

from contextlib import closing

from flight_server.testing.machine import machine_for
from flight_server.testing.memory import MemoryEngine

TestMemoryMachine = machine_for(lambda: closing(MemoryEngine())).TestCase
