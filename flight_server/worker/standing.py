"""A worker made of a server's folder: alike for those that the server starts and those beside."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flight_server.auth import signing_secret
from flight_server.metastore import Metastore
from flight_server.settings import Settings
from flight_server.worker.folders import remove_abandoned
from flight_server.worker.process import Worker


@contextmanager
def standing_worker(
    settings: Settings,
    metastore_path: Path,
    connection: Mapping[str, Any],
    name: str = "",
    idle_seconds: float | None = None,
) -> Iterator[Worker]:
    """A worker over the metastore and the server that the connection leads to."""
    with Metastore.open(metastore_path) as metastore:
        remove_abandoned(settings, metastore)
        own = name or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        secret = signing_secret(metastore, "tickets")
        yield Worker(settings, metastore, secret, connection, own, idle_seconds)
