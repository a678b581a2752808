"""Writes that count once, whatever they are: the commit itself says that they were done."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from flight_server.engines.base import SupportsTransactions, require
from flight_server.engines.receipts import LeavesReceipts
from flight_server.errors import Conflict, ErrorCode, Unsupported
from flight_server.model import TableRef
from flight_server.operations.services import Call, Services


@dataclass(frozen=True)
class Once:
    """What was done, now or before: in which snapshot, and what it was answered."""

    snapshot: int
    answer: str
    is_duplicate: bool


def once(
    services: Services,
    call: Call,
    catalog: str,
    reason: str,
    token: str,
    asked: str,
    work: Callable[[Call], str],
    resource: TableRef | None = None,
) -> Once:
    """One commit of what `work` does, unless there is one under the token already.

    `asked` is what was asked for, of which a digest is kept: Conflict (token_conflict) where the
    token stands for something else. `work` gives the answer that is kept.
    `resource` is the one table that it touches, if it is one.
    """
    if call.transaction is not None:
        raise Unsupported(
            "What has a token is a commit of its own: COMMIT or ROLLBACK first, or leave it out."
        )
    digest = hashlib.sha256(asked.encode()).hexdigest()
    engine = require(services.engine(catalog), SupportsTransactions)
    with engine.transaction(call.author(reason, resource)) as transaction:
        if not isinstance(transaction, LeavesReceipts):
            raise Unsupported(f"The catalog '{catalog}' keeps no receipts: leave the token out.")
        found = transaction.receipt(token, call.cancellation)
        if found is None:
            answer = work(replace(call, transaction=transaction))
            transaction.leave_receipt(token, digest, answer)
            return Once(transaction.commit().snapshot, answer, False)
        transaction.rollback()
    if found.digest != digest:
        raise Conflict(
            f"The token '{token}' was used for something else, in commit {found.snapshot}. Use a "
            "new one for what is new.",
            code=ErrorCode.TOKEN_CONFLICT,
        )
    return Once(found.snapshot, found.answer, True)
