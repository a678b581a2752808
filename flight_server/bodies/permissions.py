"""Roles, grants and workspaces as JSON: what is asked for, and what is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from flight_server.auth import Action, Decision, Grant, Role, StoredGrant, Workspace
from flight_server.bodies.requests import Body
from flight_server.errors import InvalidRequest
from flight_server.model import (
    DEFAULT_CATALOG,
    DEFAULT_NAMESPACE,
    NamespaceRef,
    TableRef,
)

Name = Annotated[str, Field(max_length=255)]
Text = Annotated[str, Field(max_length=10_000)]
Names = Annotated[list[Name], Field(max_length=10_000)]


class CreateRole(Body):
    """A new role, which may do nothing until it is granted something."""

    name: Name
    description: Text = ""
    workspace: Name | None = None


class ChangeRole(Body):
    """Another description for a role."""

    description: Text


class CreateGrant(Body):
    """What a role may do, and where: on a table, a namespace, a catalog, or everywhere.

    `table` is `[catalog:][namespace.]name`, `namespace` is `[catalog:]name`. Reading and changing
    rows may be limited to `columns`, and to the `rows` where a SQL predicate holds.
    """

    role: Name
    actions: Annotated[list[Action], Field(min_length=1)]
    table: Text | None = None
    namespace: Text | None = None
    catalog: Name | None = None
    columns: Names | None = None
    rows: Text | None = None
    workspace: Name | None = None

    def grant(self) -> Grant:
        """The grant. InvalidRequest."""
        given = [name for name in ("table", "namespace", "catalog") if getattr(self, name)]
        if len(given) > 1:
            raise InvalidRequest(f"Give '{given[0]}' or '{given[1]}', not both.")
        limits = (None if self.columns is None else frozenset(self.columns), self.rows)
        actions = frozenset(self.actions)
        if self.table is not None:
            table = TableRef.parse(self.table)
            place = (table.catalog, table.namespace, table.name)
            return Grant(self.role, actions, *place, *limits)
        if self.namespace is not None:
            space = NamespaceRef.parse(self.namespace)
            return Grant(self.role, actions, space.catalog, space.name, None, *limits)
        return Grant(self.role, actions, self.catalog, None, None, *limits)


class CreateWorkspace(Body):
    """A new workspace; its namespace is called as it is unless another is named."""

    name: Name
    description: Text = ""
    namespace: Text | None = None

    def place(self) -> NamespaceRef | None:
        """The namespace that was named."""
        return None if self.namespace is None else NamespaceRef.parse(self.namespace)


class ChangeWorkspace(Body):
    """What of a workspace is to be otherwise. `namespaces` are all that it is to have."""

    description: Text | None = None
    namespaces: Names | None = None
    limits: dict[str, Any] | None = None

    def changes(self) -> dict[str, Any]:
        """The fields that were given."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        found = {name: value for name, value in given.items() if value is not None}
        if "namespaces" in found:
            found["namespaces"] = [NamespaceRef.parse(text) for text in found["namespaces"]]
        return found


def role_told(role: Role) -> dict[str, Any]:
    """A role as JSON."""
    return vars(role) | {"created_at": role.created_at}


def grant_told(stored: StoredGrant) -> dict[str, Any]:
    """A grant as JSON, in the words in which one is made."""
    grant = stored.grant
    told: dict[str, Any] = {
        "id": stored.id,
        "role": grant.role,
        "actions": sorted(grant.actions),
        **_place(grant),
        "columns": None if grant.columns is None else sorted(grant.columns),
        "rows": grant.rows,
        "workspace": stored.workspace,
        "created_at": stored.created_at,
        "created_by": stored.created_by,
    }
    return told


def workspace_told(workspace: Workspace) -> dict[str, Any]:
    """A workspace as JSON."""
    return vars(workspace) | {"namespaces": [str(place) for place in workspace.namespaces]}


def permissions_told(decisions: Mapping[Action, Decision]) -> dict[str, Any]:
    """What somebody may do, action by action; limits only where there are some."""
    return {
        action.value: {
            "allowed": decision.allowed,
            "columns": None if decision.columns is None else sorted(decision.columns),
            "rows": decision.row_filter,
        }
        for action, decision in decisions.items()
    }


def _place(grant: Grant) -> dict[str, str | None]:
    catalog = grant.catalog or DEFAULT_CATALOG
    if grant.table is not None:
        table = TableRef(catalog, grant.namespace or DEFAULT_NAMESPACE, grant.table)
        return {"table": str(table), "namespace": None, "catalog": None}
    if grant.namespace is not None:
        return {"table": None, "namespace": str(NamespaceRef(catalog, grant.namespace)),
                "catalog": None}  # fmt: skip
    return {"table": None, "namespace": None, "catalog": grant.catalog}
