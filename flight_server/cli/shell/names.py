"""The names that the server knows, for completion: asked for once, and again after changes."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from flight_server.client import Client, TableSummary
from flight_server.errors import PixelflightError
from flight_server.model import DEFAULT_CATALOG, TableRef

# Statements after which there are other names than before.
CHANGING = frozenset(
    {"create_table", "drop_table", "alter_table", "create_schema", "drop_schema", "rollback", "use"}
)

# Others make tables, too.
AGE_SECONDS_MAX = 30.0


@dataclass(frozen=True)
class Known:
    """Tables with their columns, and namespaces."""

    tables: dict[TableRef, tuple[str, ...]]
    namespaces: tuple[str, ...]

    @classmethod
    def of(cls, tables: list[TableSummary], namespaces: list[str]) -> Known:
        """From the server's lists."""
        columns = {one.table: tuple(one.schema.names) for one in tables}
        used = {table.namespace for table in columns if table.catalog == DEFAULT_CATALOG}
        return cls(columns, tuple(sorted({*namespaces, *used})))


class Names:
    """What is known; whoever asks first after a change waits for the server."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: Known | None = None
        self._asked_at = 0.0
        self._lock = threading.Lock()

    def known(self) -> Known:
        """All names; none where the server does not answer, which others will say."""
        with self._lock:
            if self._known is None or time.monotonic() - self._asked_at > AGE_SECONDS_MAX:
                self._known, self._asked_at = self._asked(), time.monotonic()
            return self._known

    def forget(self) -> None:
        """They may have changed."""
        with self._lock:
            self._known = None

    def prefetch(self) -> None:
        """Asks in the background, so that nobody has to wait."""
        threading.Thread(target=self.known, name="names", daemon=True).start()

    def _asked(self) -> Known:
        try:
            return Known.of(self._client.tables(), self._client.namespaces("lake"))
        except PixelflightError:
            return Known({}, ())
