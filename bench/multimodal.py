"""Asks how fast Pixeltable's tables are read and written through Flight, beside itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pyarrow as pa

from bench import multimodal_beside, sample
from bench.calls import FlightCalls, scan
from bench.processes import Conversation, python
from bench.results import Row, row
from bench.server import running
from bench.sizes import Sizes
from bench.timing import Contestant, Lap, Timing, alternate, speed_ratio, timed

# Of the rows that other questions ask for: Pixeltable takes 25,000 a second.
ROWS_PART, VECTORS_PART, INSERT_PART = 20, 2_000, 100
AT_LEAST = {"numbers": (25, 50), "vectors": (6, 10)}
WHAT = {"numbers": "4 scalars", "vectors": "384 floats"}


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question."""
    counts = {"numbers": sizes.rows // ROWS_PART, "vectors": max(10, sizes.rows // VECTORS_PART)}
    with sample.workspace() as folder, ExitStack() as closing:
        home = folder / "home"
        plain = closing.enter_context(plain_pixeltable(home, counts))
        settings = {"pixeltable": str(home), "pixeltable_bulk_writes": True}
        server, calls = closing.enter_context(running(folder / "ours", **settings))
        found = []
        for name, count in counts.items():
            contestants: dict[str, Contestant] = {
                "ours": timed(partial(_read, calls, name)),
                "collect": partial(_collect, plain, name),
            }
            timings = alternate(contestants, sizes.rounds, count)
            ours, theirs = timings["ours"], timings["collect"]
            least, aim = AT_LEAST[name]
            found.append(
                row(
                    f"{count:,} of Pixeltable's rows of {WHAT[name]} by Flight ÷ its own collect()",
                    speed_ratio(ours, theirs),
                    least,
                    aim,
                    detail=f"{ours.spread} against {theirs.spread}",
                )
            )
        found += [_inserted(sizes, calls, plain), _copied(sizes, calls, plain)]
        return [*found, *multimodal_beside.measure(sizes, server, calls)]


def _inserted(sizes: Sizes, calls: FlightCalls, plain: Conversation) -> Row:
    """Of a table with a column of JSON, which is left to Pixeltable's own insert."""
    count = sizes.rows // INSERT_PART
    table = _rows(count).append_column("of", pa.nulls(count, pa.json_()))
    timings = _written(sizes, calls, plain, "inserted", table)
    return _compared(f"{count:,} rows inserted through Flight ÷ by Pixeltable in process", timings)


def _copied(sizes: Sizes, calls: FlightCalls, plain: Conversation) -> Row:
    count = sizes.rows // INSERT_PART
    timings = _written(sizes, calls, plain, "copied", _rows(count))
    question = f"{count:,} rows copied through Flight ÷ inserted by Pixeltable in process"
    return _compared(question, timings, 8, 15)


def _written(
    sizes: Sizes, calls: FlightCalls, plain: Conversation, into: str, table: pa.Table
) -> dict[str, Timing]:
    asked = {"insert": table.num_rows, "json": "of" in table.column_names}
    contestants: dict[str, Contestant] = {
        "ours": timed(lambda: _put(calls, into, table)),
        "insert": lambda: Lap(*plain.ask(**asked)),
    }
    return alternate(contestants, sizes.rounds, table.num_rows)


def _compared(
    question: str, timings: dict[str, Timing], at_least: float = 0.9, aim: float = 1.0
) -> Row:
    ours, theirs = timings["ours"], timings["insert"]
    detail = f"{ours.spread} against {theirs.spread}"
    return row(question, speed_ratio(ours, theirs), at_least, aim, detail=detail)


def _rows(count: int) -> pa.Table:
    return pa.table(
        {
            "id": range(count),
            "price": [n / 4 for n in range(count)],
            "name": [f"item {n}" for n in range(count)],
            "even": [n % 2 == 0 for n in range(count)],
        }
    )


def _put(calls: FlightCalls, name: str, table: pa.Table) -> int:
    """The rows that were written, into a table that is made by the first of them."""
    command = {"table": f"pixeltable:{name}", "mode": "append", "create_if_missing": True}
    return calls.write(json.dumps({"ingest": command}).encode(), table)


def _read(calls: FlightCalls, name: str) -> int:
    return int(calls.read(scan(f"pixeltable:{name}")).num_rows)


@contextmanager
def plain_pixeltable(home: Path, counts: dict[str, int]) -> Iterator[Conversation]:
    """A process with Pixeltable and nothing else."""
    process = Conversation(python("bench.multimodal_collect", home, *counts.values()))
    try:
        yield process
    finally:
        process.ask(stop=True)
        process.end()


def _collect(plain: Conversation, name: str) -> Lap:
    return Lap(*plain.ask(collect=name))
