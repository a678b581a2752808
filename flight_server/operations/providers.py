"""Providers of models: the keys that a workspace has with them, and what was called of them.

The operator admits providers; whoever may admin a workspace sets its keys, which nobody sees again.
A model is called with the key of the workspace that the table belongs to.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from flight_server.auth import ProviderKey
from flight_server.engines.base import require
from flight_server.engines.models import Called, SupportsProviders
from flight_server.errors import Forbidden, InvalidRequest, NotFound, PixelflightError
from flight_server.metastore import Metastore
from flight_server.metastore.model_usage import add_calls, read_calls, sums_of_calls
from flight_server.model import PIXELTABLE_CATALOG
from flight_server.operations.authority import authority
from flight_server.operations.services import Call, Services

log = logging.getLogger(__name__)


class ModelCalls:
    """What was called of models, written down as it is told. For any thread."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def count(self, called: Sequence[Called]) -> None:
        """Adds calls to those of today, in UTC. What cannot be written is told by the log."""
        day = dt.datetime.now(dt.UTC).date().isoformat()
        try:
            with self._metastore.begin() as connection:
                add_calls(connection, [{"day": day, **asdict(one)} for one in called])
        except PixelflightError as error:
            log.warning("calls of models were not counted: %s: %s", error.message, called)

    def totals(self, amount: str) -> Mapping[tuple[str, ...], float]:
        """One amount by workspace and provider, of all days."""
        with self._metastore.read() as connection:
            rows = sums_of_calls(connection)
        return {(row["workspace"], row["provider"]): float(row[amount]) for row in rows}


def list_providers(services: Services, call: Call) -> list[dict[str, Any]]:
    """The admitted providers, with what may be told of the workspace's keys. Forbidden; NotFound.

    `from_environment` is whether a workspace without a key of its own is served all the same.
    """
    workspace = _managed(services, call)
    admitted = _admitted(services)
    keys = {one.provider: one for one in services.provider_keys.list(workspace)}
    settings = services.settings
    return [
        {
            "provider": one["provider"],
            "takes_key": one["takes_key"],
            "key": _told(keys.get(one["provider"])),
            "from_environment": one["is_configured"],
            "url": settings.provider_urls.get(one["provider"]),
            "requests_per_minute": {
                name.partition("/")[2]: rate
                for name, rate in settings.provider_rates.items()
                if name.partition("/")[0] == one["provider"]
            },
        }
        for one in admitted
    ]


def set_provider_key(services: Services, call: Call, provider: str, key: str) -> dict[str, Any]:
    """Keeps a key of the caller's workspace, for the next call of a model on.

    Forbidden; NotFound where the operator has not admitted the provider; InvalidRequest.
    """
    workspace = _managed(services, call)
    admitted = {one["provider"]: one for one in _admitted(services)}
    if provider not in admitted:
        known = f"These are: {', '.join(sorted(admitted))}." if admitted else "None is."
        raise NotFound(
            f"There is no provider '{provider[:100]}' that is admitted here. {known} The operator "
            "names them in the setting pixeltable_providers."
        )
    if not admitted[provider]["takes_key"]:
        raise InvalidRequest(f"The provider '{provider}' takes no key.")
    by = call.principal.name
    told = _told(services.provider_keys.set(workspace, provider, key, by))
    return {"provider": provider, "key": told}


def drop_provider_key(services: Services, call: Call, provider: str) -> None:
    """Forgets a key of the caller's workspace. Forbidden; NotFound."""
    workspace = _managed(services, call)
    services.provider_keys.drop(workspace, provider[:100])


def list_model_usage(
    services: Services,
    call: Call,
    since: dt.date | None = None,
    until: dt.date | None = None,
) -> list[dict[str, Any]]:
    """What the caller's workspace has called, by day, function and model. Forbidden."""
    workspace = _managed(services, call)
    with services.metastore.read() as connection:
        rows = read_calls(
            connection,
            workspace,
            None if since is None else since.isoformat(),
            None if until is None else until.isoformat(),
        )
    return [dict(row) for row in rows]


def _managed(services: Services, call: Call) -> str:
    """The caller's workspace, where they may admin it. Forbidden."""
    manager = authority(services, call)
    if manager is None or not manager.is_workspace_admin:
        raise Forbidden(
            "You may not manage providers of models: it takes a credential without scopes of "
            "somebody who may admin the server or your workspace."
        ).refusing("manage", "providers")
    return call.principal.workspace


def _admitted(services: Services) -> list[Mapping[str, Any]]:
    return require(services.engine(PIXELTABLE_CATALOG), SupportsProviders).providers()


def _told(key: ProviderKey | None) -> dict[str, Any] | None:
    if key is None:
        return None
    return {"masked": key.masked, "set_by": key.set_by, "set_at": key.set_at.isoformat()}
