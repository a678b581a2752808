"""Batches into files: one writer for each format.

A writer writes one file, or for Lance one folder, at a path that nobody else looks at: whoever
calls it gives the result its name when it is whole. The libraries of a format are imported when
somebody writes it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from flight_server.transfer.formats import FileFormat
from flight_server.transfer.writers.base import WriteOptions, Writer, Written

__all__ = ["WriteOptions", "Writer", "Written", "open_writer"]

Make = Callable[[Path, pa.Schema, WriteOptions], Writer]


def open_writer(
    kind: FileFormat, path: Path, schema: pa.Schema, options: WriteOptions | None = None
) -> Writer:
    """A writer of the format to a path where there is nothing yet.

    Unsupported where the format cannot hold the columns.
    """
    return _ROOMS[kind.name]()(path, schema, options or WriteOptions())


def _csv() -> Make:
    from flight_server.transfer.writers.texts import open_csv

    return open_csv


def _json() -> Make:
    from flight_server.transfer.writers.texts import open_json

    return open_json


def _json_lines() -> Make:
    from flight_server.transfer.writers.texts import open_json_lines

    return open_json_lines


def _parquet() -> Make:
    from flight_server.transfer.writers.columnar import ParquetFile

    return ParquetFile


def _arrow() -> Make:
    from flight_server.transfer.writers.columnar import open_arrow

    return open_arrow


def _excel() -> Make:
    from flight_server.transfer.writers.excel import ExcelFile

    return ExcelFile


def _lance() -> Make:
    from flight_server.transfer.writers.datasets import LanceDataset

    return LanceDataset


_ROOMS: dict[str, Callable[[], Make]] = {
    "csv": _csv,
    "json": _json,
    "jsonl": _json_lines,
    "parquet": _parquet,
    "arrow": _arrow,
    "excel": _excel,
    "lance": _lance,
}
