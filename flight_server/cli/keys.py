"""`keys`: API keys made, rotated and revoked in a server's folder, beside it or without it."""

from __future__ import annotations

import datetime as dt
import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pyarrow as pa
import typer

from flight_server.cli.display import show_records
from flight_server.cli.exits import say
from flight_server.cli.options import Output, OutputOption, names
from flight_server.errors import InvalidRequest
from flight_server.settings import Settings, load

if TYPE_CHECKING:
    from flight_server.auth import KeyInfo, KeyStore

Data = Annotated[Path | None, typer.Option(help="The server's folder; default as 'serve' has it.")]
Config = Annotated[Path | None, typer.Option(help="TOML file of settings.")]

keys = typer.Typer(
    help="API keys, in the folder of a server on this machine; it need not be running.",
    no_args_is_help=True,
)
_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("name", pa.string()),
        ("owner", pa.string()),
        ("roles", pa.string()),
        ("scopes", pa.string()),
        ("state", pa.string()),
        ("created_at", pa.timestamp("s", "UTC")),
        ("expires_at", pa.timestamp("s", "UTC")),
        ("created_by", pa.string()),
    ]
)


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Who or what will use it.")],
    role: Annotated[
        list[str] | None,
        typer.Option("--role", "-r", help="What it may do: admin, writer or reader."),
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="Whose key it is, with that user's roles, instead of --role.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="All that it may do of that: read, insert, …, or read:sales.*"),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="It expires after so many days.")
    ] = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Makes a key and prints it, this once; only a hash of it is kept."""
    from flight_server.auth import BUILT_IN_ROLES

    roles = names(role or [])
    if roles is None and user is None:
        known = ", ".join(sorted(BUILT_IN_ROLES))
        raise InvalidRequest(f"Give the key a --role ({known}), or a --user whose key it is.")
    expires_at = dt.datetime.now(dt.UTC) + dt.timedelta(days=days) if days else None
    with _store(data, config) as store:
        text, info = store.create(
            name,
            roles or (),
            created_by="command line",
            expires_at=expires_at,
            owner=user,
            scopes=scope or None,
        )
    what = ", ".join(info.roles) or f"as {info.owner}"
    say(f"Key {info.id} for '{info.name}' ({what}). It is shown only now:")
    print(text)


@keys.command("list")
def list_(data: Data = None, config: Config = None, output: OutputOption = Output.TABLE) -> None:
    """Lists all keys, revoked ones too; never their secrets."""
    with _store(data, config) as store:
        records = [_record(info) for info in store.list()]
    show_records(records, _SCHEMA, output)


@keys.command()
def revoke(
    id: Annotated[str, typer.Argument(help="As 'keys list' has it.")],
    data: Data = None,
    config: Config = None,
) -> None:
    """Ends a key; a running server notices within seconds."""
    with _store(data, config) as store:
        info = store.revoke(id)
    say(f"The key {info.id} of '{info.name}' is revoked.")


@keys.command()
def rotate(
    id: Annotated[str, typer.Argument(help="As 'keys list' has it.")],
    overlap: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long the old one works beside it.")
    ] = 0,
    data: Data = None,
    config: Config = None,
) -> None:
    """Gives a key a new secret and prints it, this once; sessions of the old one end with it."""
    with _store(data, config) as store:
        text, info = store.rotate(id, overlap)
    until = f"until {info.previous_until:%Y-%m-%d %H:%M:%S} UTC" if overlap else "no more"
    say(f"Key {info.id} for '{info.name}'. The old one works {until}; the new is shown only now:")
    print(text)


@contextmanager
def _store(data: Path | None, config: Path | None) -> Iterator[KeyStore]:
    # Imported here because it takes as long as all the rest of the command line.
    from flight_server.auth import KeyStore, PermissionStore
    from flight_server.metastore import Metastore
    from flight_server.metastore.audit import Actor, Stage, enter_stage

    settings, _ = load(config, overrides={"data": data})
    path = metastore_path(settings)
    if not path.exists():
        raise InvalidRequest(
            f"No server has run in '{settings.data}' yet. Start one with "
            f"'pixelflight serve --data {settings.data}', or name its folder with --data."
        )
    metastore = Metastore.open(path)
    # Who has the folder may do anything with it; the audit trail knows them as the machine does.
    enter_stage(Stage(Actor("local", _me(), door="command_line")))
    try:
        yield KeyStore(metastore, PermissionStore(metastore).role_names)
    finally:
        metastore.close()


def metastore_path(settings: Settings) -> Path:
    """Where `assemble` keeps the metastore."""
    return settings.data / "metastore.sqlite"


def _record(info: KeyInfo) -> dict[str, object]:
    now = dt.datetime.now(dt.UTC)
    state = "expired" if info.expires_at and info.expires_at <= now else "valid"
    return {
        "id": info.id,
        "name": info.name,
        "owner": info.owner,
        "roles": ", ".join(info.roles),
        "scopes": ", ".join(info.scopes) if info.scopes is not None else None,
        "state": "revoked" if info.revoked_at else state,
        "created_at": info.created_at,
        "expires_at": info.expires_at,
        "created_by": info.created_by,
    }


def _me() -> str:
    """Who is logged in on this machine; their number where it has no name for them."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return f"uid {os.getuid()}"
