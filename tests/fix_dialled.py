"""A resolver and servers to dial: what they answer is the test's to say."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Answer = Callable[[BaseHTTPRequestHandler], None]


class LocalResolver:
    """Names and their addresses; of several lists each call takes the next, the last stays."""

    def __init__(self, **names: Sequence[str] | list[list[str]]) -> None:
        self.names: dict[str, Any] = dict(names)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        found = self.names.get(host)
        if found is None:
            raise OSError(f"no such name: {host}")
        if found and isinstance(found[0], list):
            return list(found.pop(0) if len(found) > 1 else found[0])
        return list(found)


@dataclass
class LocalServer:
    """A server whose answer to each path is a function of the handler."""

    server: ThreadingHTTPServer
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def says(self, path: str, body: bytes, status: int = 200, **headers: str) -> None:
        """Answers a path with a body."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(body)

        self.answers[path] = answer

    def redirects(self, path: str, location: str, status: int = 302) -> None:
        self.says(path, b"", status, Location=location)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        local: LocalServer = self.server.local  # type: ignore[attr-defined]
        headers = {name.lower(): value for name, value in self.headers.items()}
        local.asked.append((self.path, headers))
        self.close_connection = True
        # The client may leave whenever it likes.
        with suppress(OSError):
            local.answers[self.path](self)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # Clients that refuse a certificate leave in the middle of the handshake.


@pytest.fixture
def local_servers() -> Iterator[Callable[..., LocalServer]]:
    """Starts servers on addresses of this machine: `local_servers(address, tls)`."""
    with ExitStack() as stack:

        def start(address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> LocalServer:
            server = _Server((address, 0), _Handler)
            local = LocalServer(server)
            server.local = local  # type: ignore[attr-defined]
            if tls is not None:
                server.socket = tls.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return local

        yield start
