"""Answers that are kept for requests that are sent again."""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, Table, Text

from flight_server.metastore.tables.base import Moment, metadata

# `digest` is that of the request; `headers` a JSON object.
kept_answers = Table(
    "kept_answers",
    metadata,
    Column("principal_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False, index=True),
)
