"""What becomes of each Arrow type in each format: exported, and imported again.

Writes the table of types in docs/exports.md.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa

from flight_server.arrow_types import write_type
from flight_server.errors import PixelflightError
from flight_server.formats import json_texts
from flight_server.testing.types import CASES, TypeCase, same_values
from flight_server.transfer.formats import FORMATS, format_named
from flight_server.transfer.planning import Target, plan_for
from flight_server.transfer.readers import (
    Plan,
    Reader,
    ReadOptions,
    open_reader,
    spreadsheets,
    workbooks,
)
from flight_server.transfer.readers.columnar import LanceReader
from flight_server.transfer.readers.texts import File
from flight_server.transfer.sources.folders import LocalFile
from flight_server.transfer.writers import open_writer
from tests.conformance.lake_types import kept_as

BYTES_MAX = 2**24
KEPT, REFUSED, LOST = "kept", "—", "loses values"
# JSON lines hold what JSON does.
SHOWN = [name for name in FORMATS if name != "json"]


def trip(case: TypeCase, name: str) -> str:
    """What comes back: `KEPT`, the type that a new table gets, or why it is not the same.

    The type alone says that a table of the type itself gets every value back.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows{format_named(name).ending}"
        writer = open_writer(format_named(name), path, case.schema)
        try:
            for batch in case.table(case.values).to_batches(max_chunksize=2):
                writer.write(batch)
            writer.close()
        except PixelflightError:
            writer.abandon()
            return REFUSED
        alone = read(path, name, None)
        if alone["v"].type == case.field.type and same_values(
            alone["v"], pa.chunked_array([case.values])
        ):
            return KEPT
        kind = f"`{write_type(alone['v'].type)}`"
        return kind if comes_back(path, name, case) else f"{kind}, {LOST}"


def comes_back(path: Path, name: str, case: TypeCase) -> bool:
    """Whether a table of the type gets every value."""
    try:
        found = read(path, name, case.schema)
    except PixelflightError:
        return False
    whole = found["v"].combine_chunks()
    return loaded(whole) == loaded(case.values)


def loaded(array: pa.Array) -> list[Any]:
    return [json.loads(text, parse_float=Decimal) for text in json_texts.texts(array)]


def read(path: Path, name: str, schema: pa.Schema | None) -> pa.Table:
    """The rows as an import reads them, for a table of the schema or for a new one."""
    # A dataset is a folder; its reader opens it by its place.
    place = path if path.is_file() else Path(__file__)
    # A process for each of so many workbooks takes its time.
    here = mock.patch.object(spreadsheets, "read_sheet", workbooks.load_sheet)
    with here, contextlib.closing(LocalFile.at("the file", place)) as opened:
        file = File(opened, None, path.parent, BYTES_MAX)
        reader: Reader = (
            LanceReader(file, str(path), None)
            if name == "lance"
            else open_reader(file, name, ReadOptions())
        )
        plan = plan_for(reader.probe(), Target(schema))
        return pa.Table.from_batches(list(_batches(reader, plan)), plan.schema)


def _batches(reader: Reader, plan: Plan) -> Iterator[pa.RecordBatch]:
    for block in reader.blocks(plan, {}):
        for reject in block.rejects:
            raise ValueError(reject.reason)
        yield block.batch


def cases() -> list[TypeCase]:
    """The types that tables hold."""
    return [case for case in CASES if kept_as(case.field)[0] != "—"]


def export_types() -> str:
    """A line for each type that tables hold."""
    lines = [f"| Arrow type | {' | '.join(SHOWN)} |", "| --- " * (len(SHOWN) + 1) + "|"]
    for case in cases():
        cells = [f"`{case.name}`", *(trip(case, name) for name in SHOWN)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
