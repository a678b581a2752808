"""For whom models are called: the workspace of the table that a request is about, and its keys.

Pixeltable computes in threads of its own. What it hands on to them for whoever takes part in its
instrumentation is how the scope of a request comes along.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any

from pixeltable.telemetry import Subscriber

from flight_server.engines.cancellation import NEVER, Cancellation


@dataclass(frozen=True)
class Scope:
    """A workspace, its keys by provider, and what ends the request."""

    workspace: str = ""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    cancellation: Cancellation = NEVER

    def check(self) -> None:
        """Raises where the request has been taken back: no model is called for it any more."""
        self.cancellation.check(surely=True)

    def without_keys(self, text: str) -> str:
        """A text of a provider's, who may have quoted a key in it."""
        for key in self.keys.values():
            text = text.replace(key, "…")
        return text


NOBODY = Scope()
_scope: ContextVar[Scope] = ContextVar("scope", default=NOBODY)


def scope() -> Scope:
    """That of the request which is being done here."""
    return _scope.get()


@contextmanager
def within(given: Mapping[str, Any] | None, cancellation: Cancellation) -> Iterator[None]:
    """What is done in the block is done for this workspace."""
    token = _scope.set(Scope(**given, cancellation=cancellation) if given else NOBODY)
    try:
        yield
    finally:
        _scope.reset(token)


class Carried(Subscriber):  # type: ignore[misc]  # it is Any here
    """Takes the scope from a thread of Pixeltable's to the next."""

    def capture_context(self) -> Scope:
        """The scope, where a thread is about to begin."""
        return scope()

    def restore_context(self, captured: Scope | None) -> Token[Scope]:
        """The same, in that thread."""
        return _scope.set(captured or NOBODY)

    def exit_context(self, token: Token[Scope]) -> None:
        """At the end of what it does there."""
        _scope.reset(token)
