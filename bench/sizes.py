"""How much each question measures: in full, or so little that a test can ask it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Rows of the large table, repeats, and how long or how much the other questions measure."""

    rows: int = 10_000_000
    rounds: int = 5
    rounds_short: int = 40
    seconds: float = 4.0
    rows_small: int = 1_000
    writers: int = 8
    clients: tuple[int, ...] = (1, 8, 64)
    stream_bytes: int = 2_000_000_000


FULL = Sizes()
TINY = Sizes(
    rows=20_000,
    rounds=1,
    rounds_short=2,
    seconds=0.2,
    rows_small=100,
    writers=2,
    clients=(1, 2),
    stream_bytes=8_000_000,
)
