"""What was found out about tables, known for as long as nothing at all is written beside it.

To look a table up takes Pixeltable a dozen statements, each time anew. A snapshot of PostgreSQL's
names the transactions that it sees, and never comes again once any has written: while it is the
same, everything is as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import sqlalchemy as sa
from pixeltable.runtime import get_runtime

KEPT_MAX = 1000

Fact = TypeVar("Fact")

_SNAPSHOT = sa.text("SELECT CAST(pg_current_snapshot() AS text)")


class Known:
    """Facts, each with the snapshot before which it was found out. Any thread may ask."""

    def __init__(self) -> None:
        self._facts: dict[str, tuple[str, Any]] = {}

    def fact(self, what: str, arguments: Mapping[str, Any], find: Callable[[], Fact]) -> Fact:
        """What `find` gives, or has given. `arguments` are what it depends on beside the home.

        A transaction of Pixeltable's is open; what is given belongs to all who ask.
        """
        connection = get_runtime().conn
        assert connection is not None, "a transaction of Pixeltable's is open"
        snapshot = str(connection.execute(_SNAPSHOT).scalar_one())
        key = json.dumps([what, arguments], sort_keys=True)
        then, fact = self._facts.get(key, ("", None))
        if then != snapshot:
            if len(self._facts) >= KEPT_MAX:
                self._facts.clear()
            fact = find()
            self._facts[key] = snapshot, fact
        found: Fact = fact
        return found
