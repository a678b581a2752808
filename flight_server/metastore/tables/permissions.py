"""Workspaces, roles and grants.

Lists are JSON. `permission_changes` holds one row, whose number grows with every change: other
servers on this metastore look at it to know whether what they remember still holds.
"""

from __future__ import annotations

from sqlalchemy import Column, Integer, Table, Text

from flight_server.metastore.tables.base import Moment, metadata

workspaces = Table(
    "workspaces",
    metadata,
    Column("name", Text, primary_key=True),
    Column("description", Text, nullable=False),
    Column("limits", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),
)

# Which workspace a namespace, with those nested in it, belongs to; names in lower case.
workspace_namespaces = Table(
    "workspace_namespaces",
    metadata,
    Column("catalog", Text, primary_key=True),
    Column("namespace", Text, primary_key=True),
    Column("workspace", Text, nullable=False),
)

roles = Table(
    "roles",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("description", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("actions", Text, nullable=False),
    Column("catalog", Text),
    Column("namespace", Text),
    Column("table_name", Text),
    Column("columns", Text),
    Column("rows", Text),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),
)

permission_changes = Table(
    "permission_changes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
)
