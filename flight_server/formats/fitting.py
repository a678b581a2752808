"""Rows from a client made into batches for a table's columns; what does not fit is told by row.

Rows are counted from 1 as the client sent them. Either the first that does not fit ends it all, or
those that do not fit are left out and listed in a report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pyarrow as pa

from flight_server.errors import ErrorCode, InvalidRequest, did_you_mean
from flight_server.formats.json_values import array_of, taken
from flight_server.formats.text_values import MisfitError

LISTED_MAX = 1000


@dataclass
class Report:
    """The rows that were left out: how many, and why the first of them were."""

    skipped: int = 0
    listed: list[dict[str, Any]] = field(default_factory=list)

    def add(self, row: int, reason: str, column: str | None = None) -> None:
        """Leaves a row out."""
        self.skipped += 1
        if len(self.listed) < LISTED_MAX:
            self.listed.append({"row": row, "column": column, "reason": reason})


# Which rows of a batch, by their positions, will not be taken: a column, or none, and the reason.
Judge = Callable[[pa.RecordBatch], Mapping[int, tuple[str | None, str]]]


class Fitting:
    """The columns of a table that rows may have, and how many rows have come.

    `report` collects the rows that do not fit; without one the first of them raises. Where there
    is one, a `judge` finds those that fit and will be refused all the same.
    """

    def __init__(
        self, known: pa.Schema, report: Report | None = None, judge: Judge | None = None
    ) -> None:
        self.known = known
        self.report = report
        self._judge = judge
        self.rows = 0
        self._left_out: list[int] = []
        self._places = {name.lower(): at for at, name in enumerate(known.names)}

    def columns(self, names: Iterable[str]) -> pa.Schema:
        """The columns that these names mean. InvalidRequest (schema_mismatch)."""
        fields: dict[str, pa.Field] = {}
        for name in names:
            place = self._places.get(name.lower())
            if place is None:
                raise InvalidRequest(
                    f"The table has no column '{name[:200]}'."
                    f"{did_you_mean(name, self.known.names)}",
                    code=ErrorCode.SCHEMA_MISMATCH,
                    details={"column": name[:200]},
                )
            found = self.known.field(place)
            if fields.setdefault(name, found) is not found or found.name in {
                other.name for one, other in fields.items() if one != name
            }:
                raise InvalidRequest(
                    f"The column '{found.name}' stands there twice.",
                    code=ErrorCode.SCHEMA_MISMATCH,
                    details={"column": found.name},
                )
        # Whether nulls are allowed is asked of the values, with the row that has one.
        return pa.schema(
            [pa.field(one.name, taken(one.type), one.nullable) for one in fields.values()]
        )

    def batch(self, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
        """Rows of JSON values as a batch of these columns. InvalidRequest (invalid_data)."""
        named = [{name.lower(): value for name, value in row.items()} for row in rows]
        columns = [[row.get(name.lower()) for row in named] for name in schema.names]
        return self.fitted(columns, schema, array_of)

    def fitted(
        self,
        columns: Sequence[Any],
        schema: pa.Schema,
        read: Callable[[Any, pa.DataType], pa.Array],
    ) -> pa.RecordBatch:
        """Columns of values, read each by its type; `read` raises MisfitError.

        Columns can be cut into slices of rows, as lists and arrays can.
        """
        first, count = self.rows + 1, len(columns[0]) if columns else 0
        self.rows += count
        wrong: dict[int, tuple[str | None, str]] = {}
        arrays = []
        for column, one in zip(columns, schema, strict=True):
            try:
                arrays.append(_read(column, one, read))
            except MisfitError:
                arrays.append(self._apart(column, one, read, wrong, first))
        return self.left(pa.RecordBatch.from_arrays(arrays, schema=schema), first, wrong)

    def left(
        self, batch: pa.RecordBatch, first: int, wrong: dict[int, tuple[str | None, str]]
    ) -> pa.RecordBatch:
        """The batch without its rows that are wrong, or that the judge finds so.

        `first` is the number of its first row.
        """
        rows = range(batch.num_rows)
        if self.report is not None and self._judge is not None:
            right = [at for at in rows if at not in wrong]
            mask = pa.array([at not in wrong for at in rows], pa.bool_())
            for at, reason in self._judge(batch.filter(mask) if wrong else batch).items():
                wrong[right[at]] = reason
        if not wrong:
            return batch
        assert self.report is not None, "without a report the first one was raised"
        for at in sorted(wrong):
            self.report.add(self._number(first + at), wrong[at][1], wrong[at][0])
        return batch.filter(pa.array([at not in wrong for at in rows], pa.bool_()))

    def leave_out(self, row: int, reason: str) -> None:
        """Leaves out a row that could not be taken apart; rows that come later stand behind it."""
        assert self.report is not None, "without a report such a row ends it all"
        self.report.add(row, reason)
        self._left_out.append(row)

    def _number(self, row: int) -> int:
        """The number of a row as the client counts them, who has sent what was left out, too."""
        for left_out in self._left_out:
            row += left_out <= row
        return row

    def _apart(
        self,
        column: Any,
        one: pa.Field,
        read: Callable[[Any, pa.DataType], pa.Array],
        wrong: dict[int, tuple[str | None, str]],
        first: int,
    ) -> pa.Array:
        """The column read value by value, because one of them does not fit."""
        found = []
        for at in range(len(column)):
            try:
                found.append(_read(column[at : at + 1], one, read))
            except MisfitError as error:
                if self.report is None:
                    raise_misfit(self._number(first + at), one.name, str(error))
                wrong.setdefault(at, (one.name, str(error)))
                found.append(pa.nulls(1, one.type))
        return pa.concat_arrays(found)


def raise_misfit(row: int, column: str, reason: str) -> NoReturn:
    """InvalidRequest (invalid_data) that says which row, which column, and why."""
    raise InvalidRequest(
        f"Row {row}, column '{column}': {reason}.",
        code=ErrorCode.INVALID_DATA,
        details={"row": row, "column": column, "reason": reason},
    )


def _read(values: Any, one: pa.Field, read: Callable[[Any, pa.DataType], pa.Array]) -> pa.Array:
    found = read(values, one.type)
    if found.null_count and not one.nullable:
        raise MisfitError("it must not be null")
    return found
