"""Encryption of what the metastore keeps and has to read again: keys that others have given.

AES-256-GCM, under a key that stands in a file of its own, so that whoever has the metastore, or a
copy of it, has none of them. What is sealed for one purpose opens for no other.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from flight_server.errors import Unavailable

KEY_BYTES, NONCE_BYTES = 32, 12


class Seal:
    """Seals and opens with the key in a file, which is made when something is first sealed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cipher: AESGCM | None = None

    def seal(self, text: str, purpose: str) -> bytes:
        """The text, encrypted. Unavailable where the file can be neither read nor made."""
        cipher = self._cipher or self._opened() or self._made()
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + cipher.encrypt(nonce, text.encode(), purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> str | None:
        """The text; None where the file is another one than it was sealed with, or gone."""
        cipher = self._cipher or self._opened()
        if cipher is None:
            return None
        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, rest, purpose.encode()).decode()
        except InvalidTag:
            return None

    def _opened(self) -> AESGCM | None:
        try:
            key = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error.strerror) from None
        if len(key) != KEY_BYTES:
            raise self._unusable(f"it has {len(key)} bytes instead of {KEY_BYTES}")
        self._cipher = AESGCM(key)
        return self._cipher

    def _made(self) -> AESGCM:
        new = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(descriptor)
            try:
                # Whole, or not there; where another server was quicker, its key is the one.
                os.link(new, self._path)
            except FileExistsError:
                pass
            finally:
                new.unlink()
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise self._unusable(error.strerror) from None
        made = self._opened()
        assert made is not None, "it was made just now"
        return made

    def _unusable(self, why: str | None) -> Unavailable:
        return Unavailable(
            f"The file '{self._path}', which keys of providers are encrypted with, cannot be "
            f"used: {why}. The setting 'provider_key_file' names it."
        )
