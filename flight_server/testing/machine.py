"""Random operations on an engine and on an oracle, and everything compared.

`machine_for(factory)` gives a Hypothesis state machine for engines that have every ability of
versioned tables; its `TestCase` is a test. Each rule chooses what to do; `pair` does it twice.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from flight_server.engines.upkeep import SupportsHousekeeping
from flight_server.errors import AlreadyExists, NotFound
from flight_server.model import (
    AddColumn,
    Commit,
    DropColumn,
    Images,
    IngestMode,
    IngestRequest,
    RenameColumn,
)
from flight_server.testing.oracle import KEY, OracleTable, Row, identifier, literal
from flight_server.testing.pair import AUTHOR, Pair, by_key, replay, spec_of, sql_of
from flight_server.testing.strategies import (
    KINDS,
    NAMES,
    assignments,
    column_names,
    columns,
    conditions,
    given_rows,
    values,
)

EngineFactory = Callable[[], AbstractContextManager[Any]]
WRITES = (IngestMode.APPEND, IngestMode.OVERWRITE, IngestMode.UPSERT, IngestMode.MERGE)


@dataclass(frozen=True)
class SentToken:
    """An ingest that was made under a token, to be sent again."""

    name: str
    table_id: int
    epoch: int
    request: IngestRequest
    rows: pa.Table
    answer: Commit


def machine_for(factory: EngineFactory) -> type[EngineMachine]:
    """The machine for the engines that this factory opens."""
    return type("EngineMachine", (EngineMachine,), {"factory": staticmethod(factory)})


class EngineMachine(RuleBasedStateMachine):
    """Each rule does one thing, then looks at what it touched."""

    factory: EngineFactory

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.pair = Pair(self.stack.enter_context(self.factory()))
        self.tokens: list[SentToken] = []
        self.tags: dict[tuple[int, str], int] = {}

    @property
    def tables(self) -> dict[str, OracleTable]:
        """The oracle's tables as they are now."""
        return self.pair.oracle.tables

    def teardown(self) -> None:
        """Looks once more at all that was ever seen, then closes the engine."""
        with self.stack:
            self.pair.check_history()

    @initialize(shape=columns())
    def start(self, shape: dict[str, str]) -> None:
        """There is a table to begin with."""
        self.pair.create(NAMES[0], shape)

    @rule(name=st.sampled_from(NAMES), shape=columns())
    def create(self, name: str, shape: dict[str, str]) -> None:
        """Makes a table, or is refused where there is one."""
        if name not in self.tables:
            self.pair.create(name, shape)
            return
        with pytest.raises(AlreadyExists):
            self.pair.engine.create_table(self.pair.ref(name), spec_of(shape), AUTHOR)

    @rule(data=st.data(), mode=st.sampled_from(WRITES), has_token=st.booleans())
    def put(self, data: st.DataObject, mode: IngestMode, has_token: bool) -> None:
        """Ingests rows, under a token or without."""
        name = self._pick(data)
        given = data.draw(given_rows(self.tables[name]))
        token = f"token {len(self.tokens)}" if has_token else None
        request = IngestRequest(mode, token=token)
        answer, sent = self.pair.put(self.pair.engine, name, given, request)
        if has_token:
            table = self.tables[name]
            self.tokens.append(SentToken(name, table.id, table.epoch, request, sent, answer))
        self.pair.wrote(name)

    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        """Repeats an ingest under its token: the first answer, and no row."""
        known = {(name, table.id, table.epoch) for name, table in self.tables.items()}
        sent = [one for one in self.tokens if (one.name, one.table_id, one.epoch) in known]
        if not sent:
            return
        one = data.draw(st.sampled_from(sent))
        answer = self.pair.engine.ingest(
            self.pair.ref(one.name), one.request, one.rows.to_reader(), AUTHOR
        )
        assert answer.duplicate
        assert answer.snapshot == one.answer.snapshot
        assert (answer.rows, answer.offset) == (one.answer.rows, one.answer.offset)
        self.pair.wrote(one.name)

    @rule(data=st.data())
    def update(self, data: st.DataObject) -> None:
        """Sets columns where a condition holds."""
        name = self._pick(data)
        self._update_in(self.pair.engine, name, data)
        self.pair.wrote(name)

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """Deletes rows where a condition holds."""
        name = self._pick(data)
        self.pair.delete(self.pair.engine, name, data.draw(conditions(self.tables[name])))
        self.pair.wrote(name)

    @rule(data=st.data(), kind=st.sampled_from(sorted(KINDS)), has_default=st.booleans())
    def add_column(self, data: st.DataObject, kind: str, has_default: bool) -> None:
        """Adds a column, or is refused where there is one."""
        name, column = self._pick(data), data.draw(column_names)
        default = data.draw(values(kind)) if has_default else None
        text = None if default is None else literal(default)
        change = AddColumn(pa.field(column, KINDS[kind]), default=text)
        if column in self.tables[name].columns:
            with pytest.raises(AlreadyExists):
                self.pair.engine.alter_table(self.pair.ref(name), [change], AUTHOR)
            return
        self.pair.alter(name, change).add_column(column, kind, default)
        self.pair.wrote(name)

    @rule(data=st.data())
    def drop_column(self, data: st.DataObject) -> None:
        """Drops a column that is not the key."""
        name = self._pick(data)
        if others := _others(self.tables[name]):
            column = data.draw(st.sampled_from(others))
            self.pair.alter(name, DropColumn(column)).drop_column(column)
            self.pair.wrote(name)

    @rule(data=st.data(), new=column_names)
    def rename_column(self, data: st.DataObject, new: str) -> None:
        """Renames a column that is not the key."""
        name = self._pick(data)
        others = _others(self.tables[name])
        if others and new not in others:
            column = data.draw(st.sampled_from(others))
            self.pair.alter(name, RenameColumn(column, new)).rename_column(column, new)
            self.pair.wrote(name)

    @rule(data=st.data(), new=st.sampled_from(NAMES))
    def rename_table(self, data: st.DataObject, new: str) -> None:
        """Renames a table, or is refused where the name is another's."""
        name = self._pick(data)
        refs = self.pair.ref(name), self.pair.ref(new)
        if new in self.tables and new != name:
            with pytest.raises(AlreadyExists):
                self.pair.engine.rename_table(*refs, AUTHOR)
        elif new != name:
            self.pair.engine.rename_table(*refs, AUTHOR)
            self.pair.oracle.rename(name, new)
            self.pair.wrote(new)

    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        """Drops a table while there is another."""
        name = self._pick(data)
        if len(self.tables) > 1:
            self.pair.engine.drop_table(self.pair.ref(name), AUTHOR)
            self.pair.oracle.drop(name)
            with pytest.raises(NotFound):
                self.pair.scan(name)
            self.pair.oracle.record(self.pair.engine.snapshot())

    @rule(data=st.data())
    def undrop(self, data: st.DataObject) -> None:
        """Brings a dropped table back where its name is free."""
        names = sorted(set(self.pair.oracle.dropped) - set(self.tables))
        if names:
            name = data.draw(st.sampled_from(names))
            self.pair.engine.undrop_table(self.pair.ref(name), AUTHOR)
            self.pair.oracle.undrop(name)
            self.pair.wrote(name)

    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        """Brings back a state that a table had."""
        name = self._pick(data)
        moments = self.pair.oracle.moments(name, same_epoch=False)
        snapshot, then = data.draw(st.sampled_from(moments))
        self.pair.engine.restore(self.pair.ref(name), snapshot, AUTHOR)
        self.tables[name].become(then)
        self.pair.wrote(name)

    @rule(data=st.data(), tag=st.sampled_from(["first", "second's"]))
    def tag(self, data: st.DataObject, tag: str) -> None:
        """Tags a version; where there is such a tag, after dropping it."""
        name = self._pick(data)
        key, ref = (self.tables[name].id, tag), self.pair.ref(name)
        moments = self.pair.oracle.moments(name, same_epoch=True)
        snapshot, _ = data.draw(st.sampled_from(moments))
        if key in self.tags:
            assert self.pair.engine.tagged(ref, tag) == self.tags[key]
            with pytest.raises(AlreadyExists):
                self.pair.engine.create_tag(ref, tag, snapshot, AUTHOR)
            self.pair.engine.drop_tag(ref, tag, AUTHOR)
        self.pair.engine.create_tag(ref, tag, snapshot, AUTHOR)
        self.tags[key] = snapshot
        assert self.pair.engine.tagged(ref, tag) == snapshot
        self.pair.wrote(name)

    @rule(data=st.data(), count=st.integers(1, 4), ends=st.sampled_from(["commit", "rollback"]))
    def transaction(self, data: st.DataObject, count: int, ends: str) -> None:
        """Several writes that happen together, or not at all."""
        before = copy.deepcopy(self.tables)
        with self.pair.engine.transaction(AUTHOR) as transaction:
            for _ in range(count):
                name = self._pick(data)
                self._write_in(transaction, name, data)
                self.pair.check(name, self.tables[name], transaction)
            getattr(transaction, ends)()
        if ends == "rollback":
            self.pair.oracle.tables = before
        for name in self.tables:
            self.pair.check(name, self.tables[name])
        self.pair.oracle.record(self.pair.engine.snapshot())

    @rule(data=st.data(), offset=st.integers(0, 3), limit=st.none() | st.integers(0, 5))
    def scan(self, data: st.DataObject, offset: int, limit: int | None) -> None:
        """Reads some columns of some rows in order, now or as they were."""
        history = self.pair.oracle.history
        snapshot = data.draw(st.none() | st.sampled_from(sorted(history)))
        tables = self.tables if snapshot is None else history[snapshot]
        name = data.draw(st.sampled_from(sorted(tables)))
        self._scan_at(data, name, snapshot, offset, limit)

    @rule(data=st.data(), count=st.integers(1, 3))
    def tend(self, data: st.DataObject, count: int) -> None:
        """Writes a table's files anew, where an engine has any: no version is another by it."""
        if not isinstance(self.pair.engine, SupportsHousekeeping):
            return
        name = self._pick(data)
        self.pair.engine.housekeep([self.pair.ref(name)])
        self.pair.wrote(name)
        # Of what is in files by now some rows go, so that there is something to write anew.
        self.pair.delete(self.pair.engine, name, data.draw(conditions(self.tables[name])))
        self.pair.wrote(name)
        self.pair.engine.housekeep([self.pair.ref(name)])
        self.pair.wrote(name)
        history = self.pair.oracle.history
        known = [snapshot for snapshot in sorted(history) if name in history[snapshot]]
        for _ in range(count):
            self._scan_at(data, name, data.draw(st.sampled_from(known)))

    @rule(data=st.data(), images=st.sampled_from(Images))
    def follow(self, data: st.DataObject, images: Images) -> None:
        """An old state and the changes since make the state of today."""
        name = self._pick(data)
        moments = self.pair.oracle.moments(name, same_epoch=True)
        since, then = data.draw(st.sampled_from(moments))
        rows = self.pair.rows_by_id(name, since)
        assert by_key(list(rows.values())) == then.rows
        changes = self.pair.changes(name, since, images)
        snapshots = [change["_snapshot"] for change in changes]
        assert snapshots == sorted(snapshots)
        replay(rows, changes)
        assert rows == self.pair.rows_by_id(name)

    @rule(data=st.data())
    def diff(self, data: st.DataObject) -> None:
        """The net difference makes the state of today too, and names no row that is the same."""
        name = self._pick(data)
        moments = self.pair.oracle.moments(name, same_epoch=True)
        since, _ = data.draw(st.sampled_from(moments))
        before = self.pair.rows_by_id(name, since)
        changes = self.pair.difference(name, since, self.pair.engine.snapshot())
        assert len({(row["_row_id"], row["_change"]) for row in changes}) == len(changes)
        after = dict(before)
        replay(after, sorted(changes, key=lambda row: str(row["_change"]), reverse=True))
        assert after == self.pair.rows_by_id(name)
        for change in changes:
            assert before.get(change["_row_id"]) != after.get(change["_row_id"])

    def _scan_at(
        self,
        data: st.DataObject,
        name: str,
        snapshot: int | None,
        offset: int = 0,
        limit: int | None = None,
    ) -> None:
        """Reads a table at a snapshot by a condition and in an order."""
        tables = self.tables if snapshot is None else self.pair.oracle.history[snapshot]
        table, condition = tables[name], data.draw(conditions(tables[name]))
        first, falls = data.draw(st.sampled_from(list(table.columns))), data.draw(st.booleans())
        chosen = data.draw(st.permutations(list(table.columns)))[:2]
        answer = self.pair.scan(
            name,
            columns=tuple(chosen),
            filter=sql_of(condition),
            order_by=f"{identifier(first)}{' DESC' if falls else ''}, {KEY}",
            offset=offset,
            limit=limit,
            version=snapshot,
        )
        rows = _ordered(table.matching(condition), first, falls)
        rows = rows[offset : None if limit is None else offset + limit]
        assert answer.column_names == chosen
        assert answer.to_pylist() == [{name: row[name] for name in chosen} for row in rows]

    def _pick(self, data: st.DataObject) -> str:
        name: str = data.draw(st.sampled_from(sorted(self.tables)))
        return name

    def _write_in(self, writer: Any, name: str, data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from([*WRITES, "update", "delete"]))
        table = self.tables[name]
        if isinstance(kind, IngestMode):
            self.pair.put(writer, name, data.draw(given_rows(table)), IngestRequest(kind))
        elif kind == "update":
            self._update_in(writer, name, data)
        else:
            self.pair.delete(writer, name, data.draw(conditions(table)))

    def _update_in(self, writer: Any, name: str, data: st.DataObject) -> None:
        table = self.tables[name]
        if chosen := data.draw(assignments(table)):
            self.pair.update(writer, name, chosen, data.draw(conditions(table)))


def _others(table: OracleTable) -> list[str]:
    """The columns that are not the key."""
    return [name for name in table.columns if name != KEY]


def _ordered(rows: list[Row], first: str, falls: bool) -> list[Row]:
    """The rows by one column, nulls last, and then by their key."""
    rows = sorted(rows, key=lambda row: int(row[KEY]))
    present = [row for row in rows if row[first] is not None]
    absent = [row for row in rows if row[first] is None]
    # Sorting is stable also when it is reversed, so equals stay in the order of their keys.
    return sorted(present, key=lambda row: row[first], reverse=falls) + absent
