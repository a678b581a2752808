"""`export`: rows of one moment as files, written here, or by the server where it is told to."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flight_server.cli.exits import say
from flight_server.cli.following import follow_job
from flight_server.cli.formats import scratch_beside
from flight_server.cli.options import AsOf, VersionOption, names, number_or_tag, with_client
from flight_server.cli.progress import Meter, counted, metered, rate
from flight_server.client import Client
from flight_server.errors import InvalidRequest

# Both know what the server is made of, which takes a while to import.
if TYPE_CHECKING:
    from flight_server.bodies.exports import ExportData
    from flight_server.transfer.outputs import Output

_STATEMENT = re.compile(
    r"\s*(SELECT|WITH|FROM|VALUES|TABLE|PIVOT|DESCRIBE|SUMMARIZE|SHOW)\b.*\s", re.I
)
BUCKETS = "s3://"


Source = Annotated[str, typer.Argument(metavar="TABLE-OR-SQL", help="A table, a view, a SELECT.")]
Target = Annotated[
    str,
    typer.Argument(
        metavar="FILE-OR-URL",
        help="A file, a folder, or s3://bucket/key; its ending says what is written.",
    ),
]
Format = Annotated[
    str | None, typer.Option(help="csv, json, jsonl, parquet, excel, arrow or lance.")
]
Codec = Annotated[
    str | None, typer.Option(help="A codec of the format, such as zstd; none is none.")
]
Columns = Annotated[
    list[str] | None, typer.Option("--columns", "-c", help="Names, with commas between them.")
]
Where = Annotated[
    str | None,
    typer.Option("--where", "-w", help='SQL, or a JSON object: {"seats": {"gt": 9}}.'),
]
Partition = Annotated[
    list[str] | None, typer.Option(help="A folder for each of these columns' values.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no summary.")]


@with_client
def export(
    client: Client,
    source: Source,
    target: Target,
    format: Format = None,
    compression: Codec = None,
    columns: Columns = None,
    where: Where = None,
    order_by: Annotated[str | None, typer.Option(help='SQL: "dep_delay desc".')] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=0, help="Rows at most.")] = None,
    version: VersionOption = None,
    as_of: AsOf = None,
    partition_by: Partition = None,
    rows_per_file: Annotated[
        int | None, typer.Option(min=1, help="Several files of so many.")
    ] = None,
    headers: Annotated[
        bool, typer.Option("--headers/--no-headers", help="Names first, in CSV and Excel.")
    ] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    on_server: Annotated[
        bool, typer.Option("--on-server", help="FILE is a path of the server, which writes it.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the job's id, and do not wait for its end.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Writes rows of one moment as files, which appear whole or not at all.

    They are written here; where the target is on S3, or with --on-server, by a job of the server.
    """
    is_sql = _STATEMENT.match(f"{source} ") is not None and " " in source.strip()
    given = {
        "sql" if is_sql else "table_name": source,
        "format": format,
        "compression": compression,
        "columns": names(columns or []),
        "where": _where(where),
        "order_by": order_by,
        "limit": limit,
        "version": number_or_tag(version),
        "as_of": as_of,
        "partition_by": names(partition_by or []),
        "rows_per_file": rows_per_file,
        "include_headers": None if headers else False,
        "overwrite": overwrite or None,
        **_told_by(target, format, compression),
    }
    parameters = {name: value for name, value in given.items() if value is not None}
    if on_server or target.startswith(BUCKETS):
        _by_the_server(client, {**parameters, "destination": target}, detach, quiet)
    elif detach:
        raise InvalidRequest("--detach goes with what the server writes: s3://, or --on-server.")
    else:
        _here(client, parameters, target, quiet)


def _told_by(target: str, format: str | None, compression: str | None) -> dict[str, Any]:
    """What the target's name tells and no option does. InvalidRequest."""
    from flight_server.transfer.formats import FORMATS, format_of_path

    found = format_of_path(target)
    if found is None:
        if format is None:
            raise InvalidRequest(
                f"The format of '{target}' is not known. Name it with --format: "
                f"{', '.join(FORMATS)}."
            )
        return {}
    kind, around = found
    told: dict[str, Any] = {} if format is not None else {"format": kind.name}
    if around is not None and compression is None:
        told["compression"] = around
    if kind.name == "csv" and any(one in target.lower() for one in (".tsv", ".tab")):
        told["delimiter"] = "\t"
    return told


def _where(text: str | None) -> Any:
    from flight_server.bodies.names import where_in

    return where_in(text)


def _here(client: Client, parameters: dict[str, Any], target: str, quiet: bool) -> None:
    from flight_server.bodies.exports import WHAT, ExportData
    from flight_server.bodies.requests import parsed
    from flight_server.transfer.places.files import FilePlace

    wanted = parsed(ExportData, parameters, WHAT)
    layout = wanted.layout
    path = Path(target).expanduser()
    if not layout.is_folder and (target.endswith("/") or path.is_dir()):
        path = path / layout.name
    name = f"{os.getpid()}"
    place = FilePlace(path, name, layout.is_folder, wanted.overwrite, is_attested=False)
    place.refuse()
    began = time.monotonic()
    # A file in a folder that is not there may be a slip; a folder is there to be made.
    makes_folders = layout.is_folder or target.endswith("/")
    output = _written(client, wanted, path, place, makes_folders, quiet)
    if not quiet:
        seconds = time.monotonic() - began
        files = f"{counted(len(output.files), 'file')}, " if layout.is_folder else ""
        pace = rate(output.rows, output.bytes, seconds)
        say(f"{counted(output.rows, 'row')} into {path} in {seconds:.1f} s: {files}{pace}.")


def _make_folders(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidRequest(f"'{path}' cannot be made: {error.strerror or error}.") from None


def _written(
    client: Client, wanted: ExportData, path: Path, place: Any, makes_folders: bool, quiet: bool
) -> Output:
    from flight_server.transfer.ahead import ahead
    from flight_server.transfer.manifests import manifest_of
    from flight_server.transfer.outputs import write_output
    from flight_server.transfer.places import Result
    from flight_server.worker.exporting import planned

    plan = planned(client, wanted)
    what = wanted.table_name or "the answer"
    if makes_folders:
        _make_folders(path.parent)
    with (
        metered(f"{what} → {path}", plan.rows, quiet) as meter,
        scratch_beside(path) as scratch,
    ):
        folder = scratch / "result"
        folder.mkdir()
        batches = ahead(plan.open_whole, lambda: None)
        output = write_output(batches, plan.schema, folder, wanted.layout, _telling(meter))
        manifest = manifest_of(output, wanted.layout, wanted.source, plan.snapshot, None)
        files = tuple(file.name for file in output.files)
        place.publish(Result(folder, files, manifest), lambda: None)
    return output


def _by_the_server(client: Client, parameters: dict[str, Any], detach: bool, quiet: bool) -> None:
    began = time.monotonic()
    job = client.submit_job("data_export", parameters)
    if detach:
        print(job["job_id"])
        return
    result = follow_job(client, job["job_id"], quiet)["result"]
    if not quiet:
        pace = rate(result["rows"], result["bytes"], time.monotonic() - began)
        where, count = result["destination"], counted(result["rows"], "row")
        say(f"{count} into {where}: {counted(result['file_count'], 'file')}, {pace}.")


def _telling(meter: Meter) -> Any:
    """What tells the meter, which counts what is added, of how much there is in all."""

    def tell(rows: int, size: int) -> None:
        meter.advance(rows - meter.rows, size - meter.bytes, rows)

    return tell
