"""What a server makes for itself when it starts for the first time.

That is an administrator's key, told in a file, and the secrets that it signs with.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
from pathlib import Path

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from flight_server.auth.credentials import parse_key
from flight_server.auth.signing import SECRET_BYTES
from flight_server.auth.store import KeyStore
from flight_server.errors import Conflict, Unauthenticated, Unavailable
from flight_server.metastore import Metastore
from flight_server.metastore.tables import server_secrets

ADMIN_KEY_FILE = "admin.key"


def ensure_admin_key(store: KeyStore, data: Path) -> Path | None:
    """Makes the administrator's key where the store has no key at all; the path if it did.

    `data/admin.key` is for its owner's eyes only and is complete before the key is committed. A
    crash between the two leaves a file whose key opens nothing, and the next start replaces it.
    Conflict where the file holds something else, which would be lost; Unavailable where it
    cannot be written.
    """
    path = data / ADMIN_KEY_FILE
    try:
        made = store.create_first("admin", {"admin"}, lambda text: _write_key(path, text))
    except OSError as error:
        raise Unavailable(
            f"The administrator's key cannot be written to '{path}': {error.strerror}. "
            "Check the folder and its permissions."
        ) from None
    return path if made else None


def signing_secret(metastore: Metastore, name: str) -> bytes:
    """The server's secret of this name: 32 bytes, made on first use, the same ever after."""
    made = secrets.token_bytes(SECRET_BYTES)
    row = {"name": name, "value": made, "created_at": dt.datetime.now(dt.UTC)}
    existing = _stored_secret(metastore, name)
    if existing is not None:
        return existing
    try:
        with metastore.begin() as connection:
            connection.execute(insert(server_secrets).values(row))
    except IntegrityError:
        # Another server on this metastore was quicker: its secret is the one.
        existing = _stored_secret(metastore, name)
        assert existing is not None, "a secret is never deleted"
        return existing
    return made


def _stored_secret(metastore: Metastore, name: str) -> bytes | None:
    with metastore.read() as connection:
        statement = select(server_secrets.c.value).where(server_secrets.c.name == name)
        value: bytes | None = connection.scalar(statement)
        return value


def _write_key(path: Path, text: str) -> None:
    _spare_other_content(path)
    written = path.with_name(f".{path.name}.new")
    written.unlink(missing_ok=True)  # left by a crash
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)
    _flush_folder(path.parent)


def _spare_other_content(path: Path) -> None:
    try:
        parse_key(path.read_text("utf-8"))
    except FileNotFoundError:
        return
    except (Unauthenticated, UnicodeDecodeError):
        raise Conflict(
            f"The file '{path}' holds no API key, and the administrator's is to be written there: "
            "move it away."
        ) from None


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
