"""Asks how many small puts a second are acknowledged, from one writer and from many."""

from __future__ import annotations

import itertools
import statistics
import time
from contextlib import ExitStack

from bench import sample
from bench.calls import append
from bench.in_process import InProcess, ducklake
from bench.load import Crowd, Load, Work, crowd, merged
from bench.peers.wire import running_wire
from bench.results import Row, row
from bench.server import create, running
from bench.sizes import Sizes
from bench.timing import Ratio
from flight_server.testing.server import ServerProcess

ONE, MANY, LAKE, WIRE = "1 writer", "many writers", "DuckLake in process", "raw Flight"


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question."""
    with sample.workspace() as folder, ExitStack() as closing:
        enter = closing.enter_context
        path = sample.save(sample.sample(1), folder / "one.arrow")
        server, _ = enter(running(folder / "ours"))
        wire = enter(running_wire(folder, path))
        lake = enter(ducklake(folder / "lake.ducklake", folder / "lake"))
        crowds = {ONE: enter(crowd(1)), MANY: enter(crowd(sizes.writers))}
        contest = _Contest(server, wire, lake, crowds, sizes)
        one = contest.run(1)
        thousand = contest.run(sizes.rows_small)
    return [
        *_compared("one-row puts", one, sizes, 4, 8),
        *_compared(f"puts of {sizes.rows_small:,} rows", thousand, sizes),
    ]


class _Contest:
    """Everybody writes in turns, each time into a new table."""

    def __init__(
        self,
        server: ServerProcess,
        wire: str,
        lake: InProcess,
        crowds: dict[str, Crowd],
        sizes: Sizes,
    ) -> None:
        self._server = server
        self._wire = wire
        self._lake = lake
        self._crowds = crowds
        self._sizes = sizes
        self._numbers = itertools.count()

    def run(self, rows: int) -> dict[str, list[Load]]:
        """The loads of every contestant, round by round."""
        found: dict[str, list[Load]] = {name: [] for name in (ONE, MANY, LAKE, WIRE)}
        for _ in range(self._sizes.rounds):
            for name, crowd_of in self._crowds.items():
                work = Work(self._server.url, self._server.key, command=self._new(), rows=rows)
                found[name].append(crowd_of.run(work, self._sizes.seconds))
            work = Work(self._wire, "", command=append("nothing"), rows=rows)
            found[WIRE].append(self._crowds[ONE].run(work, self._sizes.seconds))
            found[LAKE].append(_inserts(self._lake, rows, self._sizes.seconds))
        return found

    def _new(self) -> bytes:
        name = f"written_{next(self._numbers)}"
        return create(self._server, name, sample.sample(1).schema)


def _inserts(lake: InProcess, rows: int, seconds: float) -> Load:
    name = lake.create(sample.sample(rows))
    lake.insert(name)
    laps = []
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        lake.insert(name)
        laps.append((time.monotonic(), time.monotonic() - began))
    return merged(laps)


def _compared(
    what: str,
    loads: dict[str, list[Load]],
    sizes: Sizes,
    at_least: float | None = None,
    aim: float | None = None,
) -> list[Row]:
    one, many = _rates(loads[ONE]), _rates(loads[MANY])
    detail = f"{_described(loads[MANY])} against {_described(loads[ONE])}"
    rows = [
        row(f"{what}, {sizes.writers} writers ÷ 1 writer", _ratio(many, one), at_least, aim,
            detail=detail)
    ]  # fmt: skip
    for name in (LAKE, WIRE):
        detail = f"{_described(loads[ONE])} against {_described(loads[name])}"
        rows.append(row(f"{what}, 1 writer ÷ {name}", _ratio(one, _rates(loads[name])),
                        detail=detail))  # fmt: skip
    return rows


def _rates(loads: list[Load]) -> list[float]:
    return [load.rate for load in loads]


def _ratio(ours: list[float], theirs: list[float]) -> Ratio:
    each = [a / b for a, b in zip(ours, theirs, strict=True)]
    return Ratio(statistics.median(ours) / statistics.median(theirs), min(each), max(each))


def _described(loads: list[Load]) -> str:
    """The load of median rate."""
    return sorted(loads, key=lambda load: load.rate)[len(loads) // 2].described
