"""Two catalogs in memory, a session with a temporary table, and people who may see parts of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pyarrow as pa
import pytest

from flight_server.auth import (
    BUILT_IN_ROLES,
    Access,
    Action,
    Authenticator,
    Grant,
    KeyStore,
    Passwords,
    PermissionStore,
    ProviderKeys,
    TokenStore,
    UserStore,
    fixed,
)
from flight_server.engines.base import TemporaryTables
from flight_server.jobs import Workers
from flight_server.metastore import Metastore
from flight_server.metastore.audit import AuditTrail
from flight_server.metastore.kept_answers import KeptAnswers
from flight_server.metastore.sealing import Seal
from flight_server.model import Author, NamespaceRef, Principal, TableRef, TableSpec
from flight_server.operations import Call, Services
from flight_server.operations.audit import Audit
from flight_server.operations.limits import Limits
from flight_server.operations.sessions import Session
from flight_server.operations.usage import UsageCounters
from flight_server.query import Admission
from flight_server.settings import Settings
from flight_server.testing.memory import MemoryEngine
from flight_server.webhooks import Webhooks

AUTHOR = Author("test")
STAFF = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("pay", pa.decimal128(10, 2), metadata={"comment": "in euros"}),
    ]
)
PLAIN = TableSpec(pa.schema([("id", pa.int64())]))
READ = frozenset({Action.READ})
GRANTS = (
    Grant("clerk", READ, "lake", "main", "open"),
    Grant("clerk", READ, "lake", "main", "staff", frozenset({"id", "name"})),
    Grant("clerk", frozenset({Action.INSERT}), "lake", "sales", "inbox"),
)


def engine(name: str, **tables: TableSpec) -> MemoryEngine:
    """An engine with tables, each given as `namespace__table`."""
    made = MemoryEngine(name)
    for full_name, spec in tables.items():
        namespace, _, table = full_name.rpartition("__")
        namespace = (namespace or "main").replace("__", "/")
        if namespace not in made.namespaces():
            made.create_namespace(NamespaceRef(name, namespace), AUTHOR)
        made.create_table(TableRef(name, namespace, table), spec, AUTHOR)
    return made


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    lake = engine(
        "lake",
        open=PLAIN,
        secret=PLAIN,
        staff=TableSpec(STAFF, key=("id", "name")),
        sales__Daily=TableSpec(STAFF, key=("name", "pay")),
        sales__inbox=PLAIN,
        sales__secret_too=PLAIN,
        vault__gold=PLAIN,
    )
    roles = {**BUILT_IN_ROLES, "clerk": GRANTS}
    with Metastore.open(tmp_path / "metastore.sqlite") as metastore:
        keys, users = KeyStore(metastore, lambda _: roles), UserStore(metastore, lambda _: roles)
        passwords, tokens = Passwords(users), TokenStore(metastore, bytes(32), 60, 60)
        audit = Audit(AuditTrail(metastore), (), 3600)
        settings, usage = Settings(data=tmp_path), UsageCounters(metastore)
        yield Services(
            settings=settings,
            engines={"lake": lake, "archive": engine("archive", staff=PLAIN, old__open=PLAIN)},
            access=Access(fixed(roles)),
            permissions=PermissionStore(metastore),
            keys=keys,
            users=users,
            passwords=passwords,
            tokens=tokens,
            authenticator=Authenticator(keys, users, passwords, tokens, b"secret"),
            admission=Admission(1, 1, None),
            metastore=metastore,
            provider_keys=ProviderKeys(metastore, Seal(tmp_path / "providers.key")),
            audit=audit,
            usage=usage,
            kept_answers=KeptAnswers(metastore, 60),
            limits=Limits(settings, usage, lambda workspace: {}),
            workers=Workers(settings, metastore),
            signing_secret=b"secret",
            webhooks=Webhooks(metastore, settings),
        )
        audit.close()
        usage.close()


def caller(role: str) -> Call:
    """A call of somebody with one role."""
    return Call(Principal(role, role, frozenset({role})), "request")


@pytest.fixture
def admin() -> Call:
    return caller("admin")


@pytest.fixture
def clerk() -> Call:
    """May read one table, a part of another, and write into a third."""
    return caller("clerk")


@pytest.fixture
def nobody() -> Call:
    return caller("nobody")


@pytest.fixture
def with_temporary(clerk: Call) -> Call:
    """The clerk, with a temporary table of the session."""
    temporary = cast(TemporaryTables, engine("temp", scratch=TableSpec(STAFF, key=("id",))))
    return replace(clerk, session=Session("clerk", temporary=temporary))
