"""The keys that workspaces have with providers of models: kept encrypted, handed to nobody.

Only the process that calls the models is given them; everybody else hears the last four letters.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Delete, delete, insert, select

from flight_server.auth.remembered import Remembered
from flight_server.errors import InvalidRequest, NotFound
from flight_server.metastore import Metastore
from flight_server.metastore.audit import record_change
from flight_server.metastore.sealing import Seal
from flight_server.metastore.tables import provider_keys

KEY_LENGTH_MAX = 4096
SHOWN = 4
# Of a shorter one, so many letters would give too much away.
SHOWN_LENGTH_MIN = 4 * SHOWN

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProviderKey:
    """What may be told of a key. `masked` is None where it cannot be decrypted any more."""

    provider: str
    masked: str | None
    set_by: str
    set_at: dt.datetime


class ProviderKeys:
    """The keys, by workspace and provider. Every method may be called from any thread."""

    def __init__(self, metastore: Metastore, seal: Seal) -> None:
        self._metastore = metastore
        self._seal = seal
        self._remembered: Remembered[str, Mapping[str, str]] = Remembered(self._read)

    def of(self, workspace: str) -> Mapping[str, str]:
        """The keys of a workspace by provider, as they were a moment ago where others set them."""
        return self._remembered.get(workspace)

    def list(self, workspace: str) -> list[ProviderKey]:
        """What may be told of a workspace's keys, by provider."""
        with self._metastore.read() as connection:
            statement = select(provider_keys).where(provider_keys.c.workspace == workspace)
            rows = list(connection.execute(statement.order_by(provider_keys.c.provider)).mappings())
        return [
            ProviderKey(
                row["provider"],
                _masked(self._seal.open(row["sealed"], _purpose(workspace, row["provider"]))),
                row["set_by"],
                row["set_at"],
            )
            for row in rows
        ]

    def set(self, workspace: str, provider: str, key: str, by: str) -> ProviderKey:
        """Keeps a key, in place of the one before. InvalidRequest, which does not quote it."""
        _check(key)
        now = dt.datetime.now(dt.UTC)
        row = {
            "workspace": workspace,
            "provider": provider,
            "sealed": self._seal.seal(key, _purpose(workspace, provider)),
            "set_by": by,
            "set_at": now,
        }
        with self._metastore.begin() as connection:
            connection.execute(_at(workspace, provider))
            connection.execute(insert(provider_keys).values(row))
            record_change(
                connection, "set_provider_key", f"provider:{provider}", workspace=workspace
            )
        self._remembered.forget(workspace)
        return ProviderKey(provider, _masked(key), by, now)

    def drop(self, workspace: str, provider: str) -> None:
        """Forgets a key. NotFound."""
        with self._metastore.begin() as connection:
            if not connection.execute(_at(workspace, provider)).rowcount:
                raise NotFound(f"Your workspace has no key for the provider '{provider}'.")
            record_change(
                connection, "drop_provider_key", f"provider:{provider}", workspace=workspace
            )
        self._remembered.forget(workspace)

    def _read(self, workspace: str) -> Mapping[str, str]:
        with self._metastore.read() as connection:
            columns = provider_keys.c
            statement = select(columns.provider, columns.sealed)
            rows = list(connection.execute(statement.where(columns.workspace == workspace)))
        found = {row[0]: self._seal.open(row[1], _purpose(workspace, row[0])) for row in rows}
        for provider in (name for name, key in found.items() if key is None):
            log.warning(
                "the key of '%s' for '%s' cannot be decrypted: set it again", workspace, provider
            )
        return {provider: key for provider, key in found.items() if key is not None}


def _at(workspace: str, provider: str) -> Delete:
    return delete(provider_keys).where(
        provider_keys.c.workspace == workspace, provider_keys.c.provider == provider
    )


def _purpose(workspace: str, provider: str) -> str:
    """What a sealed key is bound to: put into another row it opens as nothing."""
    return f"{workspace}\0{provider}"


def _masked(key: str | None) -> str | None:
    if key is None:
        return None
    return f"…{key[-SHOWN:]}" if len(key) >= SHOWN_LENGTH_MIN else "…"


def _check(key: str) -> None:
    is_plain = key.isascii() and key.isprintable() and " " not in key
    if not is_plain or not 0 < len(key) <= KEY_LENGTH_MAX:
        raise InvalidRequest(
            f"The 'key' is none: give 1 to {KEY_LENGTH_MAX} letters, digits and signs of ASCII, "
            "without blanks."
        )
