"""Contestants take turns; what counts is the median of a contestant's rounds."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Lap:
    """One run of one contestant: how long it took, and how many rows came of it."""

    seconds: float
    rows: int


@dataclass(frozen=True)
class Timing:
    """All laps of one contestant, in seconds, in the order they were run."""

    laps: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.laps)

    @property
    def spread(self) -> str:
        """The best and the worst lap beside the median."""
        best, worst = min(self.laps), max(self.laps)
        return f"{self.median * 1e3:.4g} ms ({best * 1e3:.4g} to {worst * 1e3:.4g})"


@dataclass(frozen=True)
class Ratio:
    """A ratio of medians, and the least and the greatest ratio within one round.

    Of ten rounds or more, a tenth at each end does not count.
    """

    value: float
    least: float
    greatest: float


Contestant = Callable[[], Lap]


def timed(run: Callable[[], int]) -> Contestant:
    """A contestant that runs here and gives its number of rows."""

    def lap() -> Lap:
        began = time.perf_counter()
        rows = run()
        return Lap(time.perf_counter() - began, rows)

    return lap


def alternate(
    contestants: Mapping[str, Contestant],
    rounds: int,
    rows: int,
    before: Callable[[], object] = gc.collect,
) -> dict[str, Timing]:
    """Runs everybody once to warm up, then in turns, every second round in reverse.

    `before` is done ahead of each lap and not timed. A contestant that does not give `rows` rows
    has not done the work, and the bench ends there.
    """
    laps: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(rounds + 1):
        for name in names if number % 2 else names[::-1]:
            before()
            lap = contestants[name]()
            if lap.rows != rows:
                raise RuntimeError(f"{name} gave {lap.rows} rows instead of {rows}.")
            if number:
                laps[name].append(lap.seconds)
    return {name: Timing(tuple(times)) for name, times in laps.items()}


def time_ratio(ours: Timing, theirs: Timing) -> Ratio:
    """How many times as long as theirs ours takes."""
    each = sorted(a / b for a, b in zip(ours.laps, theirs.laps, strict=True))
    cut = len(each) // 10
    return Ratio(ours.median / theirs.median, each[cut], each[-1 - cut])


def speed_ratio(ours: Timing, theirs: Timing) -> Ratio:
    """How many times as fast as theirs ours is."""
    return time_ratio(theirs, ours)
