"""Options that several verbs share, and the client that they make."""

from __future__ import annotations

import datetime as dt
import functools
import inspect
import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from flight_server.cli.exits import say
from flight_server.cli.interrupts import interruptible
from flight_server.client import DEFAULT_URL, Client, connect
from flight_server.errors import InvalidRequest

DEFAULT_KEY_FILE = Path("pixelflight-data/admin.key")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Output(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"


def _checked_moment(text: str | None) -> str | None:
    try:
        if text is None or text.isdigit() or dt.datetime.fromisoformat(text).tzinfo is not None:
            return text
    except ValueError:
        pass
    raise InvalidRequest(
        f"--as-of '{text}' is not a time with its zone, such as 2026-01-31T12:00:00Z."
    )


Url = Annotated[
    str | None,
    typer.Option(
        help=f"Where the server is: grpc://HOST:PORT, or grpc+tls://. Default {DEFAULT_URL}.",
        envvar="PIXELFLIGHT_URL",
        show_envvar=True,
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        help=f"API key. Default for a local server: the one in {DEFAULT_KEY_FILE}.",
        envvar="PIXELFLIGHT_KEY",
        show_envvar=True,
    ),
]
TlsRoots = Annotated[
    Path | None,
    typer.Option("--tls-root-certificates", help="PEM authorities that the server is checked by."),
]
TlsCertificate = Annotated[
    Path | None,
    typer.Option("--tls-client-certificate", help="PEM certificate to show to the server."),
]
TlsKey = Annotated[
    Path | None,
    typer.Option("--tls-client-key", help="PEM private key of --tls-client-certificate."),
]
OutputOption = Annotated[
    Output,
    typer.Option("--output", "-O", help="table for people; json has one object a line."),
]
VersionOption = Annotated[
    str | None, typer.Option("--version", help="Read an old version: its number or its tag.")
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", help="Read as it was then: 2026-01-31T12:00:00Z.", callback=_checked_moment
    ),
]

_CONNECTION = {
    "url": Url,
    "key": Key,
    "tls_root_certificates": TlsRoots,
    "tls_client_certificate": TlsCertificate,
    "tls_client_key": TlsKey,
}


def with_client(
    verb: Callable[..., None],
    interrupts: Callable[[Callable[[], None]], None] = interruptible,
) -> Callable[..., None]:
    """A verb that takes a client becomes one that takes the options a client is made from.

    `interrupts` does the work, and says what becomes of it on Ctrl-C.
    """
    own = inspect.signature(verb, eval_str=True)
    kept = [p for name, p in own.parameters.items() if name != "client"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in _CONNECTION.items()
    ]

    @functools.wraps(verb)
    def command(**given: Any) -> None:
        connection = {name: given.pop(name) for name in _CONNECTION}
        with connected(**connection) as client:
            interrupts(lambda: verb(client=client, **given))

    keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in kept]
    signature = inspect.Signature(keywords + added, return_annotation=None)
    command.__signature__ = signature  # type: ignore[attr-defined]  # what typer looks at
    command.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return command


def connected(url: str | None = None, key: str | None = None, **tls: Any) -> Client:
    """The client of the options; for a server on this machine the key may lie in its folder."""
    url = url or os.environ.get("PIXELFLIGHT_URL") or DEFAULT_URL
    if key is None and urlsplit(url).hostname in LOOPBACK:
        key = _key_beside()
    return connect(url, key, **tls)


def number_or_tag(version: str | None) -> int | str | None:
    """A version as the server wants it: a number where it is one, else a tag."""
    return int(version) if version is not None and version.isdigit() else version


def pairs(texts: list[str], option: str) -> dict[str, str]:
    """`name=value` texts as a mapping. InvalidRequest quotes the one that is none."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidRequest(f"{option} '{text}' is not NAME=VALUE.")
        found[name] = value
    return found


def names(texts: list[str]) -> tuple[str, ...] | None:
    """Names given one an option or several with commas between; None where there are none."""
    split = [name.strip() for text in texts for name in text.split(",")]
    return tuple(name for name in split if name) or None


def _key_beside() -> str | None:
    try:
        key = DEFAULT_KEY_FILE.read_text("utf-8").strip()
    except OSError:
        return None
    say(f"Using the key in {DEFAULT_KEY_FILE}.")
    return key
