"""API keys, and the server's own secrets."""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, Table, Text

from flight_server.metastore.tables.base import Moment, metadata

# API keys. Only a hash of each secret is kept; `roles` is a JSON list of names. A revoked key
# stays as a row, so that what it did can still be told.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("workspace", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Column("created_by", Text, nullable=False),
)

# Secrets that the server makes for itself, one a purpose: they sign tickets and tokens.
server_secrets = Table(
    "server_secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
)
