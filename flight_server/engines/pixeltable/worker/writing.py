"""Rows that are written: whole streams, each in one transaction of Pixeltable's.

A stream has come to its end before the first row of it is written, so no lock is held while bytes
travel. Pixeltable takes rows as Python values, some thousands at a time, and makes a version of
each such part; what makes the parts one is the transaction that they are all in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pixeltable as pxt
import pyarrow as pa

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.worker import making
from flight_server.engines.pixeltable.worker.changing import changed
from flight_server.engines.pixeltable.worker.columns import Column, columns_of
from flight_server.engines.pixeltable.worker.home import Home
from flight_server.engines.pixeltable.worker.listings import opened
from flight_server.engines.pixeltable.worker.receipts import Receipts
from flight_server.engines.pixeltable.worker.spools import Spool
from flight_server.engines.pixeltable.worker.values import matched, rows_of
from flight_server.errors import Conflict, ErrorCode, InvalidRequest, NotFound
from flight_server.model import IngestMode

ROWS_EACH = 20_000
_BY_KEY = (IngestMode.UPSERT, IngestMode.MERGE)


def ingest(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation, sent: Spool
) -> Mapping[str, Any]:
    """All rows of a stream, or none of them; under a token that was used before, what it did."""
    mode = IngestMode(arguments["mode"])
    table, is_new = _target(arguments, mode, sent.schema)
    try:
        is_in_the_way = mode is IngestMode.CREATE and not is_new
        put = _Ingest(home, table, is_in_the_way, arguments, sent)
        return home.write(table, lambda: put.run(cancellation), arguments)
    except BaseException:
        if is_new:
            pxt.drop_table(table, if_not_exists="ignore")
        raise


def _target(
    arguments: Mapping[str, Any], mode: IngestMode, schema: pa.Schema
) -> tuple[pxt.Table, bool]:
    """The table to write to, made from the schema where that is asked for."""
    try:
        opened(arguments)
    except NotFound:
        if mode is not IngestMode.CREATE and not arguments["create_if_missing"]:
            raise
        return making.table_of(arguments, schema, tuple(arguments["key"]), ""), True
    if mode is IngestMode.CREATE and arguments["token"] is None:
        raise making.already_exists(arguments)
    return changed(arguments), False


class _Ingest:
    """One stream on its way into a table. It is done again from the start where it must be."""

    def __init__(
        self,
        home: Home,
        table: pxt.Table,
        is_in_the_way: bool,
        arguments: Mapping[str, Any],
        sent: Spool,
    ) -> None:
        self._table = table
        self._is_in_the_way = is_in_the_way
        self._mode = IngestMode(arguments["mode"])
        self._arguments = arguments
        self._sent = sent
        told = table.get_metadata()
        every = columns_of(table, told)
        self._key = told["primary_key"] or []
        self._check_key()
        self._columns = matched(every, sent.schema)
        self._left_out = self._unsent(every)
        token = arguments["token"]
        self._receipts = None if token is None else Receipts(home, told["id"], arguments)

    def run(self, cancellation: Cancellation) -> Mapping[str, Any]:
        """What the commit is to tell, in the transaction that is open."""
        digest = _Digest(self._mode, self._columns, self._arguments["content"])
        known = None if self._receipts is None else self._receipts.find()
        if self._is_in_the_way and known is None:
            raise making.already_exists(self._arguments)
        counts = {"rows": 0, "rows_inserted": 0, "rows_updated": 0, "rows_deleted": 0}
        if self._mode is IngestMode.OVERWRITE and known is None:
            counts["rows_deleted"] = self._table.delete().row_count_stats.del_rows
        for rows in self._parts():
            cancellation.check()
            if self._receipts is not None:
                digest.update(rows)
            counts["rows"] += len(rows)
            if known is None:
                self._write(rows, counts)
        if known is not None:
            if known["digest"] != str(digest):
                raise Conflict(
                    f"The token '{self._arguments['token']}' was used for other rows.",
                    code=ErrorCode.TOKEN_CONFLICT,
                )
            return {**known["commit"], "duplicate": True}
        commit = {**counts, "snapshot": self._table.get_metadata()["version"]}
        commit["offset"] = commit["rows"]
        if self._receipts is not None:
            self._receipts.leave(str(digest), commit)
        return commit

    def _write(self, rows: list[dict[str, Any]], counts: dict[str, int]) -> None:
        if self._mode not in _BY_KEY:
            counts["rows_inserted"] += self._table.insert(rows).row_count_stats.ins_rows
            return
        # Of two rows of one key the later one counts; Pixeltable would insert both.
        by_key = {tuple(row[name] for name in self._key): row for row in rows}
        wanted = [{**self._left_out, **row} for row in by_key.values()]
        stats = self._table.batch_update(wanted, if_not_exists="insert").row_count_stats
        # What it inserts is not in its own count.
        counts["rows_updated"] += stats.upd_rows
        counts["rows_inserted"] += len(wanted) - stats.upd_rows

    def _parts(self) -> Iterator[list[dict[str, Any]]]:
        for batch in self._sent.rows():
            for start in range(0, batch.num_rows, ROWS_EACH):
                part = batch.slice(start, ROWS_EACH)
                yield rows_of(part, self._columns, self._arguments["media"])

    def _check_key(self) -> None:
        key = self._key
        asked = [name.lower() for name in self._arguments["key"]]
        if self._mode in _BY_KEY and not key:
            raise InvalidRequest("The table has no key: make it with one, or append.")
        if asked and set(asked) != set(key):
            raise InvalidRequest(
                f"The table's key is {', '.join(key) or 'none'}, and Pixeltable knows no other."
            )

    def _unsent(self, every: Sequence[Column]) -> dict[str, None]:
        """What an upsert sets to null, since it was left out: a merge lets it be."""
        if self._mode is not IngestMode.UPSERT:
            return {}
        sent = {column.name for column in self._columns}
        return {one.name: None for one in every if one.name not in sent and not one.is_computed}


class _Digest:
    """What was sent under a token: rows in their order, however they came in batches."""

    def __init__(self, mode: IngestMode, columns: Sequence[Column], content: str | None) -> None:
        names = ",".join(column.name for column in columns)
        self._hash = hashlib.sha256(f"{mode}:{names}:{content}".encode())
        self._is_named = content is not None
        self._rows = 0

    def update(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds rows."""
        self._rows += len(rows)
        for row in [] if self._is_named else rows:
            self._hash.update(repr([_plain(value) for value in row.values()]).encode())

    def __str__(self) -> str:
        return f"{self._rows}:{self._hash.hexdigest()}"


def _plain(value: Any) -> Any:
    """A value whose text says all of it: NumPy's leaves the middle of large arrays out."""
    return (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value
