"""`providers`: keys of providers of models set and forgotten, and what was called."""

from __future__ import annotations

import datetime as dt
import sys
from getpass import getpass
from typing import Annotated, Any

import pyarrow as pa
import typer

from flight_server.cli.display import show_records
from flight_server.cli.exits import say
from flight_server.cli.options import Output, OutputOption, with_client
from flight_server.client import Client

providers = typer.Typer(
    help="Keys of providers of models, and what was called of them.", no_args_is_help=True
)
Provider = Annotated[str, typer.Argument(help="As 'providers list' has it.")]

_PROVIDERS = pa.schema(
    [
        ("provider", pa.string()),
        ("key", pa.string()),
        ("set_by", pa.string()),
        ("set_at", pa.timestamp("s", "UTC")),
        ("from_environment", pa.bool_()),
        ("url", pa.string()),
        ("requests_per_minute", pa.string()),
    ]
)
_USAGE = pa.schema(
    [
        *((name, pa.string()) for name in ("day", "provider", "function", "model")),
        *((name, pa.int64()) for name in ("calls", "errors", "input_tokens", "output_tokens")),
        ("cost", pa.float64()),
    ]
)


def list_(client: Client, output: OutputOption = Output.TABLE) -> None:
    """Lists the providers that are admitted, with the workspace's keys masked."""
    show_records([_listed(one) for one in client.providers()], _PROVIDERS, output)


def set_(
    client: Client,
    provider: Provider,
    key_file: Annotated[
        typer.FileText | None,
        typer.Option(help="A file with the key; - is stdin. Without it you are asked."),
    ] = None,
) -> None:
    """Sets the workspace's key, in place of the one before."""
    if key_file is not None:
        key = key_file.read()
    elif sys.stdin.isatty():
        key = getpass(f"Key for {provider}: ")
    else:
        key = sys.stdin.read()
    told = client.set_provider_key(provider, key.strip())
    say(f"The key {told['key']['masked']} for {provider} is set.")


def remove(client: Client, provider: Provider) -> None:
    """Forgets the workspace's key."""
    client.drop_provider_key(provider)
    say(f"The key for {provider} is forgotten.")


def usage(
    client: Client,
    since: Annotated[str | None, typer.Option(help="The first day: 2031-01-31.")] = None,
    until: Annotated[str | None, typer.Option(help="The day after the last one.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows what was called of models, by day."""
    wanted = {"from": since, "to": until}
    found = client.model_usage({name: day for name, day in wanted.items() if day is not None})
    show_records(found, _USAGE, output)


for _name, _verb in (("list", list_), ("set", set_), ("remove", remove), ("usage", usage)):
    providers.command(_name)(with_client(_verb))


def _listed(told: dict[str, Any]) -> dict[str, Any]:
    key = told["key"] or {"masked": None, "set_by": None, "set_at": None}
    rates = told["requests_per_minute"].items()
    return told | {
        "key": key["masked"] if told["key"] is None or key["masked"] else "unreadable: set it anew",
        "set_by": key["set_by"],
        "set_at": None if key["set_at"] is None else dt.datetime.fromisoformat(key["set_at"]),
        "requests_per_minute": ", ".join(f"{of or 'all'}: {rate}" for of, rate in rates) or None,
    }
