"""Imports of every kind: their files, how they are asked for, and what has to come of each.

The first rows of a file are wide. How many rows a commit has is reckoned from the first block, so
that a small file takes as many commits as a large one. Those of imports that are one commit anyway
are not, so that the lake can take the files that workers make of them.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flight_server.client import Client

WIDE_ROWS, WIDE_BYTES = 3, 500_000
# More than any import has rows.
IDS_EACH = 1_000_000
# Rows of a file by their numbers' last two digits.
TEXT_FOR_A_NUMBER, OF_ANOTHER_SHAPE, OF_TWO_LINES = 50, 75, 25
# The row whose id comes again later.
REPEATED = 10
SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string()), ("amount", pa.int64())])
SHARED = ("from_csv", "from_lines", "from_arrow", "kept", "whole", "untouched", "begun")


@dataclass
class Import:
    """One import, and what has to come of it: amounts by id, and rows that are not taken."""

    number: int
    table: str
    path: Path
    rows: int
    options: dict[str, Any]
    # The columns of rows that are not taken, by their numbers.
    wrong: dict[int, str | None] = field(default_factory=dict)
    rejected_table: str | None = None
    # What the table had under these ids before.
    before: dict[int, int] = field(default_factory=dict)
    is_replacing: bool = False
    is_wide: bool = True
    fails: bool = False
    job: str = ""

    @property
    def first(self) -> int:
        """The ids begin behind it."""
        return self.number * IDS_EACH

    def numbers(self) -> Iterator[int]:
        """The numbers of the rows of its file."""
        return iter(range(1, self.rows + 1))

    def name(self, row: int) -> str:
        """What stands beside an id."""
        text = f"{self.first + row} of a row"
        return text + "w" * WIDE_BYTES if self.is_wide and row <= WIDE_ROWS else text

    def taken(self, last: int | None = None) -> dict[int, int]:
        """The rows that are taken of the first ones of the file: amounts by id."""
        numbers = range(1, (self.rows if last is None else last) + 1)
        return {self.first + n: amount_of(n) for n in numbers if n not in self.wrong}

    def rows_before(self) -> pa.Table:
        """What the table has to have under these ids before."""
        names = [f"{number} was there" for number in self.before]
        columns = {"id": list(self.before), "name": names, "amount": list(self.before.values())}
        return pa.table(columns, schema=SCHEMA)

    def expected(self) -> dict[int, int]:
        """What the table has to have under its ids once all is done."""
        if self.fails:
            return self.before
        return self.taken() if self.is_replacing else self.before | self.taken()


def amount_of(row: int) -> int:
    """What a row of a file holds."""
    return row * 7


def prepare(client: Client) -> None:
    """The tables that imports of one kind share."""
    for table in SHARED:
        client.create_table(table, SCHEMA)


def make_imports(folder: Path, number: int, rows: int) -> list[Import]:
    """One import of each kind, numbered from a number on, with its file."""
    kinds = (
        _csv,
        _lines,
        _arrow,
        _upsert,
        _compressed,
        _created,
        _overwritten,
        _failing,
        _failing_late,
    )
    return [make(folder, number + at, rows) for at, make in enumerate(kinds)]


def _csv(folder: Path, number: int, rows: int) -> Import:
    options = {"on_error": "set_aside"}
    made = Import(number, "from_csv", folder / f"{number}.csv", rows, options)
    made.wrong = _wrong(rows, {TEXT_FOR_A_NUMBER: "amount", OF_ANOTHER_SHAPE: None})
    made.rejected_table = "from_csv_rejected"
    made.path.write_text(_csv_text(made))
    return made


def _lines(folder: Path, number: int, rows: int) -> Import:
    """Some ids come again; of those only the first one is taken."""
    rejected = "wrong_lines"
    options = {"on_error": "set_aside", "rejected_table": rejected, "unique_by": ["id"]}
    made = Import(number, "from_lines", folder / f"{number}.jsonl", rows, options)
    made.wrong = _wrong(rows, {TEXT_FOR_A_NUMBER: "amount", OF_ANOTHER_SHAPE: "id"})
    made.rejected_table = rejected
    made.path.write_text(_json_text(made))
    return made


def _arrow(folder: Path, number: int, rows: int) -> Import:
    options = {"on_error": "skip", "validation_rules": {"amount": {"min": 0}}, "batch_size": 300}
    made = Import(number, "from_arrow", folder / f"{number}.arrow", rows, options)
    made.wrong = _wrong(rows, {TEXT_FOR_A_NUMBER: "amount"})
    table = _columns(made, wrong_amount=-1)
    with pa.OSFile(str(made.path), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
        writer.write_table(table.slice(0, WIDE_ROWS))
        writer.write_table(table.slice(WIDE_ROWS), max_chunksize=500)
    return made


def _upsert(folder: Path, number: int, rows: int) -> Import:
    """Half of the ids are there already."""
    options = {"on_error": "skip", "mode": "upsert", "key": ["id"]}
    made = Import(number, "kept", folder / f"{number}.csv", rows, options)
    made.wrong = _wrong(rows, {TEXT_FOR_A_NUMBER: "amount", OF_ANOTHER_SHAPE: None})
    made.before = {made.first + n: -n for n in made.numbers() if n % 2 == 0}
    made.path.write_text(_csv_text(made))
    return made


def _compressed(folder: Path, number: int, rows: int) -> Import:
    """All or nothing, and all."""
    made = Import(number, "whole", folder / f"{number}.csv.gz", rows * 5, {"batch_size": 500})
    made.is_wide = False
    made.path.write_bytes(gzip.compress(_csv_text(made).encode(), 1))
    return made


def _created(folder: Path, number: int, rows: int) -> Import:
    path = folder / f"{number}.parquet"
    made = Import(number, f"made_{number}", path, rows * 5, {"mode": "create"})
    made.is_wide = False
    pq.write_table(_columns(made), path, row_group_size=rows)
    return made


def _overwritten(folder: Path, number: int, rows: int) -> Import:
    options = {"mode": "overwrite", "on_error": "skip"}
    made = Import(number, f"anew_{number}", folder / f"{number}.csv", rows, options)
    made.wrong = _wrong(rows, {TEXT_FOR_A_NUMBER: "amount"})
    made.before = {made.first + n: -n for n in (1, 2, rows + 1)}
    made.is_replacing, made.is_wide = True, False
    made.path.write_text(_csv_text(made))
    return made


def _failing(folder: Path, number: int, rows: int) -> Import:
    """Its last row is wrong, and so nothing is written."""
    made = Import(number, "untouched", folder / f"{number}.csv", rows * 5, {"on_error": "fail"})
    made.wrong, made.fails = {made.rows: "amount"}, True
    made.path.write_text(_csv_text(made))
    return made


def _failing_late(folder: Path, number: int, rows: int) -> Import:
    """Its last row is wrong, and what was committed before stays."""
    options = {"on_error": "fail", "atomic": False}
    made = Import(number, "begun", folder / f"{number}.jsonl", rows, options)
    made.wrong, made.fails = {rows: "amount"}, True
    made.path.write_text(_json_text(made))
    return made


def _wrong(rows: int, kinds: dict[int, str | None]) -> dict[int, str | None]:
    return {row: kinds[row % 100] for row in range(1, rows + 1) if row % 100 in kinds}


def _csv_text(made: Import) -> str:
    lines = ["id,name,amount"]
    for row in made.numbers():
        amount = "x" if made.wrong.get(row) == "amount" else str(amount_of(row))
        more = ",too,many" if row in made.wrong and made.wrong[row] is None else ""
        name = made.name(row).replace(" ", "\n" if row % 100 == OF_TWO_LINES else " ")
        lines.append(f'{made.first + row},"{name}",{amount}{more}')
    return "\n".join(lines) + "\n"


def _json_text(made: Import) -> str:
    lines = []
    for row in made.numbers():
        wrong = made.wrong.get(row)
        number = made.first + (REPEATED if wrong == "id" else row)
        amount = "x" if wrong == "amount" else amount_of(row)
        lines.append(json.dumps({"id": number, "name": made.name(row), "amount": amount}))
    return "\n".join(lines) + "\n"


def _columns(made: Import, wrong_amount: int = 0) -> pa.Table:
    columns = {
        "id": [made.first + row for row in made.numbers()],
        "name": [made.name(row) for row in made.numbers()],
        "amount": [wrong_amount if n in made.wrong else amount_of(n) for n in made.numbers()],
    }
    return pa.table(columns, schema=SCHEMA)
