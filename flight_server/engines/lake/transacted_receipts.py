"""The part of a transaction that leaves receipts: rows of the table of ingest tokens, of no table.

They are told from receipts of puts by the namespace, which is the server's own.
"""

from __future__ import annotations

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.lake.definitions import Definitions
from flight_server.engines.lake.statements import Statements
from flight_server.engines.receipts import Receipt
from flight_server.model import DEFAULT_CATALOG, HIDDEN_PREFIX, Commit, TableRef

_PLACE = TableRef(DEFAULT_CATALOG, HIDDEN_PREFIX, "receipts")


class TransactedReceipts:
    """`LeavesReceipts`, within a transaction."""

    _statements: Statements
    _definitions: Definitions

    def receipt(self, token: str, cancellation: Cancellation = NEVER) -> Receipt | None:
        """See `LeavesReceipts.receipt`."""
        tokens = self._definitions.tokens
        with self._statements.one() as transaction:
            claim = tokens.claim_within(transaction, _PLACE, token, cancellation)
        if not claim.receipts:
            return None
        kept = claim.receipts[-1]
        digest, _, answer = kept.digest.partition(":")
        return Receipt(kept.commit.snapshot, digest, answer)

    def leave_receipt(self, token: str, digest: str, answer: str) -> None:
        """See `LeavesReceipts.leave_receipt`."""
        with self._statements.one() as transaction:
            claim = self._definitions.tokens.claim_within(transaction, _PLACE, token, NEVER)
            claim.record(transaction, Commit(-1), f"{digest}:{answer}")
