"""The audit trail can be read when the last that happened was the lake's own upkeep."""

from __future__ import annotations

import time
from typing import Any

from flight_server.operations import optimize
from tests.fix_views import ROOT, World


def test_the_trail_is_read_past_upkeep(world: World) -> None:
    for number in range(3):
        world.run(f"INSERT INTO t VALUES ({number}, 'z')")
    lake: Any = world.services.engines["lake"]
    assert world.services.audit.settle()
    before = lake.snapshot()
    optimize(world.services, ROOT, None)
    assert lake.snapshot() > before, "upkeep is commits as well"
    began = time.monotonic()
    assert world.services.audit.settle(10)
    assert time.monotonic() - began < 5
