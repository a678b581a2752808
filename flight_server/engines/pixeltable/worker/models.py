"""The providers of models that are admitted here, and how their models are called."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pixeltable.telemetry import SubscriberRegistry

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.worker import clients
from flight_server.engines.pixeltable.worker.functions import Functions
from flight_server.engines.pixeltable.worker.metering import COUNTS, meter
from flight_server.engines.pixeltable.worker.rates import Rates
from flight_server.errors import Unavailable


def models_called(functions: Functions, urls: Mapping[str, str], rates: Mapping[str, int]) -> None:
    """From here on models are called at these URLs and rates, with the keys of scopes, and counted.

    Where no provider is admitted nothing changes. Unavailable where a setting names another one.
    """
    limited = {name.partition("/")[0] for name in rates}
    for setting, names in (("provider_urls", set(urls)), ("provider_rates", limited)):
        if unknown := names - set(functions.providers):
            raise Unavailable(
                f"The setting {setting} names '{min(unknown)}', which pixeltable_providers does "
                "not admit."
            )
    if not functions.providers:
        return
    SubscriberRegistry.get().subscribe(COUNTS)
    clients.use_scopes(urls, frozenset(limited))
    _tell_pixeltable(rates)
    meter(functions, Rates(rates))


def listed(home: Any, arguments: Mapping[str, Any], cancellation: Cancellation) -> dict[str, Any]:
    """The admitted providers: whether they take a key, and whether the environment has one."""
    known = clients.providers()
    return {
        "providers": [
            {
                "provider": name,
                "takes_key": name in known and known[name].credential is not None,
                "is_configured": name in known and known[name].is_configured,
            }
            for name in home.functions.providers
        ]
    }


def _tell_pixeltable(rates: Mapping[str, int]) -> None:
    """Where nothing is said, Pixeltable has limits of its own for some of them: 600 a minute."""
    known = clients.providers()
    for name, rate in rates.items():
        provider, _, model = name.partition("/")
        if provider in known:
            section = known[provider].client.upper()
            key = f"{section}.RATE_LIMITS_{model.upper()}" if model else f"{section}_RATE_LIMIT"
            os.environ[key] = str(rate)
