"""Settings become services: the only place that builds things."""

from __future__ import annotations

from flight_server.auth import Access, Authenticator, KeyStore, signing_secret
from flight_server.engines.lake.engine import LakeEngine
from flight_server.metastore import Metastore
from flight_server.model import DEFAULT_CATALOG
from flight_server.operations import Services
from flight_server.query import Admission
from flight_server.settings import Settings


def assemble(settings: Settings) -> Services:
    """Opens the metastore and the lake under `settings.data`, which is made where missing."""
    settings.data.mkdir(parents=True, exist_ok=True)
    metastore = Metastore.open(settings.data / "metastore.sqlite")
    try:
        lake = LakeEngine.open(settings)
    except BaseException:
        metastore.close()
        raise
    keys, secret = KeyStore(metastore), signing_secret(metastore, "tickets")
    return Services(
        settings=settings,
        engines={DEFAULT_CATALOG: lake},
        access=Access(),
        keys=keys,
        authenticator=Authenticator(keys, secret, settings.insecure_no_auth),
        admission=Admission(
            settings.queries_max, settings.query_wait_seconds, settings.query_bytes_max
        ),
        metastore=metastore,
        signing_secret=secret,
    )
