"""`sql` and `get`: rows out of the server, to the terminal, a pipe or a file."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from flight_server.cli.answers import answer
from flight_server.cli.display import show
from flight_server.cli.exits import say
from flight_server.cli.formats import format_of, is_tab_separated, open_sink, replaced
from flight_server.cli.options import (
    AsOf,
    Output,
    OutputOption,
    VersionOption,
    names,
    number_or_tag,
    pairs,
    with_client,
)
from flight_server.cli.progress import counted, metered, rate
from flight_server.client import Client, Result
from flight_server.errors import InvalidRequest, PixelflightError

RowsMax = Annotated[
    int | None,
    typer.Option("--limit", "-n", min=0, help="Rows to print; a table shows what fits without."),
]
OutFile = Annotated[
    str | None,
    typer.Option("--out", "-o", metavar="FILE", help="Write to a file; its ending says how."),
]
Format = Annotated[
    str | None, typer.Option(help="csv, json, parquet or arrow, where the ending does not say.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no summary.")]


@with_client
def sql(
    client: Client,
    statement: Annotated[
        str | None, typer.Argument(metavar="SQL", help="One statement; '-' reads standard input.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Read the statement from a file.")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param", "-p", metavar="NAME=VALUE", help="Fills $NAME; numbers, true, null as such."
        ),
    ] = None,
    as_of: AsOf = None,
    limit: RowsMax = None,
    output: OutputOption = Output.TABLE,
    out: OutFile = None,
    format: Format = None,
    quiet: Quiet = False,
) -> None:
    """Runs one statement: prints the rows of a SELECT, or says what an INSERT has done."""
    text = _statement(statement, file)
    values = {name: _value(value) for name, value in pairs(param or [], "--param").items()}
    try:
        result = client.sql(text, parameters=values or None, as_of=as_of)
    except PixelflightError as error:
        # Where rows are read nothing is ever written: the server has said which kind it is.
        if "statement" not in error.details:
            raise
        if as_of is not None or out is not None:
            raise InvalidRequest("--as-of and --out go with statements that give rows.") from None
        _execute(client, text, values or None, output, quiet)
        return
    with result:
        _deliver(result, output, limit, out, format, quiet, "the answer")


@with_client
def get(
    client: Client,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="[catalog:][namespace.]name")],
    columns: Annotated[
        list[str] | None, typer.Option("--columns", "-c", help="Names, with commas between them.")
    ] = None,
    filter: Annotated[
        str | None, typer.Option("--filter", "-w", help="SQL: \"origin = 'JFK' and month < 3\".")
    ] = None,
    order_by: Annotated[str | None, typer.Option(help='SQL: "dep_delay desc".')] = None,
    limit: RowsMax = None,
    offset: Annotated[int, typer.Option(min=0, help="Rows to leave out at the start.")] = 0,
    version: VersionOption = None,
    as_of: AsOf = None,
    output: OutputOption = Output.TABLE,
    out: OutFile = None,
    format: Format = None,
    quiet: Quiet = False,
) -> None:
    """Prints a table's rows, or writes them to a file."""
    with client.scan(
        table,
        columns=names(columns or []),
        filter=filter,
        order_by=order_by,
        limit=limit,
        offset=offset,
        version=number_or_tag(version),
        as_of=as_of,
    ) as result:
        _deliver(result, output, limit, out, format, quiet, table)


def _execute(
    client: Client, text: str, values: dict[str, Any] | None, output: Output, quiet: bool
) -> None:
    done = client.execute(text, values)
    if not quiet or output is not Output.TABLE:
        answer(done, output)
    if done.kind == "begin":
        say("It ends with this command and nothing comes of it: use 'pixelflight shell'.")


def _deliver(
    result: Result,
    output: Output,
    limit: int | None,
    out: str | None,
    format: str | None,
    quiet: bool,
    what: str,
) -> None:
    if out is not None and out != "-":
        _write(result, Path(out), format, quiet, what)
    else:
        show(result.schema, result.batches(), output, limit)


def _write(result: Result, path: Path, format: str | None, quiet: bool, what: str) -> None:
    kind, compression = format_of(str(path), format)
    if kind == "arrow" and ".arrows" not in path.suffixes:
        kind = "arrow_file"
    if kind == "csv" and is_tab_separated(str(path)):
        kind = "tsv"
    started = time.monotonic()
    with (
        metered(f"{what} → {path}", None, quiet) as meter,
        replaced(path) as stream,
        open_sink(stream, kind, result.schema, compression) as sink,
    ):
        for batch in result.batches():
            sink.write_batch(batch)
            meter.advance(batch.num_rows, batch.nbytes)
    if not quiet:
        seconds = time.monotonic() - started
        pace = rate(meter.rows, meter.bytes, seconds)
        say(f"{counted(meter.rows, 'row')} into {path} in {seconds:.1f} s: {pace}.")


def _statement(statement: str | None, file: Path | None) -> str:
    if file is not None and statement is not None:
        raise InvalidRequest("Give the statement or --file, not both.")
    if file is not None:
        try:
            return file.read_text("utf-8")
        except OSError as error:
            reason = error.strerror or error
            raise InvalidRequest(f"The file '{file}' cannot be read: {reason}.") from None
        except UnicodeDecodeError:
            raise InvalidRequest(f"The file '{file}' is not UTF-8.") from None
    if statement is None and sys.stdin.isatty():
        raise InvalidRequest('Give a statement: pixelflight sql "select 42", or --file FILE.')
    text = sys.stdin.read() if statement in (None, "-") else statement
    if not text or not text.strip():
        raise InvalidRequest("The statement is empty.")
    return text


def _value(text: str) -> Any:
    """A parameter's value: JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
