"""What the server keeps books of, and how it does: the audit trail, usage, its health."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flight_server.client.calls import Calls

PAGE_MAX = 1_000


class Bookkeeping(Calls):
    """The client's methods for it."""

    def audit(
        self, limit: int = 100, wanted: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Entries of the audit trail, the newest first; `wanted` as in `docs/audit.md`."""
        return _entries(self._act, limit, wanted or {})

    def usage(self, wanted: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What was used by day, and the quotas of one's workspace."""
        answer: dict[str, Any] = self._act("read_usage", **(wanted or {}))
        return answer

    def health(self) -> dict[str, Any]:
        """What is mounted, and the newest snapshot of each catalog."""
        answer: dict[str, Any] = self._act("health")
        return answer


def _entries(
    act: Callable[..., Any], limit: int, wanted: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """So many entries, the newest first; `act` runs an action."""
    found: list[dict[str, Any]] = []
    cursor: int | None = None
    while len(found) < limit:
        here = {} if cursor is None else {"cursor": cursor}
        page = act("read_audit", limit=min(limit - len(found), PAGE_MAX), **wanted, **here)
        found += page["entries"]
        cursor = page["cursor"]
        if cursor is None:
            break
    return found
