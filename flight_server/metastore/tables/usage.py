"""What was used, by whom, on which day."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, Text

from flight_server.metastore.tables.base import metadata

# `day` is a date in UTC as text: 2031-01-31. `principal` is the name that was used last.
usage = Table(
    "usage",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("principal_id", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("principal", Text, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("rows_in", BigInteger, nullable=False),
    Column("rows_out", BigInteger, nullable=False),
    Column("bytes_in", BigInteger, nullable=False),
    Column("bytes_out", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
)
