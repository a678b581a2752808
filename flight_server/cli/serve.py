"""`serve`: settings → services → both doors → until a signal → a graceful stop."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from flight_server.cli.allocator import keep_freed_memory
from flight_server.cli.exits import Exit, report, say
from flight_server.errors import Conflict, InvalidRequest, PixelflightError, Unavailable
from flight_server.setting_values import Durability
from flight_server.settings import Settings, load

log = logging.getLogger("flight_server.serve")


def serve(
    data: Annotated[
        Path | None, typer.Option(help="Folder of everything the server keeps; made if missing.")
    ] = None,
    flight: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where Arrow Flight is served.")
    ] = None,
    http: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where HTTP is served.")
    ] = None,
    pixeltable: Annotated[
        Path | None, typer.Option(help="A Pixeltable home: its tables are a catalog of their own.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file of settings; PIXELFLIGHT_CONFIG names one too.")
    ] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM certificate chain.")] = None,
    tls_private_key: Annotated[Path | None, typer.Option(help="PEM private key.")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="PEM authorities that clients must have a certificate of.")
    ] = None,
    durability: Annotated[
        Durability | None, typer.Option(help="Whether acknowledged means on disk.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = None,
    log_json: Annotated[
        bool | None, typer.Option("--log-json", help="Write log lines as JSON.")
    ] = None,
    insecure_no_auth: Annotated[
        bool | None,
        typer.Option("--insecure-no-auth", help="Anyone may do anything; loopback only."),
    ] = None,
) -> None:
    """Serves a folder until SIGTERM or Ctrl-C.

    Prints one line on standard output once it answers: ready flight=URL http=URL. Its log goes
    to standard error. Every setting can also be given by --config or the environment; see
    'pixelflight settings'.
    """
    overrides = dict(locals())
    del overrides["config"]
    settings, _ = load(config, overrides=overrides)
    try:
        run(settings)
    except Unavailable as error:
        # To a client this would mean that nobody answers; here, that no server could be made.
        report(error)
        raise typer.Exit(Exit.FAILED) from None


def run(settings: Settings) -> None:
    """Serves until a signal comes. A second signal ends the process at once."""
    # What serves is imported here, so that other verbs start without it.
    from flight_server.telemetry.logs import configure_logging

    configure_logging(settings)
    keep_freed_memory()
    stop = _signals()
    with ExitStack() as open_things:
        listening = _reserve(settings, open_things)
        closed: list[bool] = []
        urls = _open_doors(settings, listening, open_things, closed)
        print(f"ready flight={urls[0]} http={urls[1]}", flush=True)
        os.read(stop, 1)
        log.info("Stopping; running streams have %g s.", settings.shutdown_seconds)
        closing = threading.Thread(target=open_things.close, name="closing")
        closing.start()
        # Joined in small steps, so that this thread can take a second signal.
        while closing.is_alive():
            closing.join(0.2)
    log.info("Stopped.")
    if not all(closed):
        # Some client neither sends nor reads: its stream would keep the process for ever.
        os._exit(Exit.DONE)


def _open_doors(
    settings: Settings, http_socket: socket.socket, open_things: ExitStack, closed: list[bool]
) -> tuple[str, str]:
    """Assembles the services and starts both doors; gives their URLs.

    Whether every stream could be ended is put into `closed` when the Flight door closes.
    """
    from control_api.app import create_app
    from flight_server.assemble import assemble
    from flight_server.auth import ensure_admin_key
    from flight_server.wire import FlightDoor

    services = assemble(settings)
    open_things.callback(services.close)
    path = ensure_admin_key(services.keys, settings.data)
    if path is not None:
        log.info("First start: the administrator's API key is in %s.", path)
    app = create_app(services)
    app.state.serving = False
    # Closed in the reverse order: HTTP answers "not ready" until the last Flight stream has ended.
    open_things.enter_context(_http(app, settings, http_socket))
    door = FlightDoor(services)
    open_things.callback(lambda: closed.append(door.stop(settings.shutdown_seconds)))
    open_things.callback(setattr, app.state, "serving", False)
    door.start()
    open_things.callback(services.workers.close)
    services.workers.open(door.local_url)
    app.state.serving = True
    host, _ = split_address(settings.http, "http")
    scheme = "https" if settings.tls_certificate else "http"
    return door.url, f"{scheme}://{_bracketed(host)}:{http_socket.getsockname()[1]}"


@contextmanager
def _http(app: Any, settings: Settings, listening: socket.socket) -> Iterator[None]:
    """HTTP in a thread of its own, while the block runs."""
    import uvicorn

    options: dict[str, Any] = {}
    if settings.tls_certificate:
        options = {
            "ssl_certfile": settings.tls_certificate,
            "ssl_keyfile": settings.tls_private_key,
        }
    if settings.tls_client_ca:
        options |= {"ssl_ca_certs": settings.tls_client_ca, "ssl_cert_reqs": ssl.CERT_REQUIRED}
    if settings.tls_client_identity:
        from control_api.certificates import CertificateProtocol

        options["http"] = CertificateProtocol
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            timeout_keep_alive=settings.http_idle_seconds,
            timeout_graceful_shutdown=5,
            **options,
        )
    )
    thread = threading.Thread(target=server.run, args=([listening],), name="http")
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise Unavailable("The HTTP server did not start; the log says why.")
            thread.join(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join()


def _reserve(settings: Settings, open_things: ExitStack) -> socket.socket:
    """Finds out what is in the way, as sentences, before anything is built.

    Gives the socket that HTTP listens on; the one for Flight is tried and let go.
    """
    if settings.flight == settings.http and not settings.flight.endswith(":0"):
        raise InvalidRequest(
            f"flight and http are both '{settings.http}'. Each needs a port of its own: choose "
            "another with --http HOST:PORT."
        )
    _check_tls_files(settings)
    _check_folder(settings.data)
    for name in ("flight", "http"):
        host, _ = split_address(getattr(settings, name), name)
        if settings.insecure_no_auth and not is_loopback(host):
            raise InvalidRequest(
                f"Without authentication the server listens to this machine only, and {name} = "
                f"'{getattr(settings, name)}' is not of it. Use 127.0.0.1, or leave "
                "--insecure-no-auth out."
            )
    if settings.insecure_no_auth:
        say("WARNING: --insecure-no-auth: whoever reaches this machine may do anything.")
    bound(settings.flight, "flight").close()
    listening = bound(settings.http, "http")
    open_things.callback(listening.close)
    return listening


def split_address(address: str, name: str) -> tuple[str, int]:
    """HOST and PORT of a setting. InvalidRequest."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise InvalidRequest(f"{name} = '{address}' is not HOST:PORT, such as 127.0.0.1:8815.")
    return host, int(port)


