"""The reader of a format, which loads what it needs when it is asked for."""

from __future__ import annotations

from flight_server.transfer.readers.base import Reader, ReadOptions
from flight_server.transfer.readers.texts import File


def open_reader(file: File, format_name: str, options: ReadOptions) -> Reader:
    """A reader of the file; `format_name` is that of one. InvalidRequest (invalid_data)."""
    match format_name:
        case "csv":
            from flight_server.transfer.readers.delimited import DelimitedReader

            with file.readable("CSV"):
                return DelimitedReader(file, options)
        case "json" | "jsonl":
            from flight_server.transfer.readers.json_objects import JsonReader

            return JsonReader(file, options, is_lines=format_name == "jsonl")
        case "parquet":
            from flight_server.transfer.readers.columnar import ParquetReader

            return ParquetReader(file)
        case "excel":
            from flight_server.transfer.readers.spreadsheets import ExcelReader

            return ExcelReader(file, options)
    from flight_server.transfer.readers.columnar import ArrowReader

    return ArrowReader(file)
