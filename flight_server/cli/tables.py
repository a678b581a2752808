"""`tables`, `describe`, `history`, `restore`: what there is, and what there was."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import pyarrow as pa
import typer

from flight_server.cli.display import show_records
from flight_server.cli.exits import say
from flight_server.cli.options import (
    Output,
    OutputOption,
    VersionOption,
    number_or_tag,
    with_client,
)
from flight_server.client import Client, TableSummary
from flight_server.errors import ErrorCode, NotFound
from flight_server.model import COLUMN_COMMENT, TableInfo, Version

Table = Annotated[str, typer.Argument(metavar="TABLE", help="[catalog:][namespace.]name")]

_TABLES = pa.schema([("table", pa.string()), ("rows", pa.int64()), ("bytes", pa.int64())])
_VERSIONS = pa.schema(
    [
        ("version", pa.int64()),
        ("committed_at", pa.timestamp("ms", "UTC")),
        ("changes", pa.string()),
        ("author", pa.string()),
        ("reason", pa.string()),
        ("tags", pa.string()),
    ]
)
_COLUMNS = pa.schema(
    [
        ("column", pa.string()),
        ("type", pa.string()),
        ("nullable", pa.bool_()),
        ("note", pa.string()),
    ]
)


@with_client
def tables(
    client: Client,
    pattern: Annotated[str | None, typer.Argument(help="Which names: 'f*'.")] = None,
    namespace: Annotated[str | None, typer.Option(help="In this namespace only.")] = None,
    catalog: Annotated[str | None, typer.Option(help="In this catalog only.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Lists the tables that you may see."""
    show_list(client.tables(catalog=catalog, namespace=namespace, pattern=pattern), output)


@with_client
def describe(
    client: Client,
    table: Table,
    version: VersionOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows a table: its columns, then its numbers."""
    with _undrop_told(table):
        info = client.describe(table, number_or_tag(version))
    show_description(info, output)


@with_client
def history(
    client: Client,
    table: Table,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="The newest.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Lists a table's versions, the newest first: when, what, by whom, why."""
    with _undrop_told(table):
        versions = client.versions(table, limit)
    show_versions(versions, output)


@with_client
def restore(
    client: Client,
    table: Table,
    version: Annotated[str, typer.Argument(help="A number of 'history', or a tag.")],
) -> None:
    """Brings an old version of a table back, as a new version; nothing is lost by it."""
    with _undrop_told(table):
        commit = client.restore(table, number_or_tag(version) or version)
    say(f"{table} is as it was at version {version}; this is version {commit.snapshot}.")


@with_client
def undrop(client: Client, table: Table) -> None:
    """Brings a dropped table back, as long as its versions are kept."""
    commit = client.undrop_table(table)
    say(
        f"{table} is there again, as it was before it was dropped; this is version "
        f"{commit.snapshot}."
    )


def show_list(found: list[TableSummary], output: Output) -> None:
    """Prints tables with their sizes."""
    records = [{"table": str(t.table), "rows": t.rows, "bytes": t.bytes} for t in found]
    show_records(records, _TABLES, output)


def show_description(info: TableInfo, output: Output) -> None:
    """Prints a table's columns and, for people, its numbers."""
    spec = info.spec
    notes: dict[str, list[str]] = {field.name: [] for field in spec.schema}
    for name in spec.key:
        notes[name].append("key")
    for name, default in spec.defaults.items():
        notes[name].append(f"default {default}")
    for name, constraint in spec.constraints.items():
        notes[name] += [f"{keyword} {_shown(value)}" for keyword, value in constraint.items()]
    for field in spec.schema:
        comment = (field.metadata or {}).get(COLUMN_COMMENT, b"").decode(errors="replace")
        notes[field.name] += [comment] if comment else []
    records = [
        {
            "column": field.name,
            "type": str(field.type),
            "nullable": field.nullable,
            "note": ", ".join(notes[field.name]),
        }
        for field in spec.schema
    ]
    show_records(records, _COLUMNS, output)
    if output is not Output.TABLE:
        return
    if spec.comment:
        say(spec.comment)
    for name, predicate in spec.checks.items():
        say(f"Check {name}: {predicate}")
    if spec.partition_by:
        say(f"Partitioned by {', '.join(spec.partition_by)}.")
    say(
        f"{info.table}: {info.rows:,} rows, {info.bytes:,} bytes in {info.files:,} files, "
        f"{info.versions:,} versions, the last changed at {info.changed_at:%Y-%m-%d %H:%M:%S} UTC."
    )


def show_versions(versions: list[Version], output: Output) -> None:
    """Prints a table's history."""
    records = [
        {
            "version": version.snapshot,
            "committed_at": version.committed_at,
            "changes": ", ".join(version.changes),
            "author": version.author,
            "reason": version.reason,
            "tags": ", ".join(version.tags),
        }
        for version in versions
    ]
    show_records(records, _VERSIONS, output)


@contextmanager
def _undrop_told(table: str) -> Iterator[None]:
    """Where there is no such table, one that was dropped may be meant."""
    try:
        yield
    except NotFound as error:
        if error.code is ErrorCode.TABLE_NOT_FOUND:
            command = f"pixelflight undrop {shlex.quote(table)}"
            error.message += f" If it was dropped, '{command}' brings it back."
        raise


def _shown(value: object) -> str:
    """What a constraint asks for, in a line."""
    return json.dumps(value, ensure_ascii=False)
