"""Clients of providers of models, made with the key of the workspace that asks.

Pixeltable makes one client for each thread and provider, from its configuration. Here the makers
that it knows are given the key of the scope, and each thread keeps a client for each workspace
until that has another key. Without one, what Pixeltable's configuration and the environment say
holds as ever.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pixeltable.exceptions as theirs
from pixeltable import env
from pixeltable.config import Config
from pixeltable.runtime import Runtime

from flight_server.engines.pixeltable.worker.metering import count_embedded
from flight_server.engines.pixeltable.worker.scopes import scope
from flight_server.errors import Unavailable

_MODULES = "pixeltable.functions."
# What makers of clients call the URL.
_URLS = ("base_url", "host")
# Tasks that close clients: an event loop by itself does not keep them.
_ENDING: set[asyncio.Task[Any]] = set()


@dataclass(frozen=True)
class Provider:
    """A module of Pixeltable's that has a client: `client` is the name that it goes by there.

    `credential` is what the maker of clients calls the key, None where there is none.
    """

    name: str
    client: str
    credential: str | None

    @property
    def is_configured(self) -> bool:
        """Whether Pixeltable's configuration or the environment has a key."""
        if self.credential is None:
            return False
        return Config.get().get_string_value(self.credential, self.client) is not None


def providers() -> dict[str, Provider]:
    """Those that Pixeltable has clients for, by the names of their modules."""
    found = {}
    for client, made in env._client_factories.items():
        module = made.init_fn.__module__
        if module.startswith(_MODULES):
            name = module.removeprefix(_MODULES)
            found[name] = Provider(name, client, made.credential_param)
    return found


def use_scopes(urls: Mapping[str, str], unretried: frozenset[str]) -> None:
    """From here on clients are made for scopes, and those of `urls` go there.

    What is `unretried` does not try again by itself. Unavailable where a provider has no URL.
    """
    known = providers()
    for name in urls:
        if name not in known:
            raise Unavailable(
                f"The setting provider_urls names '{name}', which has no client whose URL could "
                "be another."
            )
    for one in known.values():
        original = env._client_factories[one.client]
        made = _maker(one, original, urls.get(one.name), one.name in unretried)
        env.register_client(one.client, credential_param=one.credential)(made)
    Runtime.get_client = _get_client


def _maker(
    provider: Provider, original: env.ApiClientFactory, url: str | None, is_unretried: bool
) -> Callable[..., Any]:
    """What makes a client in place of `original`."""
    taken = original.params
    needed = {name for name, one in taken.items() if one.default is inspect.Parameter.empty}
    at = next((name for name in _URLS if name in taken), None)

    def made(**given: Any) -> Any:
        key = scope().keys.get(provider.name)
        if key is not None and provider.credential is not None:
            given[provider.credential] = key
        if provider.credential in needed and provider.credential not in given:
            code = theirs.ErrorCode.MISSING_CREDENTIALS
            raise theirs.AuthorizationError(code, _no_key(provider))
        if url is not None and at is not None:
            given[at] = url
        client = original.init_fn(**given)
        if url is not None and at is None:
            _lead(client, url, provider)
        if is_unretried and hasattr(client, "max_retries"):
            client.max_retries = 0
        count_embedded(client)
        return client

    # By this Pixeltable knows what to look for in its configuration, and that it may be missing.
    optional = [
        one.replace(default=None) if name in {provider.credential, at} else one
        for name, one in taken.items()
    ]
    made.__signature__ = inspect.Signature(optional)  # type: ignore[attr-defined]
    made.__module__ = original.init_fn.__module__
    return made


def _lead(client: Any, url: str, provider: Provider) -> None:
    """Another URL for a client that was made without one."""
    if not hasattr(client, "base_url"):
        raise theirs.RequestError(
            theirs.ErrorCode.INVALID_CONFIGURATION,
            f"The clients of '{provider.name}' take no URL: leave it out of provider_urls.",
        )
    client.base_url = url


def _no_key(provider: Provider) -> str:
    return (
        f"There is no key for the provider '{provider.name}': an administrator of the workspace "
        f"sets one by 'pixelflight providers set {provider.name}', by the action "
        "set_provider_key or over HTTP."
    )


def _get_client(self: Runtime, name: str) -> Any:
    """In place of Pixeltable's own: the client of a thread for a provider, and a workspace."""
    of = next((one.name for one in providers().values() if one.client == name), None)
    key = scope().keys.get(of or "")
    # What is no provider's is everybody's.
    place = f"{name}\0{scope().workspace if of else ''}\0"
    wanted = place if key is None else place + hashlib.sha256(key.encode()).hexdigest()
    # With the last key; nothing is under way there, since a thread does one request at a time.
    for old in [known for known in self._clients if known.startswith(place) and known != wanted]:
        _close(self._clients.pop(old))
    if wanted not in self._clients:
        self._clients[wanted] = env.Env.get().create_client(name)
    return self._clients[wanted]


def _close(client: Any) -> None:
    """Ends the connections of a client that is used no more, where it can be told to."""
    close = getattr(client, "aclose", None) or getattr(client, "close", None)
    ending = None if close is None else close()
    if not inspect.iscoroutine(ending):
        return
    try:
        task = asyncio.get_running_loop().create_task(ending)
    except RuntimeError:
        # Its loop does not run: its sockets go when it does.
        ending.close()
        return
    _ENDING.add(task)
    task.add_done_callback(_ENDING.discard)
