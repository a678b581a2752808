"""Rows for the terminal and for programs: a table that fits, or a stream of CSV, JSON, Arrow."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pyarrow as pa
import typer
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from flight_server.cli.exits import Exit
from flight_server.cli.formats import open_sink
from flight_server.cli.options import Output
from flight_server.cli.progress import counted

CELL_WIDTH_MAX = 42
ROWS_OFF_TERMINAL = 40
WIDTH_OFF_TERMINAL = 160
# Rows that are not shown are counted up to here; beyond, the transfer is ended.
COUNTED_MAX = 1_000_000
# How one gets to see the rows that a table leaves out.
ADVICE = ("--limit for more", "--output csv for all")


def show(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    output: Output,
    rows_max: int | None = None,
) -> None:
    """Prints the rows on standard output. `rows_max` bounds what a table shows, not the others.

    None fits a table to the terminal; 0 shows all.
    """
    if output is Output.TABLE:
        _show_table(schema, iter(batches), _rows_that_fit() if rows_max is None else rows_max)
        return
    with standard_output() as stream, open_sink(stream, output.value, schema) as sink:
        for batch in batches:
            sink.write_batch(batch)


def show_records(records: list[dict[str, Any]], schema: pa.Schema, output: Output) -> None:
    """Prints a list that is known to be short, whole: a table wraps what is too wide for it."""
    found = pa.Table.from_pylist(records, schema)
    if output is not Output.TABLE:
        show(schema, found.to_batches(), output)
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for field in schema:
        table.add_column(field.name, justify="right" if _is_number(field.type) else "left")
    for row in zip(*(column.to_pylist() for column in found.columns), strict=True):
        table.add_row(*(Text("" if value is None else _clean(value)) for value in row))
    with standard_output():
        _console().print(table)


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Standard output as bytes; a reader that has left (`| head`) ends the command quietly."""
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError as error:
        # What Python would flush at its end goes nowhere instead of raising again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise typer.Exit(Exit.DONE) from None
        raise


def fitted(
    schema: pa.Schema,
    batches: Iterator[pa.RecordBatch],
    rows_max: int,
    width: int,
    advice: tuple[str, str] = ADVICE,
) -> Group:
    """The rows as a table of that width, and a line of how much of them it shows."""
    shown, more = taken(batches, rows_max)
    if (text := _plan(schema, shown)) is not None:
        return Group(text)
    columns = cells(schema, shown)
    widths = [
        max(cell_len(text) for text in [text_of(name), *column])
        for name, column in zip(schema.names, columns, strict=True)
    ]
    count = _columns_that_fit(widths, width)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for field in list(schema)[:count]:
        justify: Any = "right" if _is_number(field.type) else "left"
        table.add_column(Text(text_of(field.name)), justify=justify, no_wrap=True)
    for row in zip(*columns[:count], strict=True):
        table.add_row(*(Text(text) for text in row))
    note = note_of(sum(b.num_rows for b in shown), more, advice)
    if count < len(schema):
        note += f"; {count} of {len(schema)} columns shown: the window is too narrow for all"
    return Group(table, Text(note, style="dim"))


def _plan(schema: pa.Schema, shown: list[pa.RecordBatch]) -> Text | None:
    """The answer to EXPLAIN, which is a text of several lines."""
    if schema.names != ["plan"] or sum(batch.num_rows for batch in shown) != 1:
        return None
    [value] = [value for batch in shown for value in _values(batch.column(0))]
    if not isinstance(value, str) or "\n" not in value:
        return None
    return Text("\n".join(_clean(line) for line in value.splitlines()), no_wrap=True)


def cells(
    schema: pa.Schema, batches: list[pa.RecordBatch], width_max: int = CELL_WIDTH_MAX
) -> list[list[str]]:
    """The values as texts of one line each, by column."""
    return [
        [text_of(value, width_max) for batch in batches for value in _values(batch.column(i))]
        for i in range(len(schema))
    ]


def _show_table(schema: pa.Schema, batches: Iterator[pa.RecordBatch], rows_max: int) -> None:
    console = _console()
    content = fitted(schema, batches, rows_max, console.width)
    with standard_output():
        console.print(content)


def taken(
    batches: Iterator[pa.RecordBatch], rows_max: int
) -> tuple[list[pa.RecordBatch], int | None]:
    """The first rows, and how many more there are; None for more than are counted."""
    shown, taken, more = [], 0, 0
    for batch in batches:
        here = batch.num_rows if not rows_max else min(batch.num_rows, rows_max - taken)
        if here:
            shown.append(batch.slice(0, here))
        taken += here
        more += batch.num_rows - here
        if more > COUNTED_MAX:
            return shown, None
    return shown, more


def note_of(rows: int, more: int | None, advice: tuple[str, str] = ADVICE) -> str:
    """How many rows are shown and how many not; `advice` says how to get more, and all."""
    text = counted(rows, "row")
    if more is None:
        return text + f" shown, more than {COUNTED_MAX:,} others not ({', '.join(advice)})"
    if more:
        return text + f" of {rows + more:,} shown ({', '.join(advice)})"
    return text


def _rows_that_fit() -> int:
    if not sys.stdout.isatty():
        return ROWS_OFF_TERMINAL
    return max(5, os.get_terminal_size().lines - 7)


def _columns_that_fit(widths: list[int], width: int) -> int:
    used = 0
    for count, each in enumerate(widths):
        used += each + 2
        if used > width and count:
            return count
    return len(widths)


def _values(column: pa.Array) -> list[Any]:
    """Python's values, or text for times, of which Python's hold no nanoseconds."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.string())
    return list(column.to_pylist())


def text_of(value: Any, width_max: int = CELL_WIDTH_MAX) -> str:
    """A value as text of one line, without what a terminal would obey."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        value = value[:width_max].hex()
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False, default=str)
    text = _clean(value[: 10 * width_max] if isinstance(value, str) else value)
    return text if cell_len(text) <= width_max else text[: width_max - 1] + "…"


def _clean(value: Any) -> str:
    text = value.isoformat(" ") if isinstance(value, dt.datetime) else str(value)
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text.replace("+00:00", "Z"))


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else WIDTH_OFF_TERMINAL)
