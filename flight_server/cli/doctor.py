"""`doctor`: what could keep a server or a client from working here, each with its remedy."""

from __future__ import annotations

import errno
import importlib.metadata
import shutil
import ssl
import stat
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from flight_server.cli.exits import Exit
from flight_server.cli.options import Key, TlsRoots, Url, connected
from flight_server.cli.own_server import own_server
from flight_server.cli.serve import bound, split_address
from flight_server.client import Client, connect
from flight_server.errors import Conflict, PixelflightError
from flight_server.settings import Settings, load

FREE_BYTES_MIN = 2**30
CLOCK_SECONDS_MAX = 60
PYTHON_MIN = (3, 11)


@dataclass(frozen=True)
class Finding:
    """One thing looked at: how it is and, where it is not well, what to do."""

    name: str
    well: bool
    state: str
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{'✔' if self.well else '✘'} {self.name}: {self.state}"
        return text if self.well or not self.remedy else f"{text}\n  → {self.remedy}"


def doctor(
    data: Annotated[Path | None, typer.Option(help="The server's folder.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
    url: Url = None,
    key: Key = None,
    tls_root_certificates: TlsRoots = None,
) -> None:
    """Checks this machine, the settings and, with --url, a server; tries a round trip.

    Without --url the round trip goes through a server that is started for it in a temporary
    folder. Exit code 1 where anything is not well.
    """
    well = True
    for finding in _findings(data, config, url, key, tls_root_certificates):
        print(finding, flush=True)
        well = well and finding.well
    if not well:
        raise typer.Exit(Exit.FAILED)


def _findings(
    data: Path | None, config: Path | None, url: str | None, key: str | None, roots: Path | None
) -> Iterator[Finding]:
    yield _python()
    yield from _packages()
    try:
        settings, sources = load(config, overrides={"data": data})
    except PixelflightError as error:
        yield Finding("settings", False, error.message, "'pixelflight settings' lists them all.")
        return
    yield Finding("settings", True, f"{len(sources)} are not at their default")
    yield _folder(settings.data)
    yield _space(settings.data)
    yield _clock(settings.data)
    yield from _key_file(settings.data)
    yield from _tls(settings)
    if url is not None:
        yield _server(url, key, roots)
        return
    yield _port(settings, "flight")
    yield _port(settings, "http")
    yield _own_round_trip()


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("python", sys.version_info >= PYTHON_MIN, version, "Install 3.11 or newer.")


def _packages() -> Iterator[Finding]:
    """DuckDB and its extension have to be of one release."""
    for name in ("pyarrow", "duckdb"):
        yield _package(name)
    extension = _package("duckdb-extension-ducklake")
    same = extension.state == _package("duckdb").state
    remedy = f"pip install 'duckdb-extension-ducklake=={_package('duckdb').state}'"
    yield Finding(extension.name, extension.well and same, extension.state, remedy)


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, False, "not installed", f"pip install {name}")


def _folder(data: Path) -> Finding:
    name = f"data folder '{data}'"
    there = next(folder for folder in (data, *data.absolute().parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        remedy = f"Give yourself the right to write to '{there}', or choose another with --data."
        return Finding(name, False, f"cannot be written ({error.strerror})", remedy)
    return Finding(name, True, "can be written" if there == data else "will be made")


def _space(data: Path) -> Finding:
    there = next(folder for folder in (data, *data.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    state = f"{free / 2**30:,.1f} GiB free"
    return Finding("disk", free >= FREE_BYTES_MIN, state, "Make room: at least 1 GiB.")


def _clock(data: Path) -> Finding:
    """A clock that went back makes new versions older than old ones."""
    files = [path for path in (data.iterdir() if data.is_dir() else ()) if path.is_file()]
    newest = max((path.stat().st_mtime for path in files), default=0.0)
    ahead = newest - time.time()
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    if ahead > CLOCK_SECONDS_MAX:
        state = f"{now}, {ahead:,.0f} s behind the newest file in '{data}'"
        return Finding("clock", False, state, "Set the clock; let NTP keep it.")
    return Finding("clock", True, now)


def _key_file(data: Path) -> Iterator[Finding]:
    path = data / "admin.key"
    if not path.exists():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    remedy = f"chmod 600 '{path}'"
    yield Finding(f"'{path}'", not mode & 0o077, f"has the mode {mode:o}", remedy)


def _tls(settings: Settings) -> Iterator[Finding]:
    if settings.tls_certificate is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_private_key)
        if settings.tls_client_ca is not None:
            context.load_verify_locations(settings.tls_client_ca)
    except (OSError, ssl.SSLError) as error:
        remedy = "Give PEM files: the chain, and the key that belongs to it, without a password."
        yield Finding("TLS files", False, str(error), remedy)
        return
    yield Finding("TLS files", True, "certificate and key belong together")


def _port(settings: Settings, name: str) -> Finding:
    address = getattr(settings, name)
    title = f"{name} address {address}"
    try:
        bound(address, name).close()
    except Conflict as error:
        if _is_ours(settings):
            return Finding(title, True, "a Pixelflight server listens")
        remedy = f"Stop what listens there, or choose another with --{name}."
        return Finding(title, False, error.message.split(": ")[-1].split(".")[0], remedy)
    except PixelflightError as error:
        return Finding(title, False, error.message)
    return Finding(title, True, "free")


def _is_ours(settings: Settings) -> bool:
    host, port = split_address(settings.http, "http")
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/health/live", timeout=2) as answer:
            return b"live" in answer.read(100)
    except (OSError, urllib.error.URLError):
        return False


def _server(url: str, key: str | None, roots: Path | None) -> Finding:
    title = f"server {url}"
    try:
        with connected(url, key, tls_root_certificates=roots) as client:
            return _asked(title, client)
    except PixelflightError as error:
        return Finding(title, False, error.message, "Check the URL, the key, and that it runs.")


def _asked(title: str, client: Client) -> Finding:
    """What a server that serves says to a question of which we know the answer."""
    started = time.monotonic()
    answer = client.sql("select 42 as answer").to_arrow()
    ms = (time.monotonic() - started) * 1000
    right = answer.to_pylist() == [{"answer": 42}]
    return Finding(title, right, f"answers in {ms:.1f} ms" if right else "answers wrongly")


def _own_round_trip() -> Finding:
    title = "round trip through a server of its own"
    rows = pa.table({"id": [1, 2, 3]})
    try:
        with (
            tempfile.TemporaryDirectory(prefix="pixelflight-doctor-") as place,
            own_server(Path(place) / "data") as server,
            connect(server.flight, server.key) as client,
        ):
            client.put("rows", rows)
            right = client.scan("rows").to_arrow().equals(rows)
    except (PixelflightError, OSError) as error:
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        return Finding(title, False, str(error), "Make room on the disk." if full else "")
    return Finding(title, right, "rows came back" if right else "other rows came back")
