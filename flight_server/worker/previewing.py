"""A first look at a file, in a process of its own: `python -m flight_server.worker.previewing`.

It reads from standard input what it is asked, as JSON, and writes its answer to standard output.
The process ends then; what a file does to it, it does to nobody else.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from flight_server.arrow_types import columns_of, schema_from_ipc
from flight_server.bodies.imports import Import
from flight_server.bodies.requests import parsed
from flight_server.dialling import Dialling
from flight_server.errors import PixelflightError
from flight_server.formats.json_rows import JsonWriter
from flight_server.settings import Settings
from flight_server.transfer.cleaning import Rows, cleaned
from flight_server.transfer.memory import bounded_memory
from flight_server.transfer.planning import Target, plan_for
from flight_server.transfer.readers import Plan
from flight_server.transfer.sources import Opened, open_source
from flight_server.transfer.uniqueness import Keys
from flight_server.transfer.validation import Checker

CPU_SECONDS_MAX = 60
# Of a URL no more is fetched where the format can be read from its beginning.
BYTES_MAX = 16 * 2**20
ROWS_CHECKED_MAX = 100_000
PROBLEMS_MAX = 100
_FROM_ITS_BEGINNING = ("csv", "json", "jsonl")


def main() -> None:
    """Answers what is asked."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_MAX, CPU_SECONDS_MAX))
    asked = json.load(sys.stdin)
    try:
        answer = look(asked)
    except PixelflightError as error:
        answer = {"error": error.as_json("")}
    sys.stdout.write(json.dumps(answer))


def look(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What an import would find. Errors as those of reading the source."""
    settings = Settings(**asked["settings"])
    given = parsed(Import, asked["import"], "import")
    folder = Path(asked["folder"])
    source = given.source(settings.data / "uploads")
    is_partial = source.kind()[0] in _FROM_ITS_BEGINNING
    with (
        bounded_memory(settings.import_memory_bytes_max),
        open_source(
            source,
            given.options.read_options(),
            settings,
            Dialling(settings.outbound_networks),
            folder,
            bytes_max=BYTES_MAX if is_partial and given.source_url else None,
        ) as opened,
    ):
        return _looked(given, opened, asked, folder, is_partial)


def _looked(
    given: Import, opened: Opened, asked: Mapping[str, Any], folder: Path, is_partial: bool
) -> dict[str, Any]:
    schema = None if asked["schema"] is None else schema_from_ipc(asked["schema"])
    probe = opened.reader.probe()
    target = Target(schema, frozenset(asked["defaulted"]), given.types(), given.mapping)
    problems: list[dict[str, Any]] = []
    found: dict[str, Any] = {
        "format": given.source(folder).kind()[0],
        "found": columns_of(probe.schema),
        "columns": [],
        "rows": [],
        "rows_checked": 0,
        "rows_wrong": 0,
        "rows_total": probe.rows,
        "bytes": opened.size,
        "problems": problems,
    }
    try:
        plan = plan_for(probe, target)
        checker = Checker(plan.schema, given.rules())
    except PixelflightError as error:
        column = error.details.get("column")
        problems.append({"row": None, "column": column, "reason": error.message, "raw": None})
        return found
    found["columns"] = [
        {"source": source, **column}
        for source, column in zip(plan.sources, columns_of(plan.schema), strict=True)
    ]
    keys = [Keys(columns, folder) for columns in given.unique_keys()]
    blocks = opened.reader.blocks(plan, {})
    _check(cleaned(blocks, checker, keys, {}), plan, found, int(asked["rows"]), is_partial)
    return found


def _check(
    parts: Iterator[Rows], plan: Plan, found: dict[str, Any], shown: int, is_partial: bool
) -> None:
    """Fills in what the first rows are, and what is wrong with some."""
    rows: list[dict[str, Any]] = found["rows"]
    problems: list[dict[str, Any]] = found["problems"]
    writer = JsonWriter(plan.schema)
    for part in parts:
        if len(rows) < shown and part.batch.num_rows:
            rows += _as_json(writer, part.batch.slice(0, shown - len(rows)))
        found["rows_checked"] = part.last
        found["rows_wrong"] += len(part.rejects)
        for one in part.rejects[: PROBLEMS_MAX - len(problems)]:
            problems.append(
                {"row": one.row, "column": one.column, "reason": one.reason, "raw": one.raw[:1000]}
            )
        if part.last >= ROWS_CHECKED_MAX or (is_partial and part.position >= BYTES_MAX // 2):
            return


def _as_json(writer: JsonWriter, batch: pa.RecordBatch) -> list[dict[str, Any]]:
    text = b"".join(bytes(piece) for piece in writer.rows(batch))
    return [json.loads(line) for line in text.splitlines()]


if __name__ == "__main__":
    main()
