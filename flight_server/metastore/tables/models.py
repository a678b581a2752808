"""Keys of those whose models are called, and what was asked of the models."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, LargeBinary, Table, Text

from flight_server.metastore.tables.base import Moment, metadata

# The key that a workspace has with a provider, encrypted: `sealing` says how.
provider_keys = Table(
    "provider_keys",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", Moment, nullable=False),
)

# Calls by day in UTC, as text: 2031-01-31. `model` is empty where a function is told of none.
model_usage = Table(
    "model_usage",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("function", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cost", Float, nullable=False),
)
