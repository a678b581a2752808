"""Asks the questions: `python -m bench` all of them, `python -m bench scan put` these two."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench import (
    authorisation,
    clients,
    exports,
    group_by,
    http_latency,
    http_load,
    http_scan,
    imports,
    jobs,
    machine,
    memory,
    multimodal,
    plot,
    point_read,
    put,
    results,
    scan,
    webhooks,
)
from bench import flight_sql_ingest as sql_ingest
from bench import flight_sql_latency as sql_latency
from bench import flight_sql_scan as sql_scan
from bench import small_puts as small
from bench.results import Row
from bench.sizes import FULL, TINY, Sizes

QUESTIONS: dict[str, Callable[[Sizes], list[Row]]] = {
    "scan": scan.measure,
    "put": put.measure,
    "small_puts": small.measure,
    "group_by": group_by.measure,
    "point_read": point_read.measure,
    "memory": memory.measure,
    "clients": clients.measure,
    "flight_sql_latency": sql_latency.measure,
    "flight_sql_scan": sql_scan.measure,
    "flight_sql_ingest": sql_ingest.measure,
    "authorisation": authorisation.measure,
    "http_latency": http_latency.measure,
    "http_scan": http_scan.measure,
    "http_load": http_load.measure,
    "exports": exports.measure,
    "jobs": jobs.measure,
    "imports": imports.measure,
    "multimodal": multimodal.measure,
    "webhooks": webhooks.measure,
}
RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str]) -> int:
    """Measures, prints, and writes `latest.json` and `latest.png`."""
    given = _parser().parse_args(arguments)
    unknown = [name for name in given.questions if name not in QUESTIONS]
    if unknown:
        print(f"There is no question '{unknown[0]}'. There are: {', '.join(QUESTIONS)}.")
        return 2
    about = machine.described()
    print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    rows = []
    for name in given.questions or QUESTIONS:
        rows += _ask(name, _sizes(given))
    print(f"\n{results.table(rows)}")
    results.save(rows, about, given.results / "latest.json")
    plot.draw(rows, about, given.results / "latest.png")
    print(f"\nWritten: {given.results / 'latest.json'} and latest.png")
    return 0


def _ask(name: str, sizes: Sizes) -> list[Row]:
    began = time.monotonic()
    rows = QUESTIONS[name](sizes)
    print(f"\n{name}, measured in {time.monotonic() - began:.0f} s", flush=True)
    print(results.details(rows), flush=True)
    return rows


def _sizes(given: argparse.Namespace) -> Sizes:
    names = ("rows", "rounds", "rounds_short", "seconds", "stream_bytes")
    set_by_hand = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    return replace(TINY if given.tiny else FULL, **set_by_hand)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument("questions", nargs="*", help=f"any of {', '.join(QUESTIONS)}")
    parser.add_argument("--tiny", action="store_true", help="seconds in all; numbers mean nothing")
    parser.add_argument("--rows", type=int, help="rows of the large table")
    parser.add_argument("--rounds", type=int, help="repeats of what takes long")
    parser.add_argument("--rounds-short", type=int, help="repeats of what takes milliseconds")
    parser.add_argument("--seconds", type=float, help="how long many clients go on")
    parser.add_argument("--stream-bytes", type=int, help="what streams through in each direction")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of JSON and picture")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
