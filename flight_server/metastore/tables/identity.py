"""Users, and the tokens that were made for them and for keys."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text, UniqueConstraint

from flight_server.metastore.tables.base import Moment, metadata

# Users. `folded` is the name by which two that look alike collide. `roles` are given here and
# `external_roles` by the issuer of the user's tokens, as of `external_at`; both are JSON lists.
# A change of `generation` ends every token that was made before it.
users = Table(
    "users",
    metadata,
    Column("name", Text, primary_key=True),
    Column("folded", Text, nullable=False),
    Column("password_hash", Text),
    Column("roles", Text, nullable=False),
    Column("external_roles", Text, nullable=False),
    Column("external_at", Moment),
    Column("workspace", Text, nullable=False),
    Column("issuer", Text),
    Column("subject", Text),
    Column("certificate", Text),
    Column("generation", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("disabled_at", Moment),
    UniqueConstraint("folded"),
    UniqueConstraint("issuer", "subject"),
    UniqueConstraint("certificate"),
)

# Refresh tokens, by hash. Those of one login are a family: the second use of one ends them all.
# `bearer` is what they were given for: `user:NAME` or `key:ID`.
refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("family", Text, nullable=False, index=True),
    Column("bearer", Text, nullable=False),
    Column("generation", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("used_at", Moment),
)

# Access tokens that ended before their time, by their own id or by their family's.
revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("expires_at", Moment, nullable=False, index=True),
)
