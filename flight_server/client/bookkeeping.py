"""Pages of the audit trail, put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

PAGE_MAX = 1_000


def audit_entries(
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
