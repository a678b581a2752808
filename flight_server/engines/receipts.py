"""Receipts: what a transaction leaves in its commit, so that it is known to have been done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from flight_server.engines.cancellation import NEVER, Cancellation


@dataclass(frozen=True)
class Receipt:
    """What was done in a commit: the digest of what was asked for, and what it was answered."""

    snapshot: int
    digest: str
    answer: str


@runtime_checkable
class LeavesReceipts(Protocol):
    """What a transaction has for this: a token counts for whoever began it."""

    def receipt(self, token: str, cancellation: Cancellation = NEVER) -> Receipt | None:
        """What was left under the token; None where nothing was.

        Until the transaction ends nobody else gets to know: others wait here. Conflict where that
        takes too long.
        """

    def leave_receipt(self, token: str, digest: str, answer: str) -> None:
        """Leaves one, in this transaction's commit; after `receipt`, of the same token."""
