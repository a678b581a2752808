"""Asks what those who read the lake notice of a table of Pixeltable's that is written meanwhile."""

from __future__ import annotations

import statistics

import pyarrow as pa

from bench import sample
from bench.calls import FlightCalls, append, scan, sql
from bench.load import Load, Work, crowd, repeated
from bench.results import Row, row
from bench.server import TABLE, put
from bench.sizes import Sizes
from bench.timing import Ratio
from flight_server.testing.server import ServerProcess

# Of the rows that other questions ask for: what is scanned, and what is inserted at a time.
ROWS_PART, INSERT_PART = 10, 100
# The table with a column that a slow function computes.
SLOW = "slow"
SCAN, ONE = scan(TABLE), sql("SELECT 1")


def measure(sizes: Sizes, server: ServerProcess, calls: FlightCalls) -> list[Row]:
    """The rows of this question."""
    scanned = sizes.rows // ROWS_PART
    put(server, calls, sample.sample(scanned))
    inserted = pa.table({"id": range(sizes.rows // INSERT_PART)})
    command = append(f"pixeltable:{SLOW}")
    calls.write(command, inserted.slice(0, 1))
    alone: dict[bytes, list[Load]] = {SCAN: [], ONE: []}
    beside: dict[bytes, list[Load]] = {SCAN: [], ONE: []}
    with crowd(1) as askers, FlightCalls(server.url, server.key) as writer:
        for _ in range(-(-sizes.rounds // 2)):
            for ticket, count in ((SCAN, scanned), (ONE, 1)):
                work = Work(server.url, server.key, ticket, rows=count)
                alone[ticket].append(askers.run(work, sizes.seconds))
                with repeated(lambda _: writer.write(command, inserted)):
                    beside[ticket].append(askers.run(work, sizes.seconds))
    what = f"beside {inserted.num_rows:,} rows on their way through a slow function"
    speed = [b.rate / a.rate for a, b in zip(alone[SCAN], beside[SCAN], strict=True)]
    wait = [
        b.percentile(99) / a.percentile(99) for a, b in zip(alone[ONE], beside[ONE], strict=True)
    ]
    return [
        row(
            f"scans of the lake {what} ÷ alone",
            Ratio(statistics.median(speed), min(speed), max(speed)),
            0.8,
            1.0,
            detail=f"{beside[SCAN][0].described} against {alone[SCAN][0].described}",
        ),
        Row(
            f"p99 of SELECT 1 {what} ÷ alone",
            statistics.median(wait),
            min(wait),
            max(wait),
            3.0,
            less_is_better=True,
            detail=f"{beside[ONE][0].described} against {alone[ONE][0].described}",
        ),
    ]
