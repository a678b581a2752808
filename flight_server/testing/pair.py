"""An engine and an oracle that are given the same work and must stay the same.

Every method does one thing to both and compares what comes of it. Writes may go to the engine or
to one of its transactions: the two have the same methods.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pyarrow as pa

from flight_server.model import (
    Author,
    ChangesRequest,
    Commit,
    Images,
    IngestMode,
    IngestRequest,
    ScanRequest,
    TableRef,
    TableSpec,
)
from flight_server.testing.oracle import KEY, Assignment, Condition, Oracle, OracleTable, Row
from flight_server.testing.strategies import KINDS, GivenRows

AUTHOR = Author(principal="machine", reason="random operations")


class Pair:
    """The engine, the oracle, and the work they share."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.oracle = Oracle()

    def ref(self, name: str) -> TableRef:
        """The table of this name."""
        return TableRef(self.engine.name, "main", name)

    def create(self, name: str, shape: dict[str, str]) -> None:
        """A new table of these columns."""
        self.engine.create_table(self.ref(name), spec_of(shape), AUTHOR)
        self.oracle.create(name, shape)
        self.wrote(name)

    def put(
        self, writer: Any, name: str, given: GivenRows, request: IngestRequest
    ) -> tuple[Commit, pa.Table]:
        """Ingests rows; an append leaves out those whose keys are there. What was sent, too."""
        table = self.oracle.tables[name]
        rows = list(given.rows)
        if request.mode is IngestMode.APPEND:
            rows = [row for row in rows if row[KEY] not in table.rows]
        sent = arrow_of(table, GivenRows(given.columns, tuple(rows)))
        answer = writer.ingest(self.ref(name), request, sent.to_reader(), AUTHOR)
        updated, inserted = 0, len(rows)
        if request.mode in (IngestMode.UPSERT, IngestMode.MERGE):
            updated, inserted = table.put_by_key(rows, request.mode is IngestMode.MERGE)
        elif request.mode is IngestMode.OVERWRITE:
            table.overwrite(rows)
        else:
            table.append(rows)
        assert (answer.rows, answer.rows_updated) == (len(rows), updated)
        assert (answer.rows_inserted, answer.offset) == (inserted, len(rows))
        assert not answer.duplicate
        return answer, sent

    def update(
        self, writer: Any, name: str, chosen: list[Assignment], condition: Condition | None
    ) -> None:
        """Sets columns where the condition holds."""
        texts = {assignment.column: assignment.sql() for assignment in chosen}
        answer = writer.update(self.ref(name), texts, sql_of(condition), AUTHOR)
        assert answer.rows_updated == self.oracle.tables[name].update(chosen, condition)

    def delete(self, writer: Any, name: str, condition: Condition | None) -> None:
        """Deletes rows where the condition holds."""
        answer = writer.delete(self.ref(name), sql_of(condition), AUTHOR)
        assert answer.rows_deleted == self.oracle.tables[name].delete(condition)

    def alter(self, name: str, change: Any) -> OracleTable:
        """Changes the engine's table; the oracle's is given to be changed."""
        self.engine.alter_table(self.ref(name), [change], AUTHOR)
        table = self.oracle.tables[name]
        table.epoch += 1
        return table

    def scan(self, name: str, reader: Any = None, **request: Any) -> pa.Table:
        """Rows of the engine or of one of its transactions."""
        source = self.engine if reader is None else reader
        with closing(source.scan(self.ref(name), ScanRequest(**request))) as batches:
            found: pa.Table = batches.read_all()
        return found

    def check(self, name: str, expected: OracleTable, reader: Any = None, **at: Any) -> None:
        """The engine's table has the columns and the rows that the oracle's has."""
        found = self.scan(name, reader, **at)
        assert found.schema.names == list(expected.columns)
        assert found.schema.types == [KINDS[kind] for kind in expected.columns.values()]
        assert by_key(found.to_pylist()) == expected.rows
        assert found.num_rows == len(expected.rows)

    def wrote(self, name: str) -> None:
        """After a write: the table is as it should be, and this is a moment to come back to."""
        self.check(name, self.oracle.tables[name])
        self.oracle.record(self.engine.snapshot())

    def check_history(self) -> None:
        """Every table at every moment is what it was."""
        for snapshot, tables in self.oracle.history.items():
            for name, table in tables.items():
                self.check(name, table, version=snapshot)
        names = sorted(ref.name for ref in self.engine.tables("main"))
        assert names == sorted(self.oracle.tables)

    def rows_by_id(self, name: str, version: int | None = None) -> dict[int, Row]:
        """The engine's rows by their ids."""
        rows = self.scan(name, version=version, with_row_id=True).to_pylist()
        found = {row.pop("_row_id"): row for row in rows}
        assert len(found) == len(rows), "two rows have one id"
        return found

    def changes(self, name: str, after: int, images: Images) -> list[Row]:
        """The rows of the change feed."""
        request = ChangesRequest(after=after, images=images)
        with closing(self.engine.changes(self.ref(name), request)) as reader:
            found: list[Row] = reader.read_all().to_pylist()
        return found

    def difference(self, name: str, older: int, newer: int) -> list[Row]:
        """The rows of the net difference."""
        with closing(self.engine.diff(self.ref(name), older, newer)) as reader:
            found: list[Row] = reader.read_all().to_pylist()
        return found


def replay(rows: dict[int, Row], changes: list[Row]) -> None:
    """Applies changes to rows by id; each must fit what is there."""
    for change in changes:
        values = dict(change)
        values.pop("_snapshot", None)
        row_id, kind = values.pop("_row_id"), values.pop("_change")
        assert (row_id in rows) == (kind != "insert")
        if kind == "delete":
            assert rows.pop(row_id) == values
        elif kind == "update_preimage":
            assert rows[row_id] == values
        else:
            rows[row_id] = values


def by_key(rows: list[Row]) -> dict[int, Row]:
    """The rows by their key."""
    return {row[KEY]: row for row in rows}


def spec_of(shape: dict[str, str]) -> TableSpec:
    """A table of these columns, keyed by the key."""
    fields = [pa.field(name, KINDS[kind], nullable=name != KEY) for name, kind in shape.items()]
    return TableSpec(pa.schema(fields), key=(KEY,))


def arrow_of(table: OracleTable, given: GivenRows) -> pa.Table:
    """The rows as Arrow, in the columns that were given."""
    schema = pa.schema([(name, KINDS[table.columns[name]]) for name in given.columns])
    return pa.Table.from_pylist(list(given.rows), schema=schema)


def sql_of(condition: Condition | None) -> str | None:
    """The condition as text."""
    return None if condition is None else condition.sql()
