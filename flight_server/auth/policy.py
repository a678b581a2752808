"""The policy: may this principal do that with this? Pure: grants in, a decision out.

A grant gives a role some actions on a scope: everything, a catalog, a namespace with those
nested in it, or a table; for reading and changing rows it may be limited to columns and to rows.
There are no denials, so that grants only ever add up. Every namespace belongs to one workspace;
grants are those of the principal's workspace, and reach nothing of another.

**How limited grants add up.** Each grant opens a rectangle of a table: some columns of some rows.
What a principal may see is the union of the cells in them, and a union of rectangles is in
general none. Handing out all the columns of all the rows that any grant names would show cells
that no grant shows. A decision therefore offers, besides the rectangles (`permits`), two answers
that never show more than the union:

- `columns` and `row_filter`: the rows of every grant, but only the columns that all of them show.
  It needs nothing but the table, and is exact unless grants differ in both columns and rows.
- `using(columns)`: the same for a request that uses just these columns. Grants that lack one of
  them count no longer, so that a request gets every row of which one grant shows all it uses.

Names are compared as DuckDB compares them: without regard to the case of ASCII letters. Folding
more would let a grant on one table reach another whose name differs in DuckDB's eyes.
"""

from __future__ import annotations

import string
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from flight_server.errors import InvalidRequest
from flight_server.model import DEFAULT_WORKSPACE, HIDDEN_PREFIX, NamespaceRef, Principal, TableRef


class Action(StrEnum):
    """What somebody may want to do. `ADMIN` on a scope includes all the others there."""

    READ = "read"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    CREATE = "create"
    ALTER = "alter"
    DROP = "drop"
    GRANT = "grant"
    ADMIN = "admin"


@dataclass(frozen=True)
class CatalogRef:
    """A mounted engine, as something to be allowed on."""

    name: str


@dataclass(frozen=True)
class ServerRef:
    """The server as a whole: its keys, its settings, all of its catalogs."""


@dataclass(frozen=True)
class WorkspaceRef:
    """A workspace as a whole: its users, keys, roles and grants, and all of its namespaces."""

    name: str


SERVER = ServerRef()
Resource = TableRef | NamespaceRef | CatalogRef | ServerRef | WorkspaceRef

# Whatever else is done to a table concerns all of its columns and rows.
_LIMITED_TO_ROWS = frozenset({Action.READ, Action.INSERT, Action.UPDATE, Action.DELETE})
_LIMITED_TO_COLUMNS = _LIMITED_TO_ROWS - {Action.DELETE}


@dataclass(frozen=True)
class Permit:
    """A rectangle of a table: some columns of some rows.

    `columns` are in lower case, `rows` is a SQL predicate; None is all of them.
    """

    columns: frozenset[str] | None = None
    rows: str | None = None

    def contains(self, other: Permit) -> bool:
        """Whether it surely shows all that the other does. Predicates are compared as text."""
        wide = self.columns is None or (other.columns is not None and other.columns <= self.columns)
        return wide and self.rows in (None, other.rows)


@dataclass(frozen=True)
class Grant:
    """Actions that a role may do on a scope; what is None is any.

    A namespace includes those nested in it, unless a table is named as well.
    """

    role: str
    actions: frozenset[Action]
    catalog: str | None = None
    namespace: str | None = None
    table: str | None = None
    columns: frozenset[str] | None = None
    rows: str | None = None

    def __post_init__(self) -> None:
        if not self.actions:
            raise InvalidRequest(f"A grant to '{self.role}' allows nothing: name an action.")
        if self.columns is not None:
            _check_limit(self, "columns", self.columns, _LIMITED_TO_COLUMNS)
        if self.rows is not None:
            _check_limit(self, "rows", self.rows.strip(), _LIMITED_TO_ROWS)

    @cached_property
    def permit(self) -> Permit:
        """What it opens of each table in its scope."""
        columns = None if self.columns is None else frozenset(map(folded, self.columns))
        return Permit(columns, self.rows)

    def allows(self, action: Action) -> bool:
        """Whether the action is among its own."""
        return action in self.actions or Action.ADMIN in self.actions

    def covers(self, resource: Resource) -> bool:
        """Whether the whole of the resource lies in its scope."""
        match resource:
            case TableRef(catalog, namespace, name):
                return (
                    _same(self.catalog, catalog)
                    and self._covers_namespace(namespace)
                    and _same(self.table, name)
                )
            case NamespaceRef(catalog, name):
                inside = self.table is None and self._covers_namespace(name)
                return inside and _same(self.catalog, catalog)
            case CatalogRef(name):
                return self.table is None and self.namespace is None and _same(self.catalog, name)
            case ServerRef() | WorkspaceRef():
                return self.table is None and self.namespace is None and self.catalog is None

    def touches(self, resource: Resource) -> bool:
        """Whether something of the resource, or in it, lies in its scope."""
        match resource:
            case TableRef():
                return self.covers(resource)
            case NamespaceRef(catalog, name):
                return _same(self.catalog, catalog) and (
                    self._covers_namespace(name)
                    or (self.namespace is not None and _within(self.namespace, name))
                )
            case CatalogRef(name):
                return _same(self.catalog, name)
            case ServerRef() | WorkspaceRef():
                return True

    def _covers_namespace(self, name: str) -> bool:
        if self.table is not None or self.namespace is None:
            return _same(self.namespace, name)
        return _within(name, self.namespace)


