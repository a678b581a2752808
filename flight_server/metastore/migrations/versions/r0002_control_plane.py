"""Who may do what, what was done, and what was used."""

from __future__ import annotations

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _identity()
    _permissions()
    _audit()
    _usage()


def _identity() -> None:
    """Users, refresh tokens, tokens that were revoked; more about keys."""


def _permissions() -> None:
    """Workspaces, roles, grants."""


def _audit() -> None:
    """The audit trail."""


def _usage() -> None:
    """Counters of what was used; answers kept for requests that are sent again."""
