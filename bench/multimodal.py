"""Asks how fast Pixeltable's tables are read through Flight, beside its own `collect()`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from bench import sample
from bench.calls import FlightCalls, scan
from bench.processes import Conversation, python
from bench.results import Row, row
from bench.server import running
from bench.sizes import Sizes
from bench.timing import Contestant, Lap, alternate, speed_ratio, timed

# Of the rows that other questions ask for: Pixeltable takes 25,000 a second.
ROWS_PART, VECTORS_PART = 20, 2_000
AT_LEAST = {"numbers": (25, 50), "vectors": (6, 10)}
WHAT = {"numbers": "4 scalars", "vectors": "384 floats"}


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question."""
    counts = {"numbers": sizes.rows // ROWS_PART, "vectors": max(10, sizes.rows // VECTORS_PART)}
    with sample.workspace() as folder, ExitStack() as closing:
        home = folder / "home"
        collect = closing.enter_context(plain_pixeltable(home, counts))
        _, calls = closing.enter_context(running(folder / "ours", pixeltable=str(home)))
        found = []
        for name, count in counts.items():
            contestants = {
                "ours": timed(partial(_read, calls, name)),
                "collect": collect(name),
            }
            timings = alternate(contestants, sizes.rounds, count)
            ours, theirs = timings["ours"], timings["collect"]
            least, aim = AT_LEAST[name]
            found.append(
                row(
                    f"{count:,} rows of {WHAT[name]} through Flight ÷ Pixeltable's collect()",
                    speed_ratio(ours, theirs),
                    least,
                    aim,
                    detail=f"{ours.spread} against {theirs.spread}",
                )
            )
        return found


def _read(calls: FlightCalls, name: str) -> int:
    return int(calls.read(scan(f"pixeltable:{name}")).num_rows)


@contextmanager
def plain_pixeltable(home: Path, counts: dict[str, int]) -> Iterator[Callable[[str], Contestant]]:
    """A process with Pixeltable and nothing else, and what lets it collect a table."""
    process = Conversation(python("bench.multimodal_collect", home, *counts.values()))
    try:
        yield lambda name: lambda: Lap(*process.ask(collect=name))
    finally:
        process.ask(stop=True)
        process.end()
