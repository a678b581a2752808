"""Work that outlasts a call: what the client does with jobs, and what jobs do with the client."""

from __future__ import annotations

from typing import Any

from flight_server.client.calls import Calls


class JobCalls(Calls):
    """The client's methods for it."""

    def refresh_view(self, view: str) -> dict[str, Any]:
        """Brings the rows of a materialised view up to date, and says what had to be done."""
        answer: dict[str, Any] = self._act("refresh_view", view=view)
        return answer
