"""`worker`: a process that does jobs, beside those that the server starts."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from flight_server.cli.exits import Exit, say
from flight_server.cli.keys import metastore_path
from flight_server.cli.options import TlsCertificate, TlsKey, TlsRoots
from flight_server.errors import InvalidRequest
from flight_server.settings import load


def worker(
    data: Annotated[
        Path | None, typer.Option(help="The server's folder; default as 'serve' has it.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
    url: Annotated[
        str | None,
        typer.Option(help="Where the server is: grpc://HOST:PORT; default as the settings say."),
    ] = None,
    tls_root_certificates: TlsRoots = None,
    tls_client_certificate: TlsCertificate = None,
    tls_client_key: TlsKey = None,
) -> None:
    """Does the jobs of a server on this machine until SIGTERM or Ctrl-C.

    The server starts workers by itself, as many as the setting job_workers says. This one comes
    in addition, or in their place where that is 0: with a memory limit of its own, for instance.
    On SIGTERM a job that runs may end within job_grace_seconds, and is given back after that.
    """
    settings, _ = load(config, overrides={"data": data})
    path = metastore_path(settings)
    if not path.exists():
        raise InvalidRequest(
            f"No server has run in '{settings.data}' yet. Start one with "
            f"'pixelflight serve --data {settings.data}', or name its folder with --data."
        )
    # Imported here because it takes longer than all the rest of the command line.
    from flight_server.telemetry.logs import configure_logging
    from flight_server.worker.standing import standing_worker

    configure_logging(settings)
    connection: dict[str, Any] = {"url": url or _default_url(settings)}
    pem = {
        "tls_root_certificates": tls_root_certificates,
        "tls_client_certificate": tls_client_certificate,
        "tls_client_key": tls_client_key,
    }
    connection |= {name: one for name, one in pem.items() if one is not None}
    told = _signals()
    with standing_worker(settings, path, connection) as made:
        threading.Thread(target=_listen, args=(told, made.stop), daemon=True).start()
        say(f"Doing the jobs of the server at {connection['url']}.")
        made.run()
    say("Stopped.")


def _signals() -> int:
    """A pipe that a byte comes from with each SIGTERM or SIGINT.

    It is read in a thread of its own: the main one may be in the middle of a long call, and would
    hear of a signal only after it.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: None)
    return heard


def _listen(heard: int, stop: Callable[[], None]) -> None:
    os.read(heard, 1)
    say("Stopping.")
    threading.Thread(target=stop, daemon=True).start()
    os.read(heard, 1)
    say("Ended at once; the job is given back when its lease ends.")
    os._exit(Exit.FAILED)


def _default_url(settings: Any) -> str:
    """Where the settings say that Flight is."""
    host, _, port = settings.flight.rpartition(":")
    if port == "0":
        raise InvalidRequest("The setting flight has no port of its own: give --url.")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - asked
    return f"{'grpc+tls' if settings.tls_certificate else 'grpc'}://{host}:{port}"
