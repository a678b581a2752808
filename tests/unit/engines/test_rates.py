"""How often models are called: evenly, and each workspace for itself."""

from __future__ import annotations

import asyncio

import pytest

from flight_server.engines.pixeltable.worker.rates import Rates


def test_each_call_has_its_share_of_a_minute() -> None:
    now = [100.0]
    rates = Rates({"openai": 60, "openai/large": 6}, lambda: now[0])
    assert rates.take("w", "openai", "small") == 0
    # Who waits does not count, so that nobody waits for one that has left.
    assert [rates.take("w", "openai", "small") for _ in range(3)] == [1, 1, 1]
    assert rates.take("other", "openai", "small") == 0
    assert [rates.take("w", "anthropic", "small") for _ in range(3)] == [0, 0, 0]
    now[0] += 1
    assert rates.take("w", "openai", "large") == 0
    assert (rates.take("w", "openai", "large"), rates.take("w", "openai", "small")) == (10, 1)
    now[0] += 1
    assert rates.take("w", "openai", "small") == 0
    now[0] += 9
    assert rates.take("w", "openai", "large") == 0


def test_turns_are_taken_until_the_request_is_taken_back() -> None:
    asked, line = [0], ("w", "openai", "m")

    def check() -> None:
        asked[0] += 1
        if asked[0] > 4:
            raise InterruptedError

    async def many() -> list[BaseException | None]:
        turns = (rates.turn(line, check) for _ in range(5))
        return await asyncio.gather(*turns, return_exceptions=True)

    rates = Rates({"openai": 60_000})
    done = asyncio.run(many())
    assert [one is None for one in done].count(True) >= 1
    assert isinstance(done[-1], InterruptedError)
    slow = Rates({"openai": 1})
    slow.turn_of_thread(line, lambda: None)
    with pytest.raises(InterruptedError):
        slow.turn_of_thread(line, check)
