"""What a statement that writes has done, as a sentence or, for programs, as a record."""

from __future__ import annotations

from dataclasses import asdict

import pyarrow as pa

from flight_server.cli.display import show_records
from flight_server.cli.exits import say
from flight_server.cli.options import Output
from flight_server.cli.progress import counted
from flight_server.client import Executed

SCHEMA = pa.schema([("kind", pa.string()), ("rows", pa.int64()), ("commit", pa.int64())])

_ROWS = {"insert": "inserted", "update": "updated", "delete": "deleted", "merge": "merged"}
_DONE = {
    "create_table": "Table made",
    "drop_table": "Table dropped",
    "alter_table": "Table altered",
    "create_schema": "Schema made",
    "drop_schema": "Schema dropped",
    "begin": "Transaction begun",
    "commit": "Committed",
    "rollback": "Rolled back",
}


def answer(done: Executed, output: Output) -> None:
    """Says what was done: a line for people, a record on standard output for programs."""
    if output is Output.TABLE:
        say(sentence(done))
    else:
        show_records([asdict(done)], SCHEMA, output)


def sentence(done: Executed) -> str:
    """`3 rows inserted (version 7).`, `Table made (version 8).`, `Transaction begun.`."""
    text = _DONE.get(done.kind, "Done")
    if done.kind in _ROWS:
        text = f"{counted(done.rows or 0, 'row')} {_ROWS[done.kind]}"
    elif done.rows:
        text += f" with {counted(done.rows, 'row')}"
    return f"{text}." if done.commit is None else f"{text} (version {done.commit})."
