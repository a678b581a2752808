"""How often models are called: evenly, and each workspace for itself."""

from __future__ import annotations

import pytest

from flight_server.engines.pixeltable.worker.rates import Rates


def test_each_call_has_its_share_of_a_minute() -> None:
    now = [100.0]
    rates = Rates({"openai": 60, "openai/large": 6}, lambda: now[0])
    assert [rates.wait("w", "openai", "small") for _ in range(3)] == [0, 1, 2]
    # The model's own comes on top: its first call stands behind those before it, in one line.
    assert [rates.wait("w", "openai", "large") for _ in range(2)] == [3, 13]
    assert rates.wait("other", "openai", "small") == 0
    assert rates.wait("w", "anthropic", "small") == 0
    now[0] += 60
    assert rates.wait("w", "openai", "large") == 0
    assert rates.wait("w", "openai", "small") == pytest.approx(1)
