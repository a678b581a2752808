"""Workspaces, roles and grants: kept in the metastore, held in memory for every decision.

A decision never asks the metastore. A change made here counts at once; one made by another server
on the same metastore within `LOOK_SECONDS`, because so often a number is looked at that grows with
every change.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from flight_server.auth.permission_rows import (
    Role,
    StoredGrant,
    Workspace,
    assign,
    changes_of,
    check_workspace,
    found_workspace,
    grant_not_found,
    grant_of,
    grant_row,
    has_role,
    holders_of,
    stored_grants,
    this_namespace,
    this_role,
    workspace_of,
    workspace_row,
)
from flight_server.auth.policy import BUILT_IN_ROLES, Action, Decision, Grant, Resource, folded
from flight_server.errors import AlreadyExists, Conflict, InvalidRequest, NotFound, did_you_mean
from flight_server.metastore import Metastore
from flight_server.metastore.audit import record_change
from flight_server.metastore.disowning import disown_workspace
from flight_server.metastore.tables import (
    grants,
    permission_changes,
    roles,
    workspace_namespaces,
    workspaces,
)
from flight_server.model import (
    DEFAULT_WORKSPACE,
    NamespaceRef,
    Principal,
    TableRef,
    check_name,
)

LOOK_SECONDS = 2.0
DECISIONS_MAX = 20_000


@dataclass(frozen=True)
class Permissions:
    """All of it at one moment. `decisions` are those that were made of it, to be made once."""

    number: int = 0
    grants: Mapping[tuple[str, str], tuple[Grant, ...]] = field(default_factory=dict)
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    owners: Mapping[tuple[str, str], str] = field(default_factory=dict)
    decisions: dict[tuple[Principal, Action, Resource], Decision] = field(default_factory=dict)

    @cached_property
    def by_table(self) -> Mapping[tuple[str, str, str], tuple[Grant, ...]]:
        """Those grants that name a table, by workspace, role and name; under '' all others.

        So a decision about a table looks at few of many grants.
        """
        found: dict[tuple[str, str, str], list[Grant]] = {}
        for (workspace, role), held in self.grants.items():
            for grant in held:
                name = "" if grant.table is None else folded(grant.table)
                found.setdefault((workspace, role, name), []).append(grant)
        return {key: tuple(held) for key, held in found.items()}

    def granted(self, workspace: str, names: Collection[str], of: Resource) -> list[Grant]:
        """The grants of roles of a workspace, built-in ones too, that may concern a resource."""
        found = [grant for name in names for grant in BUILT_IN_ROLES.get(name, ())]
        for name in names:
            if isinstance(of, TableRef):
                found += self.by_table.get((workspace, name, ""), ())
                found += self.by_table.get((workspace, name, folded(of.name)), ())
            else:
                found += self.grants.get((workspace, name), ())
        return found

    def owner(self, resource: Resource) -> str:
        """The workspace of a table's or namespace's nearest namespace that has one."""
        match resource:
            case TableRef(catalog, name, _) | NamespaceRef(catalog, name) if self.owners:
                place = folded(name)
                while place:
                    if (found := self.owners.get((folded(catalog), place))) is not None:
                        return found
                    place = place.rpartition("/")[0]
        return DEFAULT_WORKSPACE

    def role_names(self, workspace: str) -> frozenset[str]:
        """The roles that there are in a workspace, the built-in ones among them."""
        return self.roles.get(workspace, frozenset()) | frozenset(BUILT_IN_ROLES)

    def remember(self, key: tuple[Principal, Action, Resource], decision: Decision) -> None:
        """Keeps a decision for the next time."""
        if len(self.decisions) >= DECISIONS_MAX:
            self.decisions.clear()
        self.decisions[key] = decision


class PermissionStore:
    """Workspaces, roles and grants in the metastore. Every method may be called from any thread."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore
        self._lock = threading.Lock()
        self._current = self._read()
        self._looked_at = time.monotonic()

    def current(self) -> Permissions:
        """Everything as it is, or, where another server changed it, was a moment ago."""
        if time.monotonic() - self._looked_at < LOOK_SECONDS:
            return self._current
        with self._lock:
            if time.monotonic() - self._looked_at >= LOOK_SECONDS:
                with self._metastore.read() as connection:
                    is_old = changes_of(connection) != self._current.number
                if is_old:
                    self._current = self._read()
                self._looked_at = time.monotonic()
            return self._current

    def role_names(self, workspace: str) -> frozenset[str]:
        """The roles that there are in a workspace."""
        return self.current().role_names(workspace)

    def list_roles(self, workspace: str | None = None) -> list[Role]:
        """The roles that were made, of a workspace or of all, by name."""
        statement = select(roles).order_by(roles.c.workspace, roles.c.name)
        if workspace is not None:
            statement = statement.where(roles.c.workspace == workspace)
        with self._metastore.read() as connection:
            return [Role(**row) for row in connection.execute(statement).mappings()]

    def create_role(self, workspace: str, name: str, description: str, created_by: str) -> Role:
        """A new role, which may do nothing yet. AlreadyExists; NotFound; InvalidRequest."""
        check_name(name, "role's name")
        made = Role(workspace, name, description, _now(), created_by)
        with self._changed("create_role", f"role:{name}", workspace=workspace) as connection:
            check_workspace(connection, workspace)
            if name in BUILT_IN_ROLES or has_role(connection, workspace, name):
                raise AlreadyExists(f"There is a role '{name}' already.")
            connection.execute(insert(roles).values(vars(made)))
        return made

    def describe_role(self, workspace: str, name: str, description: str) -> Role:
        """Gives a role another description. NotFound."""
        with self._changed("change_role", f"role:{name}", workspace=workspace) as connection:
            this = this_role(workspace, name)
            connection.execute(update(roles).where(this).values(description=description))
            found = connection.execute(select(roles).where(this)).mappings().one_or_none()
            if found is None:
                raise self.role_not_found(workspace, name)
        return Role(**found)

    def drop_role(self, workspace: str, name: str) -> None:
        """Removes a role with its grants. NotFound; Conflict while somebody has it."""
        with self._changed("drop_role", f"role:{name}", workspace=workspace) as connection:
            if not has_role(connection, workspace, name):
                raise self.role_not_found(workspace, name)
            holders = holders_of(connection, workspace, name)
            if holders:
                raise Conflict(
                    f"The role '{name}' is held by {', '.join(holders[:5])}: take it away there "
                    "first."
                )
            this = (grants.c.workspace == workspace) & (grants.c.role == name)
            connection.execute(delete(grants).where(this))
            connection.execute(delete(roles).where(this_role(workspace, name)))

    def role_not_found(self, workspace: str, name: str) -> NotFound:
        """There is no such role in the workspace."""
        near = did_you_mean(name, self.role_names(workspace))
        return NotFound(f"There is no role '{name}'.{near}")

    def list_grants(self, workspace: str | None = None) -> list[StoredGrant]:
        """The grants that were made, of a workspace or of all, the oldest first."""
        with self._metastore.read() as connection:
            return stored_grants(connection, workspace)

    def find_grant(self, id: str) -> StoredGrant:
        """The grant of this id. NotFound."""
        with self._metastore.read() as connection:
            statement = select(grants).where(grants.c.id == id)
            row = connection.execute(statement).mappings().one_or_none()
        if row is None:
            raise grant_not_found(id)
        return grant_of(row)

    def create_grant(self, workspace: str, grant: Grant, created_by: str) -> StoredGrant:
        """Lets a role of the workspace do something. NotFound; InvalidRequest."""
        if grant.role in BUILT_IN_ROLES:
            raise InvalidRequest(
                f"The role '{grant.role}' is built in and stays as it is: make one of your own."
            )
        made = StoredGrant(secrets.token_hex(8), workspace, grant, _now(), created_by)
        with self._changed("create_grant", f"grant:{made.id}", **_told(made)) as connection:
            if not has_role(connection, workspace, grant.role):
                raise self.role_not_found(workspace, grant.role)
            connection.execute(insert(grants).values(grant_row(made)))
        return made

    def drop_grant(self, id: str) -> None:
        """Takes a grant back. NotFound."""
        with self._changed("drop_grant", f"grant:{id}") as connection:
            if not connection.execute(delete(grants).where(grants.c.id == id)).rowcount:
                raise grant_not_found(id)

    def list_workspaces(self) -> list[Workspace]:
        """All workspaces by name; the server's own is not among them unless it has limits."""
        with self._metastore.read() as connection:
            rows = connection.execute(select(workspaces).order_by(workspaces.c.name)).mappings()
            return [workspace_of(connection, row) for row in rows]

    def find_workspace(self, name: str) -> Workspace:
        """The workspace of this name. NotFound."""
        with self._metastore.read() as connection:
            return found_workspace(connection, name)

    def create_workspace(
        self, name: str, description: str, namespace: NamespaceRef, created_by: str
    ) -> Workspace:
        """A new workspace that has the namespace. AlreadyExists; Conflict; InvalidRequest."""
        check_name(name, "workspace")
        with self._changed(
            "create_workspace", f"workspace:{name}", namespace=str(namespace)
        ) as connection:
            if name == DEFAULT_WORKSPACE or workspace_row(connection, name) is not None:
                raise AlreadyExists(f"There is a workspace '{name}' already.")
            row = {
                "name": name,
                "description": description,
                "limits": "{}",
                "created_at": _now(),
                "created_by": created_by,
            }
            connection.execute(insert(workspaces).values(row))
            assign(connection, namespace, name)
            return found_workspace(connection, name)

    def change_workspace(self, name: str, values: Mapping[str, Any]) -> Workspace:
        """Sets `description` or `limits`. NotFound."""
        kept = dict(values)
        if "limits" in kept:
            kept["limits"] = json.dumps(dict(kept["limits"]))
        with self._changed(
            "change_workspace", f"workspace:{name}", changed=sorted(values)
        ) as connection:
            check_workspace(connection, name)
            if name == DEFAULT_WORKSPACE and workspace_row(connection, name) is None:
                row = {"name": name, "description": "", "limits": "{}", "created_at": _now(),
                       "created_by": "server"}  # fmt: skip
                connection.execute(insert(workspaces).values(row))
            if kept:
                this = workspaces.c.name == name
                connection.execute(update(workspaces).where(this).values(kept))
            return found_workspace(connection, name)

    def assign_all(self, workspace: str, namespaces: Collection[NamespaceRef]) -> None:
        """Gives the workspace these namespaces, with those nested in them, and no others.

        What another workspace had moves; what this one no longer has is the server's. NotFound.
        """
        with self._changed(
            "change_workspace", f"workspace:{workspace}", namespaces=list(map(str, namespaces))
        ) as connection:
            check_workspace(connection, workspace)
            owned = workspace_namespaces
            connection.execute(delete(owned).where(owned.c.workspace == workspace))
            for namespace in namespaces:
                connection.execute(delete(owned).where(this_namespace(namespace)))
                assign(connection, namespace, workspace)

    def drop_workspace(self, name: str) -> None:
        """Removes a workspace with its roles and grants. NotFound; Conflict while it has anybody.

        Its namespaces must be gone already, or be another workspace's. Whoever gets the name later
        gets nothing else of it.
        """
        with self._changed("drop_workspace", f"workspace:{name}") as connection:
            found_workspace(connection, name)
            if name == DEFAULT_WORKSPACE:
                raise InvalidRequest("The workspace 'default' is the server's own and stays.")
            holders = holders_of(connection, name, None)
            if holders:
                raise Conflict(
                    f"In the workspace '{name}' there are {', '.join(holders[:5])}: remove them "
                    "first."
                )
            for table in (grants, roles, workspace_namespaces):
                connection.execute(delete(table).where(table.c.workspace == name))
            connection.execute(delete(workspaces).where(workspaces.c.name == name))
            disown_workspace(connection, name, _now())

    @contextmanager
    def _changed(self, action: str, resource: str, **details: object) -> Iterator[Connection]:
        """A transaction, told to the audit trail, after which everything is read anew."""
        with self._lock:
            with self._metastore.begin() as connection:
                yield connection
                record_change(connection, action, resource, **details)
                # Counted by the database, so that of two servers each makes another number.
                changed = permission_changes
                counted = update(changed).values(number=changed.c.number + 1)
                if not connection.execute(counted).rowcount:
                    connection.execute(insert(changed).values(id=1, number=1))
            self._current = self._read()
            self._looked_at = time.monotonic()

    def _read(self) -> Permissions:
        with self._metastore.read() as connection:
            # First, so that a change that comes in between is looked for again.
            number = changes_of(connection)
            found: dict[tuple[str, str], list[Grant]] = {}
            for stored in stored_grants(connection, None):
                found.setdefault((stored.workspace, stored.grant.role), []).append(stored.grant)
            names: dict[str, set[str]] = {}
            for workspace, name in connection.execute(select(roles.c.workspace, roles.c.name)):
                names.setdefault(workspace, set()).add(name)
            owned = connection.execute(select(workspace_namespaces)).all()
            read = Permissions(
                number,
                {key: tuple(all_of_it) for key, all_of_it in found.items()},
                {workspace: frozenset(known) for workspace, known in names.items()},
                {(catalog, namespace): workspace for catalog, namespace, workspace in owned},
            )
        # Here, so that no call has to wait for it.
        assert read.by_table is not None
        return read


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _told(stored: StoredGrant) -> dict[str, object]:
    """What the audit trail is told of a grant: a row filter may hold values, and stays out."""
    grant = stored.grant
    columns = None if grant.columns is None else sorted(grant.columns)
    lists = {"actions": sorted(grant.actions), "columns": columns}
    row = {**grant_row(stored), **lists, "rows": grant.rows is not None}
    return {name: row[name] for name in row if name not in ("id", "created_at", "created_by")}
