"""Uploads: files that come in parts, before they are imported."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Table, Text

from flight_server.metastore.tables.base import Moment, metadata

# One upload; its bytes are a file of the data folder. `name` is what the client calls it, `size`
# and `sha256` are what it is to have in the end, where that was said. `touched_at` is when the
# last part came.
uploads = Table(
    "uploads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("principal_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("size", BigInteger),
    Column("sha256", Text),
    Column("is_complete", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("touched_at", Moment, nullable=False),
    Index(None, "principal_id"),
    Index(None, "touched_at"),
)
