"""What the parts of the client have in common: they do actions."""

from __future__ import annotations

from typing import Any


class Calls:
    """A part of the client."""

    def _act(self, action: str, /, **fields: Any) -> Any:
        """Does an action with the fields that are not None, and gives its answer."""
        raise NotImplementedError
