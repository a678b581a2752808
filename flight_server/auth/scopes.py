"""Scopes: what one credential may do of all that its bearer may.

A scope reads `ACTION` or `ACTION:WHERE`, where WHERE is a table (`sales.daily`), a namespace with
those nested in it (`sales.*`) or a catalog (`pixeltable:*`). Scopes only ever take away: they are
read as grants, and a decision stands where the bearer's own grants and one of these allow it.
"""

from __future__ import annotations

import functools
from collections.abc import Collection

from flight_server.auth.policy import (
    SERVER,
    Action,
    CatalogRef,
    Decision,
    Grant,
    Resource,
)
from flight_server.errors import InvalidRequest, PixelflightError, did_you_mean
from flight_server.model import NamespaceRef, TableRef

SCOPES_MAX = 100
_EVERYTHING = "*"


def parse_scopes(texts: Collection[str]) -> frozenset[str]:
    """The scopes themselves, once each of them is known to mean something. InvalidRequest."""
    if not texts:
        raise InvalidRequest(
            "A key with an empty list of scopes could do nothing: leave 'scopes' out, or name "
            "actions, as in ['read'] or ['read:sales.*']."
        )
    if len(texts) > SCOPES_MAX:
        raise InvalidRequest(f"{len(texts)} scopes are too many: {SCOPES_MAX} are allowed.")
    for text in texts:
        _grant(text)
    return frozenset(texts)


def narrowed(
    decision: Decision, scopes: frozenset[str], action: Action, resource: Resource
) -> Decision:
    """What is left of a decision under the scopes. What they do not reach is hidden."""
    grants = _grants(scopes)
    if not any(grant.touches(resource) for grant in grants):
        return Decision(visible=False)
    if any(grant.allows(action) and grant.covers(resource) for grant in grants):
        return decision
    return Decision(decision.visible)


def within(scopes: frozenset[str] | None, outer: frozenset[str] | None) -> bool:
    """Whether the scopes allow nothing that the outer ones do not; None is everything."""
    if outer is None:
        return True
    if scopes is None:
        return is_everything(outer)
    return all(_is_inside(grant, _grants(outer)) for grant in _grants(scopes))


def is_everything(scopes: frozenset[str] | None) -> bool:
    """Whether the scopes take nothing away."""
    return scopes is None or any(
        grant.allows(Action.ADMIN) and grant.covers(SERVER) for grant in _grants(scopes)
    )


def _is_inside(grant: Grant, outer: Collection[Grant]) -> bool:
    where = _where(grant)
    return all(
        any(other.allows(action) and other.covers(where) for other in outer)
        for action in grant.actions
    )


def _where(grant: Grant) -> Resource:
    if grant.catalog is None:
        return SERVER
    if grant.namespace is None:
        return CatalogRef(grant.catalog)
    if grant.table is None:
        return NamespaceRef(grant.catalog, grant.namespace)
    return TableRef(grant.catalog, grant.namespace, grant.table)


@functools.lru_cache(maxsize=1024)
def _grants(scopes: frozenset[str]) -> tuple[Grant, ...]:
    return tuple(map(_grant, sorted(scopes)))


def _grant(text: str) -> Grant:
    """The scope as a grant to whoever has it. InvalidRequest."""
    name, separator, where = text.partition(":")
    if name not in list(Action):
        known = ", ".join(Action)
        raise InvalidRequest(
            f"The scope '{text[:80]}' begins with no action.{did_you_mean(name, Action)} "
            f"Actions are {known}; a scope is ACTION or ACTION:TABLE, as in 'read:sales.*'."
        )
    actions = frozenset({Action(name)})
    if not separator or where == _EVERYTHING:
        return Grant("scope", actions)
    try:
        table = TableRef.parse(where)
    except PixelflightError as error:
        raise InvalidRequest(f"The scope '{text[:80]}' names no table: {error.message}") from None
    if not where.endswith(_EVERYTHING):
        return Grant("scope", actions, table.catalog, table.namespace, table.name)
    if where == f"{table.catalog}:{_EVERYTHING}":
        return Grant("scope", actions, table.catalog)
    if table.name != _EVERYTHING:
        raise InvalidRequest(
            f"The scope '{text[:80]}' ends with a '*' that is only a part of a name: write "
            "'NAMESPACE.*' for all tables of a namespace, or name each table."
        )
    return Grant("scope", actions, table.catalog, table.namespace)
