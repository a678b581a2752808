"""Workspaces, roles and grants as rows of the metastore, and what those rows become."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, insert, select

from flight_server.auth.policy import Action, Grant, folded
from flight_server.errors import Conflict, NotFound
from flight_server.metastore.tables import (
    api_keys,
    grants,
    permission_changes,
    roles,
    users,
    workspace_namespaces,
    workspaces,
)
from flight_server.model import DEFAULT_WORKSPACE, NamespaceRef


@dataclass(frozen=True)
class Role:
    """A role of a workspace."""

    workspace: str
    name: str
    description: str
    created_at: dt.datetime
    created_by: str


@dataclass(frozen=True)
class StoredGrant:
    """A grant as it is kept."""

    id: str
    workspace: str
    grant: Grant
    created_at: dt.datetime
    created_by: str


@dataclass(frozen=True)
class Workspace:
    """A workspace with the namespaces that are its own; `limits` are for those who count."""

    name: str
    description: str
    namespaces: tuple[NamespaceRef, ...]
    limits: Mapping[str, Any]
    created_at: dt.datetime
    created_by: str


def changes_of(connection: Connection) -> int:
    """How often permissions were changed so far."""
    return int(connection.scalar(select(permission_changes.c.number)) or 0)


def has_role(connection: Connection, workspace: str, name: str) -> bool:
    """Whether a role was made in the workspace."""
    return connection.scalar(select(roles.c.name).where(this_role(workspace, name))) is not None


def this_role(workspace: str, name: str) -> ColumnElement[bool]:
    """The condition that finds a role."""
    return (roles.c.workspace == workspace) & (roles.c.name == name)


def this_namespace(namespace: NamespaceRef) -> ColumnElement[bool]:
    """The condition that finds to whom a namespace was given."""
    owned = workspace_namespaces.c
    return (owned.catalog == folded(namespace.catalog)) & (
        owned.namespace == folded(namespace.name)
    )


def holders_of(connection: Connection, workspace: str, role: str | None) -> list[str]:
    """Users and live keys of a workspace, those who have the role where one is named."""
    mine = select(users.c.name, users.c.roles).where(users.c.workspace == workspace)
    found = [(f"the user '{name}'", held) for name, held in connection.execute(mine)]
    is_live = (api_keys.c.workspace == workspace) & api_keys.c.revoked_at.is_(None)
    keys = select(api_keys.c.name, api_keys.c.roles).where(is_live & api_keys.c.owner.is_(None))
    found += [(f"the key '{name}'", held) for name, held in connection.execute(keys)]
    return [who for who, held in found if role is None or role in json.loads(held)]


def grant_row(stored: StoredGrant) -> dict[str, Any]:
    """A grant's row."""
    grant = stored.grant
    return {
        "id": stored.id,
        "workspace": stored.workspace,
        "role": grant.role,
        "actions": json.dumps(sorted(grant.actions)),
        "catalog": grant.catalog,
        "namespace": grant.namespace,
        "table_name": grant.table,
        "columns": None if grant.columns is None else json.dumps(sorted(grant.columns)),
        "rows": grant.rows,
        "created_at": stored.created_at,
        "created_by": stored.created_by,
    }


def grant_of(row: RowMapping) -> StoredGrant:
    """The grant of a row."""
    columns = row["columns"]
    grant = Grant(
        row["role"],
        frozenset(Action(name) for name in json.loads(row["actions"])),
        row["catalog"],
        row["namespace"],
        row["table_name"],
        None if columns is None else frozenset(json.loads(columns)),
        row["rows"],
    )
    return StoredGrant(row["id"], row["workspace"], grant, row["created_at"], row["created_by"])


def workspace_row(connection: Connection, name: str) -> RowMapping | None:
    """The row of a workspace."""
    statement = select(workspaces).where(workspaces.c.name == name)
    return connection.execute(statement).mappings().one_or_none()


def workspace_of(connection: Connection, row: RowMapping) -> Workspace:
    """The workspace of a row."""
    owned = workspace_namespaces.c
    statement = select(owned.catalog, owned.namespace).where(owned.workspace == row["name"])
    places = connection.execute(statement.order_by(owned.catalog, owned.namespace))
    return Workspace(
        row["name"],
        row["description"],
        tuple(NamespaceRef(catalog, name) for catalog, name in places),
        json.loads(row["limits"]),
        row["created_at"],
        row["created_by"],
    )


def found_workspace(connection: Connection, name: str) -> Workspace:
    """The workspace of this name. NotFound."""
    row = workspace_row(connection, name)
    if row is None:
        raise workspace_not_found(name)
    return workspace_of(connection, row)


def check_workspace(connection: Connection, name: str) -> None:
    """NotFound where there is no such workspace."""
    if name != DEFAULT_WORKSPACE and workspace_row(connection, name) is None:
        raise workspace_not_found(name)


def assign(connection: Connection, namespace: NamespaceRef, workspace: str) -> None:
    """Gives a namespace to a workspace. Conflict where another one has it."""
    owned = workspace_namespaces
    there = connection.scalar(select(owned.c.workspace).where(this_namespace(namespace)))
    if there is not None:
        raise Conflict(f"The namespace '{namespace}' belongs to the workspace '{there}'.")
    row = {
        "catalog": folded(namespace.catalog),
        "namespace": folded(namespace.name),
        "workspace": workspace,
    }
    connection.execute(insert(owned).values(row))


def stored_grants(connection: Connection, workspace: str | None) -> list[StoredGrant]:
    """The grants of a workspace, or of all, the oldest first."""
    statement = select(grants).order_by(grants.c.created_at, grants.c.id)
    if workspace is not None:
        statement = statement.where(grants.c.workspace == workspace)
    return [grant_of(row) for row in connection.execute(statement).mappings()]


def grant_not_found(id: str) -> NotFound:
    """There is no such grant, or it is hidden."""
    return NotFound(f"There is no grant with the id '{id}'.")


def workspace_not_found(name: str) -> NotFound:
    """There is no such workspace, or it is hidden."""
    return NotFound(f"There is no workspace '{name}'.")
