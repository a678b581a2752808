"""API keys, and the server's own secrets."""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, Table, Text

from flight_server.metastore.tables.base import Moment, metadata

# API keys. Only a hash of each secret is kept; `roles` and `scopes` are JSON lists. A revoked key
# stays as a row, so that what it did can still be told. A key with an `owner` acts as that user.
# `previous_hash` is the secret before the last rotation, which works until `previous_until`; each
# secret has a `generation`, by which the tokens made from it are known.
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
    Column("owner", Text, index=True),
    Column("scopes", Text),
    Column("generation", Text),
    Column("previous_hash", Text),
    Column("previous_generation", Text),
    Column("previous_until", Moment),
)

# Secrets that the server makes for itself, one a purpose: they sign tickets and tokens.
server_secrets = Table(
    "server_secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
)
