"""The audit trail, and how far those have come who follow a commit log."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from flight_server.metastore.tables.base import Moment, metadata

# Who did what, to what, from where, and how it ended. Rows are added and, once they are old,
# removed; none is ever changed. `details` is a JSON object. SQLite counts up in INTEGER only.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("principal_id", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("workspace", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("snapshot", BigInteger),
    Column("details", Text, nullable=False),
    Index(None, "at"),
    Index(None, "request_id"),
)

# The last snapshot of a commit log that somebody has dealt with.
followers = Table(
    "followers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("snapshot", BigInteger, nullable=False),
)
