"""`audit` and `usage`: who did what, and what was used."""

from __future__ import annotations

import datetime as dt
import json
from typing import Annotated, Any

import pyarrow as pa
import typer

from flight_server.cli.display import show_records
from flight_server.cli.options import Output, OutputOption, with_client
from flight_server.client import Client
from flight_server.errors import InvalidRequest

_ENTRIES = pa.schema(
    [
        ("at", pa.timestamp("ms", "UTC")),
        *(
            (name, pa.string())
            for name in ("principal", "door", "peer", "action", "resource", "outcome", "code")
        ),
        ("snapshot", pa.int64()),
        ("request_id", pa.string()),
        ("details", pa.string()),
    ]
)
_AMOUNTS = ("requests", "rows_in", "rows_out", "bytes_in", "bytes_out", "errors")
_USAGE = pa.schema(
    [
        *((name, pa.string()) for name in ("day", "workspace", "principal")),
        *((name, pa.int64()) for name in _AMOUNTS),
    ]
)


@with_client
def audit(
    client: Client,
    principal: Annotated[str | None, typer.Option(help="By this one: an id or a name.")] = None,
    action: Annotated[str | None, typer.Option(help="Such as ingest or drop_table.")] = None,
    resource: Annotated[
        str | None, typer.Option(help="Such as table:sales.daily, or a prefix: 'table:sales.*'.")
    ] = None,
    outcome: Annotated[str | None, typer.Option(help="ok, refused or failed.")] = None,
    since: Annotated[str | None, typer.Option(help="Not before this time.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time.")] = None,
    text: Annotated[str | None, typer.Option(help="That hold this text.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="So many, the newest.")] = 100,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows the audit trail, the newest first: who did what, from where, how it ended."""
    wanted = {
        "principal": principal,
        "action": action,
        "resource": resource,
        "outcome": outcome,
        "from": _moment(since),
        "to": _moment(until),
        "text": text,
    }
    found = client.audit(limit, {k: value for k, value in wanted.items() if value is not None})
    show_records([_record(entry) for entry in found], _ENTRIES, output)


@with_client
def usage(
    client: Client,
    of: Annotated[str, typer.Option(help="mine, workspace or all.")] = "mine",
    since: Annotated[str | None, typer.Option(help="The first day: 2031-01-31.")] = None,
    until: Annotated[str | None, typer.Option(help="The day after the last one.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows what was used, by day."""
    wanted = {"of": of, "from": since, "to": until}
    found = client.usage({name: value for name, value in wanted.items() if value is not None})
    show_records(found["usage"], _USAGE, output)


def _record(entry: dict[str, Any]) -> dict[str, Any]:
    at = dt.datetime.fromisoformat(entry["at"])
    return entry | {"at": at, "details": json.dumps(entry["details"], ensure_ascii=False)}


def _moment(text: str | None) -> str | None:
    """The time with its zone: this machine's where none is written. InvalidRequest."""
    if text is None:
        return None
    try:
        return dt.datetime.fromisoformat(text).astimezone().isoformat()
    except ValueError:
        raise InvalidRequest(f"'{text}' is no time, such as 2031-01-31T12:00.") from None
