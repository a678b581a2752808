"""`import`: a file into a table by a job of the server, which is watched to its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from flight_server.cli.exits import Exit, say
from flight_server.cli.following import follow_job
from flight_server.cli.options import names, pairs, with_client
from flight_server.cli.progress import counted, metered
from flight_server.cli.reading import Quiet
from flight_server.client import Client
from flight_server.errors import InvalidRequest, NotFound, did_you_mean
from flight_server.model import IngestMode

ERRORS_SHOWN = 10


Source = Annotated[
    str,
    typer.Argument(
        metavar="FILE-or-URL", help="A file, which is sent; or https://, s3://, file:///path."
    ),
]
Format = Annotated[
    str | None, typer.Option(help="csv, json, jsonl, parquet, excel, arrow or lance.")
]
OnError = Annotated[str, typer.Option(help="What becomes of wrong rows: fail, skip or set_aside.")]
Rejected = Annotated[
    str | None, typer.Option(metavar="TABLE", help="Where rows that are set aside go.")
]
MatchBy = Annotated[
    list[str] | None,
    typer.Option("--by", "-b", help="Columns that upsert and merge match by; commas between."),
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", "-t", metavar="COLUMN=TYPE", help="A column's type in a new table."),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="COLUMN=NAME", help="What a column is called; nothing leaves it out."
    ),
]
Rules = Annotated[
    str | None,
    typer.Option(help='Rules by column, as JSON or @FILE: \'{"price": {"min": 0}}\'.'),
]
UniqueBy = Annotated[
    list[str] | None, typer.Option(help="Columns that together come once; commas between.")
]
Options = Annotated[
    str | None, typer.Option(help="Of the file, as JSON: delimiter, header, encoding, sheet …")
]


@with_client
def import_(
    client: Client,
    source: Source,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="[catalog:][namespace.]name")],
    format: Format = None,
    on_error: OnError = "fail",
    rejected: Rejected = None,
    mode: Annotated[IngestMode, typer.Option(help="What to do with the rows.")] = IngestMode.APPEND,
    match_by: MatchBy = None,
    type: Types = None,
    map: Names = None,
    rules: Rules = None,
    unique_by: UniqueBy = None,
    options: Options = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Only tell what would be found.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the job's id and do not wait for it.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Imports a file into a table: CSV, JSON, Parquet, Excel, Arrow or Lance.

    The table is made where there is none. Wrong rows end the import and nothing is written, unless
    --on-error skips them or sets them aside in a table of their own.
    """
    body: dict[str, Any] = {
        "format": format,
        "on_error": on_error,
        "rejected_table": rejected,
        "mode": mode.value,
        "key": names(match_by or []) or None,
        "schema": pairs(type or [], "--type") or None,
        "mapping": _mapping(map or []) or None,
        "validation_rules": _object(rules, "--rules"),
        "unique_by": names(unique_by or []) or None,
        "options": _object(options, "--options"),
    }
    place = _placed(client, source, quiet)
    is_needed = False
    try:
        if preview:
            _told(client.preview_import(table, **place, **body))
            return
        job = client.import_data(table, **place, **body)
        is_needed = True
        if detach:
            print(job["job_id"])
            return
        # Where it fails, or nobody watches any more, it may go on: what was sent is kept.
        done = follow_job(client, job["job_id"], quiet)
        is_needed = False
    finally:
        if not is_needed and "upload_id" in place:
            client.drop_upload(place["upload_id"])
    _report(done["result"], quiet)


def _placed(client: Client, source: str, quiet: bool) -> dict[str, Any]:
    """Where the server finds it; a file of this machine is sent first."""
    if "://" in source:
        return {"source_url": source}
    path = Path(source).expanduser()
    if not path.is_file():
        near = did_you_mean(path.name, [one.name for one in path.parent.glob("*")])
        what = "is a folder" if path.is_dir() else "does not exist"
        raise NotFound(
            f"The file '{source}' {what}.{near} A path of the server's is written file:///path."
        )
    with metered(f"{path.name} → server", path.stat().st_size, quiet) as meter:
        sent = 0

        def advance(offset: int) -> None:
            nonlocal sent
            meter.advance(0, offset - sent, offset)
            sent = offset

        return {"upload_id": client.upload(path, advance)}


def _report(result: dict[str, Any], quiet: bool) -> None:
    for one in result["errors"][:ERRORS_SHOWN]:
        say(_wrong(one))
    if quiet:
        return
    text = f"{counted(result['rows'], 'row')} into {result['table_name']}"
    if result["rows_updated"]:
        text += f", {result['rows_inserted']:,} inserted and {result['rows_updated']:,} updated"
    if result["rows_rejected"]:
        where = result["rejected_table"]
        text += f"; {counted(result['rows_rejected'], 'row')} "
        text += f"set aside in {where}" if where else "left out"
    say(f"{text}.")


def _told(found: dict[str, Any]) -> None:
    """The answer of a preview: as JSON, and as the command's end whether something is wrong."""
    print(json.dumps(found, indent=2, ensure_ascii=False))
    for one in found["problems"][:ERRORS_SHOWN]:
        say(_wrong(one))
    if found["problems"]:
        raise typer.Exit(Exit.FAILED)


def _wrong(one: dict[str, Any]) -> str:
    where = [f"row {one['row']}"] if one["row"] is not None else []
    where += [f"column '{one['column']}'"] if one["column"] is not None else []
    return f"{', '.join(where)}{': ' if where else ''}{one['reason']}"


def _mapping(given: list[str]) -> dict[str, str | None]:
    return {name: becomes or None for name, becomes in pairs(given, "--map").items()}


def _object(text: str | None, option: str) -> dict[str, Any] | None:
    if text is None:
        return None
    if text.startswith("@"):
        try:
            text = Path(text[1:]).expanduser().read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"{option} cannot be read from '{text[1:]}': {error}.") from None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidRequest(f"{option} is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise InvalidRequest(f'{option} must be a JSON object, such as {{"column": …}}.')
    return found