@dataclass(frozen=True)
class Decision:
    """Whether something is allowed, with how much of a table, and whether it may be known of.

    What is not `visible` must be told like something that does not exist.
    """

    visible: bool
    permits: tuple[Permit, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the action may be done, if perhaps not with all columns and rows."""
        return bool(self.permits)

    @cached_property
    def columns(self) -> frozenset[str] | None:
        """The columns, in lower case, that are permitted in every permitted row; None is all."""
        limited = [permit.columns for permit in self.permits if permit.columns is not None]
        if limited:
            return frozenset.intersection(*limited)
        return None if self.permits else frozenset()

    @cached_property
    def rows(self) -> tuple[str, ...] | None:
        """SQL predicates of which a permitted row meets at least one; None is all rows."""
        filters = dict.fromkeys(permit.rows for permit in self.permits)
        return None if None in filters else tuple(text for text in filters if text is not None)

    @cached_property
    def row_filter(self) -> str | None:
        """`rows` as one predicate; None is all rows."""
        rows = self.rows
        if rows is None:
            return None
        return " OR ".join(f"({text})" for text in rows) or "false"

    def permits_column(self, name: str) -> bool:
        """Whether `columns` holds the column, however its case is written."""
        columns = self.columns
        return columns is None or folded(name) in columns

    def using(self, columns: Iterable[str]) -> Decision:
        """The decision for a request that uses these columns and no others."""
        used = frozenset(map(folded, columns))
        kept = (p for p in self.permits if p.columns is None or used <= p.columns)
        return Decision(self.visible, tuple(kept))


def may(
    principal: Principal,
    action: Action,
    resource: Resource,
    grants: Collection[Grant],
    owner: str = DEFAULT_WORKSPACE,
) -> Decision:
    """What the grants to the principal's roles allow, within the scopes of its credential.

    `owner` is the workspace that a table or namespace belongs to: to everybody else it does not
    exist. Nothing of the server's own is for anyone.
    """
    if _is_own(resource) or not _is_in_reach(principal.workspace, resource, owner):
        return Decision(visible=False)
    held = [grant for grant in grants if grant.role in principal.roles and grant.touches(resource)]
    permits = [grant.permit for grant in held if grant.allows(action) and grant.covers(resource)]
    if isinstance(resource, CatalogRef) and principal.workspace != DEFAULT_WORKSPACE:
        permits = []  # It may be known of; as a whole it is the server's.
    decision = Decision(bool(held), _largest(permits))
    if principal.scopes is None:
        return decision
    # Imported here, since scopes are written as grants.
    from flight_server.auth.scopes import narrowed

    return narrowed(decision, principal.scopes, action, resource)


BUILT_IN_ROLES: Mapping[str, tuple[Grant, ...]] = {
    "admin": (Grant("admin", frozenset({Action.ADMIN})),),
    "writer": (Grant("writer", frozenset(Action) - {Action.GRANT, Action.ADMIN}),),
    "reader": (Grant("reader", frozenset({Action.READ})),),
}


def _largest(permits: list[Permit]) -> tuple[Permit, ...]:
    """The permits that no other contains, each once."""
    distinct = list(dict.fromkeys(permits))
    # Only these can contain one: those of its own rows, and those of all.
    by_rows: dict[str | None, list[Permit]] = {}
    for permit in distinct:
        by_rows.setdefault(permit.rows, []).append(permit)
    everywhere = by_rows.get(None, [])

    def is_within_another(permit: Permit) -> bool:
        near = everywhere if permit.rows is None else (*everywhere, *by_rows[permit.rows])
        return any(other.contains(permit) for other in near if other is not permit)

    return tuple(permit for permit in distinct if not is_within_another(permit))


def _is_in_reach(workspace: str, resource: Resource, owner: str) -> bool:
    """Whether grants of a workspace say anything about the resource."""
    match resource:
        case ServerRef():
            return workspace == DEFAULT_WORKSPACE
        case WorkspaceRef(name):
            return workspace == name
        case CatalogRef():
            return True
    return workspace == owner


def _is_own(resource: Resource) -> bool:
    match resource:
        case TableRef(namespace=name) | NamespaceRef(name=name):
            return folded(name).startswith(HIDDEN_PREFIX)
        case _:
            return False


def _check_limit(
    grant: Grant, what: str, limit: Collection[str], actions: frozenset[Action]
) -> None:
    if not limit:
        raise InvalidRequest(f"A grant's '{what}' must not be empty: leave it out for all.")
    whole = sorted(grant.actions - actions)
    if whole:
        raise InvalidRequest(
            f"'{whole[0]}' cannot be limited to {what}: it concerns the whole of a table's "
            f"{what}. Make two grants."
        )


_FOLD = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def folded(name: str) -> str:
    """The name without regard to case, as DuckDB compares names: by ASCII letters only."""
    return name.translate(_FOLD)


def _same(granted: str | None, name: str) -> bool:
    return granted is None or folded(granted) == folded(name)


def _within(name: str, outer: str) -> bool:
    """Whether a namespace is another or nested in it."""
    return (folded(name) + "/").startswith(folded(outer) + "/")
