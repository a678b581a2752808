"""A function of Pixeltable's that takes its time, as models do that run in its process."""

from __future__ import annotations

import time

import pixeltable as pxt

SECONDS = 50e-6


@pxt.udf  # type: ignore[untyped-decorator]
def slowly(number: int) -> int:
    """The number, after some work."""
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        number ^= 0
    return number
