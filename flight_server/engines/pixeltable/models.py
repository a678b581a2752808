"""What the process that holds Pixeltable is told of models, and tells of calls of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flight_server.engines.models import Called


@dataclass(frozen=True)
class Models:
    """How models are called: at which URLs, how often, and with whose keys.

    `rates` are requests a minute by provider or `provider/model`. `owner` names the workspace of a
    namespace, `keys` has the keys of a workspace by provider, `count` takes what was called.
    """

    urls: Mapping[str, str] = field(default_factory=dict)
    rates: Mapping[str, int] = field(default_factory=dict)
    owner: Callable[[str], str] = lambda namespace: ""
    keys: Callable[[str], Mapping[str, str]] = lambda workspace: {}
    count: Callable[[Sequence[Called]], object] = lambda called: None

    def scope(self, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """For whom a request is done: it goes with it, and nowhere else."""
        namespace = arguments.get("namespace")
        if namespace is None:
            return None
        workspace = self.owner(namespace)
        return {"workspace": workspace, "keys": dict(self.keys(workspace))}

    def told(self, message: Mapping[str, Any]) -> None:
        """Counts what an answer tells of calls, if it does."""
        called = message.get("called")
        if called:
            self.count([Called(*key, **amounts) for key, amounts in called])
