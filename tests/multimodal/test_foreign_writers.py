"""Programs of plain Pixeltable write into a table while clients of the server do: none loses."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.model import TableRef
from tests.fix_pixeltable import put, read

PUTS, ROWS_EACH = 6, 40
# What a user's own program does: it knows nothing of the server.
FOREIGN = """
import os, sys
home, name, who = sys.argv[1:]
os.environ.update(PIXELTABLE_HOME=home, PIXELTABLE_VERBOSITY="0")
import pixeltable as pxt
table = pxt.get_table(name)
print("ready", flush=True)
sys.stdin.readline()
for number in range(PUTS):
    table.insert([{"who": who, "put": number, "row": row} for row in range(ROWS_EACH)])
table.update({"row": table.row + 1000}, where=(table.who == who) & (table.put == 0))
"""


def test_two_programs_and_a_client_write_at_once_and_nothing_is_lost(
    written_home: Path, writable: PixeltableEngine, new_table: Callable[..., TableRef]
) -> None:
    table = new_table({"who": pa.string(), "put": pa.int64(), "row": pa.int64()})
    program = FOREIGN.replace("PUTS", str(PUTS)).replace("ROWS_EACH", str(ROWS_EACH))
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(written_home), table.name, who],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for who in ("one", "other")
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ours = 0
    while ours < PUTS or any(process.poll() is None for process in started):
        rows = {"who": ["ours"] * ROWS_EACH, "put": [ours] * ROWS_EACH, "row": range(ROWS_EACH)}
        put(writable, table, pa.table(rows), token=f"{table.name}.{ours}")
        ours += 1
    for process in started:
        _, complaints = process.communicate()
        assert process.returncode == 0, complaints
    found = Counter(map(tuple, zip(*read(writable, table).to_pydict().values(), strict=True)))
    expected = [("ours", number, row) for number in range(ours) for row in range(ROWS_EACH)]
    for who in ("one", "other"):
        expected += [(who, 0, row + 1000) for row in range(ROWS_EACH)]
        expected += [(who, n, row) for n in range(1, PUTS) for row in range(ROWS_EACH)]
    assert found == Counter(expected)
    assert writable.describe(table).rows == len(expected)
