"""`put`: files into a table, as one stream, in bounded memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from flight_server.arrow_types import parse_type
from flight_server.cli.exits import say
from flight_server.cli.formats import Hints, InputFile, find_files, open_source
from flight_server.cli.options import names, pairs, with_client
from flight_server.cli.progress import Meter, counted, metered, rate
from flight_server.cli.reading import Quiet
from flight_server.client import Client
from flight_server.errors import ErrorCode, InvalidRequest, NotFound
from flight_server.model import Commit, CommitEvery, IngestMode, TableSpec


@with_client
def put(
    client: Client,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="[catalog:][namespace.]name")],
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Paths or patterns; '-' is standard input."),
    ],
    mode: Annotated[IngestMode, typer.Option(help="What to do with the rows.")] = IngestMode.APPEND,
    match_by: Annotated[
        list[str] | None,
        typer.Option("--by", "-b", help="Columns that upsert and merge match by; commas between."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(help="A name for this put: sent again under it, it counts once."),
    ] = None,
    create: Annotated[
        bool,
        typer.Option("--create/--no-create", help="Make the table where there is none."),
    ] = True,
    commit_every_rows: Annotated[
        int | None, typer.Option(min=1, help="Commit after so many rows; else all at once.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="csv, json, parquet or arrow, where the ending does not say.")
    ] = None,
    type: Annotated[
        list[str] | None,
        typer.Option("--type", "-t", metavar="COLUMN=TYPE", help="A column's type in CSV or JSON."),
    ] = None,
    null: Annotated[
        list[str] | None,
        typer.Option(
            help="One more spelling of null in CSV: NA; '' for empty quotes. May be repeated."
        ),
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="CSV's; seen in the header without.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Puts files into a table: CSV, JSON lines, Parquet, Arrow; several become one commit.

    The table is made where there is none, in the types of the first file. Files may be
    compressed (.gz .zst .bz2 .lz4 .zip). CSV needs a header line. Its empty fields are null; an
    empty text is two quotes. Nothing else, such as NA, is null unless --null names it.
    """
    found = _found(table, files, format, commit_every_rows is not None)
    chosen = {name: _type(text) for name, text in pairs(type or [], "--type").items()}
    key = names(match_by or []) or ()
    types = _known(client, table, mode, key)
    source = open_source(found, Hints(types, chosen, tuple(null or ()), _delimiter(delimiter)))
    _check_chosen(chosen, source.schema)
    started = time.monotonic()
    what = f"{files[0] if len(files) == 1 else f'{len(found)} files'} → {table}"
    with metered(what, source.size, quiet) as meter:
        commit = client.put(
            table,
            source.reader(),
            mode=mode,
            key=key,
            token=token,
            commit_every=CommitEvery(rows=commit_every_rows) if commit_every_rows else None,
            create_if_missing=create and mode is not IngestMode.CREATE,
            on_sent=lambda rows, size: meter.advance(rows, size, source.position),
        )
    if not quiet:
        say(told(commit, table, time.monotonic() - started, meter))
        if not (commit.rows or types) and found[0].format == "csv":
            _tell_text(table, [n for n in source.schema.names if n not in chosen])


def _found(table: str, files: list[str], format: str | None, is_live: bool) -> list[InputFile]:
    """The files. NotFound, which tells whoever gave the table after the file what comes first."""
    try:
        return find_files(files, format, is_live=is_live)
    except NotFound as error:
        if not Path(table).is_file():
            raise
        raise NotFound(
            f"{error.message} The table comes first: pixelflight put {files[0]} {table}"
        ) from None


def told(commit: Commit, table: str, seconds: float, meter: Meter) -> str:
    """What a put did, as a sentence."""
    rows = counted(commit.rows, "row")
    if commit.duplicate:
        return (
            f"Nothing written: this token was used before, for {rows} of {table} "
            f"(version {commit.snapshot})."
        )
    text = f"{rows} into {table} (version {commit.snapshot})"
    if commit.rows_updated:
        text += f", {commit.rows_inserted:,} inserted and {commit.rows_updated:,} updated,"
    return f"{text} in {seconds:.1f} s: {rate(meter.rows, meter.bytes, seconds)}."


def _known(
    client: Client, table: str, mode: IngestMode, key: tuple[str, ...]
) -> dict[str, pa.DataType]:
    """The types of the table's columns; none where it is about to be made."""
    spec = TableSpec(pa.schema([]))
    if mode is not IngestMode.CREATE:
        try:
            spec = client.describe(table).spec
        except NotFound as error:
            if error.code is not ErrorCode.TABLE_NOT_FOUND:
                raise
    if mode in (IngestMode.UPSERT, IngestMode.MERGE) and not (key or spec.key):
        raise InvalidRequest(
            f"--mode {mode} needs to know which columns to match by: --by id, for example. "
            f"'{table}' has no key of its own."
        )
    return {field.name: field.type for field in spec.schema}


def _tell_text(table: str, names: list[str]) -> None:
    """Says which columns are text only because there was no value to see another type from."""
    if names:
        say(
            f"The file is a header alone: no row tells their types, so the columns "
            f"{', '.join(names)} of {table} are text. --type chooses another type."
        )


def _type(text: str) -> pa.DataType:
    try:
        return parse_type(text)
    except InvalidRequest as error:
        error.message += (
            " Types are Arrow's, such as string, int64, double, decimal128(10, 2), date32 or "
            "timestamp[us, tz=UTC]."
        )
        raise


def _delimiter(text: str | None) -> str | None:
    text = {"tab": "\t", "\\t": "\t"}.get(text or "", text)
    if text is not None and len(text) != 1:
        raise InvalidRequest(f"--delimiter '{text}' is not one character. For a tab write 'tab'.")
    return text


def _check_chosen(chosen: dict[str, pa.DataType], schema: pa.Schema) -> None:
    for name in chosen:
        if name not in schema.names:
            raise InvalidRequest(
                f"--type names the column '{name}', which the file does not have. It has: "
                f"{', '.join(schema.names)}."
            )
