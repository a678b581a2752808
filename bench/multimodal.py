"""Asks how fast Pixeltable's tables are read through Flight, beside its own `collect()`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from bench import sample
from bench.processes import Conversation, python
from bench.results import Row, row
from bench.server import running
from bench.sizes import Sizes
from bench.timing import Contestant, Lap, alternate, speed_ratio, timed
from flight_server.client import Client, connect

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
        server, _ = closing.enter_context(running(folder / "ours", pixeltable=str(home)))
        client = closing.enter_context(connect(server.url, server.key))
        found = []
        for name, count in counts.items():
            contestants = {
                "ours": timed(partial(_read, client, name)),
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


def _read(client: Client, name: str) -> int:
    return int(client.scan(f"pixeltable:{name}").to_arrow().num_rows)


@contextmanager
def plain_pixeltable(home: Path, counts: dict[str, int]) -> Iterator[Callable[[str], Contestant]]:
    """A process with Pixeltable and nothing else, and what lets it collect a table."""
    process = Conversation(python("bench.multimodal_collect", home, *counts.values()))
    try:
        yield lambda name: lambda: Lap(*process.ask(collect=name))
    finally:
        process.ask(stop=True)
        process.end()
