"""What the audit trail is told of requests: who came, and what was refused or failed.

Doors call this once they know who asks, and for each error that they tell a client. Writes that
succeeded are told by the commit log (`followers`), changes of the metastore by those who make them.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from flight_server.errors import ErrorCode, PixelflightError
from flight_server.metastore.audit import Actor, AuditEntry, AuditTrail, Outcome
from flight_server.model import Author, NamespaceRef, TableRef, resource_name
from flight_server.operations.followers import AuditedCommits, action_of

# How many credentials and addresses are remembered as having been recorded lately.
SEEN_MAX = 10_000
SETTLE_SECONDS_MAX = 5.0


@dataclass
class Attempt:
    """What a call has come to: what of it failed, or was refused, where it does not say so itself.

    `author` is of what it was last about to write; `asked` is what it last asked to do, and to
    what.
    """

    author: Author | None = None
    asked: tuple[str, TableRef | NamespaceRef] | None = None

    @property
    def refusal(self) -> tuple[str, str]:
        """What a refusal is of that says no more than that it is one."""
        return ("call", "") if self.asked is None else (self.asked[0], resource_name(self.asked[1]))


class Audit:
    """The audit trail as the doors use it. Every method may be called from any thread.

    A credential that comes again from the same address is recorded once in `repeat_seconds`.
    """

    def __init__(
        self, trail: AuditTrail, commits: Sequence[AuditedCommits], repeat_seconds: float
    ) -> None:
        self._trail = trail
        self._commits = commits
        self._repeat_seconds = repeat_seconds
        self._seen: OrderedDict[tuple[str, str, str], float] = OrderedDict()
        self._lock = threading.Lock()

    def arrived(self, actor: Actor, credential: str) -> None:
        """Somebody has shown a credential of this kind that is valid."""
        came_from = (actor.principal_id, credential, actor.host)
        now = time.monotonic()
        # Most calls end here: one look without a lock.
        if self._seen.get(came_from, 0.0) > now:
            return
        with self._lock:
            self._seen[came_from] = now + self._repeat_seconds
            if len(self._seen) > SEEN_MAX:
                self._seen.popitem(last=False)
        self.authenticated(actor, credential)

    def authenticated(self, actor: Actor, credential: str, **more: object) -> None:
        """Somebody has got in with a credential of this kind."""
        details = {"credential": str(credential), **more}
        self._trail.record(AuditEntry("authenticate", "", actor, details=details))

    def told(self, actor: Actor, error: PixelflightError, call: str, attempt: Attempt) -> None:
        """A client is told of an error: recorded where it is a refusal, or where a write failed.

        `call` names the method or the route, without anything of what was asked.
        """
        if error.code is ErrorCode.UNAUTHENTICATED:
            action, resource = error.refusal or ("authenticate", "")
            outcome = Outcome.REFUSED
        elif error.refusal is not None or error.code is ErrorCode.FORBIDDEN:
            action, resource = error.refusal or attempt.refusal
            outcome = Outcome.REFUSED
        elif attempt.author is not None:
            action, resource = action_of(attempt.author.reason), attempt.author.resource
            outcome = Outcome.FAILED
        else:
            return
        details = {"call": call}
        self._trail.record(
            AuditEntry(action, resource, actor, outcome, error.code.text, details=details)
        )

    @property
    def waiting(self) -> int:
        """How many entries of the trail are not written yet."""
        return self._trail.waiting

    @property
    def is_crowded(self) -> bool:
        """Whether whoever records something may have to wait for a moment."""
        return self._trail.is_crowded

    def settle(self, seconds: float = SETTLE_SECONDS_MAX) -> bool:
        """Waits until all that has happened can be read; False where that takes longer."""
        until = time.monotonic() + seconds
        done = all(commits.settle(seconds) for commits in self._commits)
        return self._trail.flush(max(0.0, until - time.monotonic())) and done

    def close(self) -> None:
        """Writes down what has happened, and ends."""
        for commits in self._commits:
            commits.close()
        self._trail.close()
