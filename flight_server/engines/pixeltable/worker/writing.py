"""Rows that are written: whole streams, each in one transaction of Pixeltable's.

A stream has come to its end before the first row of it is written, so no lock is held while bytes
travel. Pixeltable inserts rows as Python values; where the setting and the table allow it they are
copied instead. Either makes one version of them. By their keys they are written some thousands at a
time, and each such part is a version; what makes the parts one is the transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pixeltable as pxt
import pyarrow as pa

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.digests import Digest
from flight_server.engines.pixeltable.worker import bulk, inserting, making
from flight_server.engines.pixeltable.worker.changing import changed
from flight_server.engines.pixeltable.worker.columns import Column, columns_of
from flight_server.engines.pixeltable.worker.home import Home
from flight_server.engines.pixeltable.worker.listings import opened
from flight_server.engines.pixeltable.worker.receipts import Receipts, mark_of
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
        put = _Ingest(home, table, is_new, arguments, sent)
        return home.write(table, lambda: put.run(cancellation), arguments)
    except BaseException:
        if is_new:
            with home.turn(table):
                making.drop_unused(table)
        raise


def offset(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """How many rows of a stream are safe under its token; None where nothing was sent under it."""
    try:
        table = opened(arguments)
    except NotFound:
        return {"offset": None}
    receipts = Receipts(home, table.get_metadata()["id"], arguments)
    known = home.in_one(receipts.find)
    return {"offset": None if known is None else known["commit"]["offset"]}


def _target(
    arguments: Mapping[str, Any], mode: IngestMode, schema: pa.Schema
) -> tuple[pxt.Table, bool]:
    """The table to write to, made from the schema where that is asked for."""
    try:
        opened(arguments)
    except NotFound:
        if mode is not IngestMode.CREATE and not arguments["create_if_missing"]:
            raise
        key, mark = tuple(arguments["key"]), mark_of(arguments)
        return making.table_of(arguments, schema, key, "", mark), True
    if mode is IngestMode.CREATE and arguments["token"] is None:
        raise making.already_exists(arguments)
    return changed(arguments), False


class _Ingest:
    """One stream on its way into a table. It is done again from the start where it must be."""

    def __init__(
        self,
        home: Home,
        table: pxt.Table,
        is_new: bool,
        arguments: Mapping[str, Any],
        sent: Spool,
    ) -> None:
        self._table = table
        self._is_new = is_new
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
        known = None if self._receipts is None else self._receipts.find()
        begins = self._arguments["offset"]
        if begins is not None:
            self._check_turn(known, begins)
        is_rest = begins is not None and not self._arguments["is_known"]
        if known is not None and not is_rest:
            return self._again(_Sent(self._sent, self._digest(), cancellation), known)
        if self._mode is IngestMode.CREATE and not self._is_for_us():
            raise making.already_exists(self._arguments)
        digest = self._digest(None if known is None else known["digest"])
        sent = _Sent(self._sent, digest, cancellation)
        counts = {"rows_inserted": 0, "rows_updated": 0, "rows_deleted": 0}
        if self._mode is IngestMode.OVERWRITE:
            counts["rows_deleted"] = self._table.delete().row_count_stats.del_rows
        self._write(sent, counts)
        commit = {**counts, "rows": sent.count, "offset": (begins or 0) + sent.count}
        commit["snapshot"] = self._table.get_metadata()["version"]
        if self._receipts is not None:
            self._receipts.leave(str(sent.digest), commit)
        return commit

    def _check_turn(self, known: Mapping[str, Any] | None, begins: int) -> None:
        """Conflict where the stream has come to another row than where these rows begin."""
        safe = 0 if known is None else known["commit"]["offset"]
        if self._receipts is not None and safe != begins:
            raise Conflict(
                f"Another stream is written under the token '{self._arguments['token']}': send "
                "this one again, which goes on where that has come to."
            )

    def _is_for_us(self) -> bool:
        """Whether the table was made for this stream, be it by a process that has died since."""
        mark = mark_of(self._arguments)
        is_known = mark is not None and making.was_made_for(self._table.get_metadata(), mark)
        return self._is_new or is_known

    def _again(self, sent: _Sent, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """The commit that a token was used for, where that was for the same rows."""
        for _ in sent.parts():
            pass
        if known["digest"] != str(sent.digest):
            raise Conflict(
                f"The token '{self._arguments['token']}' was used for other rows.",
                code=ErrorCode.TOKEN_CONFLICT,
            )
        return {**known["commit"], "duplicate": True}

    def _write(self, sent: _Sent, counts: dict[str, int]) -> None:
        if self._mode in _BY_KEY:
            keys: set[tuple[Any, ...]] = set()
            for part in sent.parts():
                rows = rows_of(part, self._columns, self._arguments["media"])
                self._check_keys(rows, keys)
                self._upsert(rows, counts)
        elif self._arguments["bulk"] and bulk.fits(self._table, self._columns):
            counts["rows_inserted"] = bulk.insert(self._table, self._columns, sent.parts())
        else:
            allowed = self._arguments["media"]
            inserted = inserting.insert(self._table, self._columns, sent.parts(), allowed)
            counts["rows_inserted"] = inserted

    def _check_keys(self, rows: list[dict[str, Any]], known: set[tuple[Any, ...]]) -> None:
        """InvalidRequest (invalid_data) where two rows of the stream have one key."""
        before = len(known)
        known.update(tuple(row[name] for name in self._key) for row in rows)
        if len(known) < before + len(rows):
            raise InvalidRequest(
                f"Two rows have the same {_named(self._key)}, which is the key: send one for each.",
                code=ErrorCode.INVALID_DATA,
            )

    def _upsert(self, rows: list[dict[str, Any]], counts: dict[str, int]) -> None:
        wanted = [{**self._left_out, **row} for row in rows]
        stats = self._table.batch_update(wanted, if_not_exists="insert").row_count_stats
        # What it inserts is not in its own count; and rows of which keys alone were sent stay.
        if len(self._columns) > len(self._key) or self._left_out:
            counts["rows_updated"] += stats.upd_rows
        counts["rows_inserted"] += len(wanted) - stats.upd_rows

    def _digest(self, after: str | None = None) -> Digest | None:
        if self._receipts is None:
            return None
        return Digest(self._mode, self._sent.schema, self._arguments["content"], after)

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


class _Sent:
    """The rows of a stream in parts, counted and taken into a digest as they pass."""

    def __init__(self, spool: Spool, digest: Digest | None, cancellation: Cancellation) -> None:
        self._spool = spool
        self._cancellation = cancellation
        self.digest = digest
        self.count = 0

    def parts(self) -> Iterator[pa.RecordBatch]:
        """All of them."""
        for batch in self._spool.rows():
            for start in range(0, batch.num_rows, ROWS_EACH):
                self._cancellation.check()
                part = batch.slice(start, ROWS_EACH)
                if self.digest is not None:
                    self.digest.update(part)
                self.count += part.num_rows
                yield part


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