def bound(address: str, name: str) -> socket.socket:
    """A socket that has the address. Conflict where somebody else has it."""
    host, port = split_address(address, name)
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise InvalidRequest(
            f"{name} = '{address}': this host is not known ({error.strerror})."
        ) from None
    found = socket.socket(family, kind, protocol)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(where)
        found.listen()
    except OSError as error:
        found.close()
        raise _not_bound(address, name, error) from None
    return found


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host's address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _not_bound(address: str, name: str, error: OSError) -> PixelflightError:
    if isinstance(error, PermissionError):
        return InvalidRequest(f"{name} = '{address}': ports below 1024 need privileges.")
    return Conflict(
        f"{name} = '{address}' cannot be listened on: {(error.strerror or str(error)).lower()}. "
        f"Stop what uses it, or choose another with --{name} HOST:PORT (port 0 takes a free one)."
    )


def _check_folder(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data):
            pass
    except OSError as error:
        raise InvalidRequest(
            f"The data folder '{data}' cannot be written: {error.strerror or error}. "
            "Choose another with --data."
        ) from None


def _check_tls_files(settings: Settings) -> None:
    for name in ("tls_certificate", "tls_private_key", "tls_client_ca"):
        path = getattr(settings, name)
        try:
            if path is not None:
                path.read_bytes()
        except OSError as error:
            raise InvalidRequest(
                f"{name} = '{path}' cannot be read: {error.strerror or error}."
            ) from None
    certificate, key = settings.tls_certificate, settings.tls_private_key
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name in ("tls_certificate", "tls_client_ca"):
        if (path := getattr(settings, name)) is not None:
            with _told(f"{name} = '{path}' holds no certificate in PEM."):
                context.load_verify_locations(path)
    if certificate is not None and key is not None:
        with _told(
            f"tls_private_key = '{key}' is not the private key of '{certificate}', in PEM and "
            "without a password."
        ):
            context.load_cert_chain(certificate, key, password="")


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError:
        raise InvalidRequest(what) from None


def _signals() -> int:
    """A pipe that a byte comes from with each SIGTERM or SIGINT; the second ends the process.

    One that comes just as the main thread begins to wait is not lost, as it would be to an event:
    the event's lock may be held then, or its wait begin without having seen the signal.
    """
    stop, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told)
    received: list[int] = []

    def count(number: int, frame: object) -> None:
        received.append(number)
        if len(received) > 1:
            say("Ended at once; streams were cut.")
            os._exit(Exit.FAILED)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, count)
    return stop


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
