"""Settings become services: the only place that builds things."""

from __future__ import annotations

from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from flight_server.auth import (
    Access,
    Authenticator,
    KeyStore,
    Passwords,
    PermissionStore,
    ProviderKeys,
    TokenStore,
    UserStore,
    signing_secret,
)
from flight_server.engines.base import Engine
from flight_server.engines.lake.engine import LakeEngine
from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.engines.pixeltable.models import Models
from flight_server.jobs import Workers
from flight_server.metastore import Metastore
from flight_server.metastore.audit import AuditTrail
from flight_server.metastore.kept_answers import KeptAnswers
from flight_server.metastore.sealing import Seal
from flight_server.model import DEFAULT_CATALOG, PIXELTABLE_CATALOG, NamespaceRef
from flight_server.operations import Services, bound_to, read_measures
from flight_server.operations.audit import Audit
from flight_server.operations.followers import AuditedCommits
from flight_server.operations.limits import Limits
from flight_server.operations.providers import ModelCalls
from flight_server.operations.refresher import Refresher
from flight_server.operations.results import Results
from flight_server.operations.usage import UsageCounters
from flight_server.operations.webhook_rights import HookRights
from flight_server.operations.workspace_limits import stored_limits
from flight_server.query import Admission
from flight_server.settings import Settings
from flight_server.telemetry import Telemetry
from flight_server.webhooks import Webhooks

if TYPE_CHECKING:
    from flight_server.auth.issuer import Issuer


def assemble(settings: Settings) -> Services:
    """Opens the metastore and the lake under `settings.data`, which is made where missing."""
    settings.data.mkdir(parents=True, exist_ok=True)
    metastore = Metastore.open(settings.data / "metastore.sqlite")
    try:
        lake = LakeEngine.open(settings)
    except BaseException:
        metastore.close()
        raise
    secret = signing_secret(metastore, "tickets")
    permissions = PermissionStore(metastore)
    users = UserStore(metastore, permissions.role_names)
    keys = KeyStore(metastore, permissions.role_names, users=users)
    passwords = Passwords(users)
    lifetimes = (settings.access_token_seconds, settings.refresh_token_seconds)
    tokens = TokenStore(metastore, secret, *lifetimes)
    trail = AuditTrail(metastore, settings.audit_seconds_max, settings.housekeeping_seconds)
    commits = [AuditedCommits(lake, DEFAULT_CATALOG, metastore)]
    usage = UsageCounters(metastore)
    limits = Limits(settings, usage, stored_limits(metastore))
    access = Access(permissions.current, bound_to)
    sealed_by = Seal(settings.provider_key_file or settings.data / "providers.key")
    provider_keys = ProviderKeys(metastore, sealed_by)
    models = _models(settings, metastore, access, provider_keys)
    services = Services(
        settings=settings,
        engines=_engines(settings, lake, models),
        access=access,
        permissions=permissions,
        keys=keys,
        users=users,
        passwords=passwords,
        tokens=tokens,
        authenticator=Authenticator(
            keys, users, passwords, tokens, secret, _issuer(settings), settings.insecure_no_auth
        ),
        admission=Admission(
            settings.queries_max, settings.query_wait_seconds, settings.query_bytes_max
        ),
        metastore=metastore,
        audit=Audit(trail, commits, settings.audit_repeat_seconds),
        usage=usage,
        kept_answers=KeptAnswers(metastore, settings.idempotency_seconds),
        limits=limits,
        signing_secret=secret,
        webhooks=Webhooks(metastore, settings),
        provider_keys=provider_keys,
        workers=Workers(settings, metastore, limits.job_rates),
        refresher=Refresher(settings.view_refresh_seconds),
        results=Results(settings.result_cache_bytes_max),
        telemetry=Telemetry.of(settings),
        previews=BoundedSemaphore(settings.previews_max),
    )
    read_measures(services)
    services.refresher.start(services)
    rights = HookRights(services.access, services.authenticator.principal_of)
    services.webhooks.start(lake, rights)
    return services


def _models(settings: Settings, metastore: Metastore, access: Access, keys: ProviderKeys) -> Models:
    """How models are called: for the workspace that a namespace belongs to, with its keys."""
    return Models(
        urls=settings.provider_urls,
        rates=settings.provider_rates,
        owner=lambda namespace: access.owner(NamespaceRef(PIXELTABLE_CATALOG, namespace)),
        keys=keys.of,
        count=ModelCalls(metastore).count,
    )


def _engines(settings: Settings, lake: LakeEngine, models: Models) -> dict[str, Engine]:
    """The catalogs by their names. InvalidRequest where one of them cannot be had."""
    engines: dict[str, Engine] = {DEFAULT_CATALOG: lake}
    if settings.pixeltable is not None:
        engines[PIXELTABLE_CATALOG] = PixeltableEngine.at(
            settings.pixeltable,
            settings.pixeltable_database,
            settings.import_sources,
            settings.pixeltable_functions,
            settings.pixeltable_providers,
            settings.pixeltable_bulk_writes,
            models,
        )
    return engines


def _issuer(settings: Settings) -> Issuer | None:
    """The issuer of tokens that is trusted beside this server, where there is one."""
    if settings.oidc_issuer is None:
        return None
    # Imported here, since it brings an HTTP client along.
    from flight_server.auth.issuer import Issuer

    return Issuer(settings)
