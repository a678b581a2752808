"""Several writes that become one commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flight_server.engines.base import SupportsTransactions, require
from flight_server.errors import NotFound
from flight_server.model import TEMPORARY_CATALOG, Commit, TableRef
from flight_server.operations.services import Call, Services


def unless_missing(is_meant: bool, work: Callable[[], Commit | None]) -> Commit | None:
    """What `work` answers; None where it names what is missing, and that `is_meant`."""
    try:
        return work()
    except NotFound:
        if is_meant:
            return None
        raise


def in_one_commit(
    services: Services,
    call: Call,
    catalog: str,
    reason: str,
    work: Callable[[Call], Commit],
    resource: TableRef | None = None,
) -> Commit:
    """What `work` answers, done in the call's transaction, else in one that it gets to itself.

    `resource` is the one table that it touches, if it is one.
    """
    if call.transaction is not None or catalog == TEMPORARY_CATALOG:
        return work(call)
    engine = require(services.engine(catalog), SupportsTransactions)
    with engine.transaction(call.author(reason, resource)) as transaction:
        done = work(replace(call, transaction=transaction))
        return replace(done, snapshot=transaction.commit().snapshot)
