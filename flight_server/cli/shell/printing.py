"""Where results go: to the terminal, through a pager where they are long, or into a file."""

from __future__ import annotations

import io
import os
import pydoc
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.text import Text

from flight_server.cli.display import (
    WIDTH_OFF_TERMINAL,
    cells,
    fitted,
    note_of,
    show,
    standard_output,
    taken,
)
from flight_server.cli.exits import say
from flight_server.cli.formats import format_of, is_tab_separated, open_sink
from flight_server.cli.options import Output
from flight_server.errors import InvalidRequest

ROWS_MAX = 1000
EXPANDED_WIDTH_MAX = 2000
ADVICE = (r"\limit N for more", r"\limit 0 for all")


class ResultFile:
    """A file that takes results, one after the other where its format can hold several."""

    def __init__(self, path: Path, output: Output) -> None:
        self.path = path
        self.kind, self._compression = _kind(path, output)
        self._results = 0
        try:
            self._stream: BinaryIO = path.open("wb")
        except OSError as error:
            reason = error.strerror or error
            raise InvalidRequest(f"'{path}' cannot be written: {reason}.") from None

    def write(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
        """Takes one result; how many rows it has."""
        if self._results and self.kind in ("arrow", "arrow_file", "parquet"):
            raise InvalidRequest(
                rf"'{self.path}' holds a result already, and its format has room for one only. "
                r"Name another file with \o."
            )
        self._results += 1
        rows = 0
        with open_sink(self._stream, self.kind, schema, self._compression) as sink:
            for batch in batches:
                sink.write_batch(batch)
                rows += batch.num_rows
        self._stream.flush()
        return rows

    def write_text(self, text: str) -> None:
        """Takes a table drawn as text."""
        self._stream.write(text.encode())
        self._stream.flush()

    def close(self) -> None:
        """Ends the file."""
        self._stream.close()


@dataclass
class Printing:
    """How results are shown. `rows_max` bounds tables, 0 does not; `pages` allows a pager."""

    output: Output = Output.TABLE
    is_expanded: bool = False
    rows_max: int = ROWS_MAX
    pages: bool = False
    file: ResultFile | None = None

    def take(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Callable[[], None]:
        """Fetches a result; what is given shows the part of it that has not been shown."""
        if self.file is not None and self.file.kind:
            rows = self.file.write(schema, batches)
            path = self.file.path
            return lambda: say(f"{note_of(rows, 0)} into {path}.")
        if self.output is not Output.TABLE:
            show(schema, batches, self.output)
            return lambda: None
        content = self._drawn(schema, batches)
        return lambda: self._print(content)

    def print_to(self, file: ResultFile | None) -> None:
        """Sends results to a file from now on, or to the terminal again."""
        before, self.file = self.file, file
        if before is not None:
            before.close()

    def _drawn(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> RenderableType:
        if self.is_expanded:
            return Text(expanded(schema, batches, self.rows_max))
        return fitted(schema, batches, self.rows_max, self._width(), ADVICE)

    def _print(self, content: RenderableType) -> None:
        drawn = io.StringIO()
        Console(file=drawn, width=self._width()).print(content, soft_wrap=self.is_expanded)
        text = drawn.getvalue()
        if self.file is not None:
            self.file.write_text(text)
        elif self.pages and text.count("\n") > shutil.get_terminal_size().lines - 2:
            # Less ends by itself where all fits, and leaves the rows on the screen.
            os.environ.setdefault("LESS", "-FRXS")
            pydoc.pager(text)
        else:
            with standard_output() as stream:
                stream.write(text.encode())

    def _width(self) -> int:
        to_terminal = self.pages and self.file is None
        return shutil.get_terminal_size().columns if to_terminal else WIDTH_OFF_TERMINAL


def expanded(schema: pa.Schema, batches: Iterator[pa.RecordBatch], rows_max: int) -> str:
    """The rows one below the other, a line for each column."""
    shown, more = taken(batches, rows_max)
    width = max((cell_len(name) for name in schema.names), default=0)
    names = [name + " " * (width - cell_len(name)) for name in schema.names]
    lines = []
    for number, row in enumerate(zip(*cells(schema, shown, EXPANDED_WIDTH_MAX), strict=True), 1):
        lines.append(f"── row {number:,} " + "─" * max(3, 30 - len(f"{number:,}")))
        lines.extend(f"{name} │ {text}" for name, text in zip(names, row, strict=True))
    return "\n".join([*lines, note_of(sum(batch.num_rows for batch in shown), more, ADVICE)])


def _kind(path: Path, output: Output) -> tuple[str, str | None]:
    """The format of a file by the chosen output, else by its ending; nothing for text."""
    if output is not Output.TABLE:
        return output.value, None
    try:
        kind, compression = format_of(str(path), None)
    except InvalidRequest:
        return "", None
    if kind == "csv" and is_tab_separated(str(path)):
        kind = "tsv"
    is_file = kind == "arrow" and ".arrows" not in path.suffixes
    return ("arrow_file" if is_file else kind), compression
