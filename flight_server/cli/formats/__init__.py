"""Files in and out: CSV, JSON lines, Parquet and Arrow, streamed in bounded memory.

Knows files and Arrow; knows nothing of servers, tables or options.
"""

from flight_server.cli.formats.files import (
    FORMATS,
    InputFile,
    find_files,
    format_of,
    is_tab_separated,
)
from flight_server.cli.formats.kinds import Hints
from flight_server.cli.formats.sinks import open_sink, remove_parts, replaced, scratch_beside
from flight_server.cli.formats.sources import Source, open_source

__all__ = [
    "FORMATS",
    "Hints",
    "InputFile",
    "Source",
    "find_files",
    "format_of",
    "is_tab_separated",
    "open_sink",
    "open_source",
    "remove_parts",
    "replaced",
    "scratch_beside",
]
