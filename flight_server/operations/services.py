"""What every operation works with: the assembled services, and the call that is being served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Semaphore
from types import FunctionType

from flight_server.auth import (
    Access,
    Authenticator,
    KeyStore,
    Passwords,
    PermissionStore,
    ProviderKeys,
    TokenStore,
    UserStore,
)
from flight_server.engines.base import Engine, Transaction
from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.errors import ErrorCode, NotFound, did_you_mean
from flight_server.jobs import Workers
from flight_server.metastore import Metastore
from flight_server.metastore.audit import Actor
from flight_server.metastore.kept_answers import KeptAnswers
from flight_server.model import (
    TEMPORARY_CATALOG,
    Author,
    NamespaceRef,
    Principal,
    TableRef,
    resource_name,
)
from flight_server.operations.audit import Attempt, Audit
from flight_server.operations.limits import Limits
from flight_server.operations.metering import Meter
from flight_server.operations.refresher import Refresher
from flight_server.operations.results import Results
from flight_server.operations.sessions import Session
from flight_server.operations.usage import UsageCounters
from flight_server.query import Admission
from flight_server.settings import Settings
from flight_server.telemetry import Telemetry
from flight_server.webhooks import Webhooks


@dataclass(frozen=True)
class Services:
    """Everything a running server is made of; `flight_server.assemble` builds it.

    `signing_secret` signs tickets and the tokens of handshakes.
    """

    settings: Settings
    engines: Mapping[str, Engine]
    access: Access
    permissions: PermissionStore
    keys: KeyStore
    users: UserStore
    passwords: Passwords
    tokens: TokenStore
    authenticator: Authenticator
    admission: Admission
    metastore: Metastore
    audit: Audit
    usage: UsageCounters
    kept_answers: KeptAnswers
    limits: Limits
    signing_secret: bytes = field(repr=False)
    webhooks: Webhooks = field(repr=False)
    workers: Workers = field(repr=False)
    provider_keys: ProviderKeys = field(repr=False)
    refresher: Refresher = field(default_factory=Refresher, repr=False)
    results: Results = field(default_factory=lambda: Results(0), repr=False)
    telemetry: Telemetry = field(default_factory=Telemetry)
    previews: Semaphore = field(default_factory=lambda: BoundedSemaphore(2), repr=False)

    def engine(self, catalog: str) -> Engine:
        """The engine mounted under a name. NotFound (catalog_not_found)."""
        if catalog not in self.engines:
            raise NotFound(
                f"There is no catalog '{catalog}'.{did_you_mean(catalog, self.engines)}",
                code=ErrorCode.CATALOG_NOT_FOUND,
            )
        return self.engines[catalog]

    def close(self) -> None:
        """Ends what keeps books, the engines, the metastore; traces that are left are sent last."""
        self.workers.close()
        self.webhooks.close()
        self.refresher.close()
        self.audit.close()
        self.usage.close()
        for engine in self.engines.values():
            engine.close()
        self.metastore.close()
        self.telemetry.close()


@dataclass(frozen=True)
class Call:
    """One request as operations see it: who asks, from where, under which id, and until when.

    `transaction` is what it happens in, None where each write is a commit of its own; whoever
    makes the call keeps other calls from using it meanwhile.
    """

    principal: Principal
    request_id: str
    cancellation: Cancellation = NEVER
    session: Session | None = None
    transaction: Transaction | None = None
    door: str = ""
    peer: str = ""
    attempt: Attempt = field(default_factory=Attempt, compare=False, repr=False)
    meter: Meter = field(default_factory=Meter, compare=False, repr=False)

    @property
    def actor(self) -> Actor:
        """Who the audit trail is to name."""
        who = self.principal
        return Actor(who.id, who.name, who.workspace, self.door, self.peer, self.request_id)

    def author(
        self, reason: str = "", of: TableRef | NamespaceRef | None = None, **details: object
    ) -> Author:
        """Who the commit log is to name for what is about to be done, and to what."""
        author = Author(
            self.principal.name,
            self.request_id,
            reason,
            self.principal.id,
            self.principal.workspace,
            self.door,
            self.peer,
            resource_name(of) if of is not None else "",
            details,
        )
        self.attempt.author = author
        return author


def engine_of(services: Services, call: Call, catalog: str) -> Engine:
    """What answers for a catalog in this call: its transaction, the session's tables, an engine.

    NotFound (catalog_not_found).
    """
    if call.transaction is not None and catalog == call.transaction.name:
        return call.transaction
    if catalog == TEMPORARY_CATALOG and call.session is not None and call.session.temporary:
        return call.session.temporary
    return services.engine(catalog)


def is_operation(thing: object) -> bool:
    """Whether it is a function of the services and a call."""
    if not isinstance(thing, FunctionType):
        return False
    return thing.__code__.co_varnames[: thing.__code__.co_argcount][:2] == ("services", "call")
