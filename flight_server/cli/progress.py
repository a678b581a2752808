"""A progress bar on standard error for long work; nothing where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text


class Meter:
    """Counts rows and bytes that went by, and shows them where there is a bar."""

    def __init__(self, progress: Progress | None, task: int | None) -> None:
        self.rows = 0
        self.bytes = 0
        self._progress = progress
        self._task = task

    def advance(self, rows: int, size: int, position: int | None = None) -> None:
        """More rows and bytes; `position` is where the whole now stands."""
        self.rows += rows
        self.bytes += size
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=position, rows=self.rows, bytes=self.bytes)  # type: ignore[arg-type]


@contextmanager
def metered(what: str, total: int | None, quiet: bool) -> Iterator[Meter]:
    """A meter for the block; with a bar on a terminal, unless `quiet`."""
    if quiet or not sys.stderr.isatty():
        yield Meter(None, None)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        _Rates(Column(no_wrap=True)),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Meter(progress, progress.add_task(what, total=total or None, rows=0, bytes=0))


class _Rates(ProgressColumn):
    """`336,776 rows · 1,204,000 rows/s · 131.2 MB/s`."""

    def render(self, task: Task) -> Text:
        rows, size = task.fields["rows"], task.fields["bytes"]
        seconds = max(task.elapsed or 0, 1e-6)
        return Text(f"{rows:,} rows · {rate(rows, size, seconds)}")


def rate(rows: int, size: int, seconds: float) -> str:
    """`1,204,000 rows/s · 131.2 MB/s`."""
    return f"{rows / seconds:,.0f} rows/s · {decimal(int(size / seconds))}/s"


def counted(number: int, noun: str) -> str:
    """`1 row`, `1,204 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
