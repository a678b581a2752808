"""The client's half where Flight SQL is measured: the ADBC driver, the same for every server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from adbc_driver_flightsql import DatabaseOptions, dbapi

from bench.sample import BATCH_ROWS

# The driver refuses messages of more than 16 MiB unless it is told that they are welcome.
MESSAGE_BYTES_MAX = 1 << 30


class AdbcCalls:
    """An open connection that commits each statement by itself, unless it is told not to."""

    def __init__(self, url: str, key: str = "", autocommit: bool = True) -> None:
        options = {DatabaseOptions.WITH_MAX_MSG_SIZE.value: str(MESSAGE_BYTES_MAX)}
        if key:
            options[DatabaseOptions.AUTHORIZATION_HEADER.value] = f"Bearer {key}"
        self.connection: Any = dbapi.connect(url, db_kwargs=options, autocommit=autocommit)

    def query(self, text: str) -> int:
        """Runs a SELECT and reads it batch by batch: how many rows came."""
        with self.connection.cursor() as cursor:
            cursor.execute(text)
            return sum(batch.num_rows for batch in cursor.fetch_record_batch())

    def ingest(self, name: str, table: pa.Table) -> int:
        """Writes a table into a new one: how many rows were acknowledged."""
        with self.connection.cursor() as cursor:
            reader = pa.RecordBatchReader.from_batches(
                table.schema, iter(table.to_batches(max_chunksize=BATCH_ROWS))
            )
            return int(cursor.adbc_ingest(name, reader, mode="create"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.connection.close()


@dataclass(frozen=True)
class Statement:
    """What a client of a crowd does again and again: one SELECT over its own connection."""

    url: str
    key: str
    text: str
    rows: int = 1

    def connected(self, closing: ExitStack) -> Callable[[], int]:
        """The work as a function, over a connection that `closing` ends."""
        calls = closing.enter_context(AdbcCalls(self.url, self.key))
        return lambda: calls.query(self.text)
