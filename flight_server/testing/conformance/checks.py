"""Constraints and checks: enforced on every way in, and on the rows that are there."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from flight_server.engines.base import (
    SupportsTransactions,
)
from flight_server.errors import AlreadyExists, Conflict, ErrorCode, NotFound, PixelflightError
from flight_server.model import (
    COLUMN_COMMENT,
    AddColumn,
    Commit,
    CommitEvery,
    DropCheck,
    DropColumn,
    IngestMode,
    IngestRequest,
    RenameColumn,
    RetypeColumn,
    SetCheck,
    SetColumnComment,
    SetConstraint,
    SetDefault,
)
from flight_server.testing.conformance.handles import (
    AUTHOR,
    SCHEMA,
    EngineCase,
    TableHandle,
    refused,
    table_of,
    table_of_its_own,
)

CONSTRAINTS = {"amount": {"minimum": 0, "exclusiveMaximum": 100}, "name": {"maxLength": 5}}
CHECKS = {"cheap": "amount < 10 OR name IS NOT NULL"}
GOOD = [
    {"id": 1, "name": "one", "amount": 50.0},
    {"id": 2, "name": None, "amount": 5.0},
    {"id": 3, "name": None, "amount": None},
]
# Rows that violate one rule each, and what of it is told.
BAD: tuple[tuple[dict[str, Any], dict[str, str]], ...] = (
    ({"id": 9, "name": "x", "amount": -1.0}, {"column": "amount", "constraint": "minimum"}),
    (
        {"id": 9, "name": "x", "amount": 100.0},
        {"column": "amount", "constraint": "exclusiveMaximum"},
    ),
    ({"id": 9, "name": "much too long"}, {"column": "name", "constraint": "maxLength"}),
    ({"id": 9, "name": None, "amount": 10.0}, {"check": "cheap"}),
)


def violated(**details: str) -> Any:
    """Expects a violation with these details."""
    return _Violated(details)


class _Violated:
    def __init__(self, details: dict[str, str]) -> None:
        self._details = details
        self._caught = pytest.raises(PixelflightError)

    def __enter__(self) -> None:
        self._info = self._caught.__enter__()

    def __exit__(self, *error: Any) -> bool:
        if not self._caught.__exit__(*error):
            return False
        found = self._info.value
        assert found.code is ErrorCode.CHECK_VIOLATION, found.message
        assert self._details.items() <= found.details.items(), found.details
        assert all(f"'{text}'" in found.message for text in self._details.values()), found.message
        return True


class CheckTests(EngineCase):
    """Rules that rows must meet."""

    @pytest.fixture
    def ruled(self, shared_engine: Any) -> TableHandle:
        """A table with rules and rows that meet them."""
        table = table_of_its_own(shared_engine)
        table.create(key=("id",), constraints=CONSTRAINTS, checks=CHECKS)
        table.put(GOOD)
        return table

    def test_rules_are_told(self, ruled: TableHandle) -> None:
        """As they were given, under the columns' own names."""
        spec = ruled.spec()
        assert {name: dict(one) for name, one in spec.constraints.items()} == CONSTRAINTS
        assert dict(spec.checks) == CHECKS

    @pytest.mark.parametrize(("row", "told"), BAD, ids=[str(told) for _, told in BAD])
    @pytest.mark.parametrize("mode", ["append", "overwrite", "upsert", "merge"])
    def test_rows_that_come(
        self, ruled: TableHandle, mode: str, row: dict[str, Any], told: dict[str, str]
    ) -> None:
        """Are refused all together where one violates a rule, whatever is done with them."""
        with violated(**told):
            ruled.put([{"id": 8, "name": "fine"}, row], mode)
        assert ruled.ids() == [1, 2, 3]
        assert ruled.put([{"id": 8, "name": "fine", "amount": 99.0}], mode).rows == 1

    def test_the_number_of_the_row(self, ruled: TableHandle) -> None:
        """Where it is told it is the one in the stream, however that is cut."""
        rows = table_of([*({"id": 10 + at} for at in range(5)), {"id": 20, "amount": -1.0}])
        reader = pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches(2))
        with pytest.raises(PixelflightError) as caught:
            ruled.stream(reader)
        assert caught.value.details.get("row", 6) == 6

    def test_columns_that_do_not_come(self, ruled: TableHandle) -> None:
        """Are their defaults or nulls, and those are judged with what came."""
        ruled.alter(SetDefault("amount", "20.0"))
        with violated(check="cheap"):
            ruled.put({"id": [4]})
        with violated(check="cheap"):
            ruled.put({"id": [1]}, "upsert")
        ruled.put({"id": [4], "name": ["four"]})
        ruled.put({"id": [1], "name": ["eins"]}, "upsert")
        assert {row["id"]: row["amount"] for row in ruled.rows(filter="name IS NOT NULL")} == {
            1: 20.0,
            4: 20.0,
        }

    def test_a_merge_keeps_what_does_not_come(self, ruled: TableHandle) -> None:
        """A rule over what comes and what is kept sees both."""
        with violated(check="cheap"):
            ruled.put({"id": [1], "name": pa.nulls(1, pa.string())}, "merge")
        ruled.put({"id": [2], "name": pa.nulls(1, pa.string())}, "merge")
        assert ruled.ids(filter="name IS NULL") == [2, 3]

    def test_streams_with_several_commits(self, ruled: TableHandle) -> None:
        """End at the first part with a row that violates a rule; what was acknowledged stays."""
        told: list[Commit] = []
        rows = table_of([*({"id": 10 + at} for at in range(4)), {"id": 20, "amount": -1.0}])
        with violated(constraint="minimum"):
            ruled.stream(
                pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches(2)),
                commit_every=CommitEvery(rows=2),
                acknowledge=told.append,
            )
        assert len(told) == 2
        assert ruled.ids() == [1, 2, 3, 10, 11, 12, 13]

    def test_a_bad_row_of_very_many(self, ruled: TableHandle) -> None:
        """A stream that is too large to be held is judged as it comes."""
        amounts = [1.0] * 30_000 + [-1.0] + [1.0] * 30_000
        rows = pa.table({"id": range(100, 100 + len(amounts)), "amount": amounts})
        with violated(column="amount"):
            ruled.put(rows)
        with violated(column="amount"):
            ruled.put(rows, "upsert")
        assert ruled.ids() == [1, 2, 3]

    def test_updates_are_judged(self, ruled: TableHandle) -> None:
        """Are judged by the rows as they will be; those that are not updated do not matter."""
        with violated(constraint="minimum"):
            ruled.update({"amount": "amount - 10"}, "id < 3")
        with violated(check="cheap"):
            ruled.update({"name": "NULL"})
        with violated(check="cheap"):
            ruled.update({"amount": "amount + 40"}, "id = 2")
        assert ruled.update({"amount": "amount + 40"}, "id = 1").rows_updated == 1
        assert ruled.update({"id": "id + 10"}).rows_updated == 3
        assert ruled.update({"amount": "NULL", "name": "NULL"}).rows_updated == 3

    def test_a_new_constraint(self, ruled: TableHandle) -> None:
        """Is refused where a row does not meet it, and holds from then on otherwise."""
        with violated(column="amount", constraint="maximum"):
            ruled.alter(SetConstraint("amount", {"maximum": 10}))
        ruled.alter(SetConstraint("AMOUNT", {"maximum": 60}))
        assert dict(ruled.spec().constraints["amount"]) == {"maximum": 60}
        with violated(constraint="maximum"):
            ruled.put([{"id": 4, "name": "x", "amount": 61.0}])
        ruled.put([{"id": 4, "name": "x", "amount": -5.0}])

    def test_a_new_check(self, ruled: TableHandle) -> None:
        """Is refused where a row does not meet it; one of the same name takes its place."""
        with violated(check="few"):
            ruled.alter(SetCheck("few", "id < 3"))
        ruled.alter(SetCheck("cheap", "id < 4"))
        assert dict(ruled.spec().checks) == {"cheap": "id < 4"}
        with violated(check="cheap"):
            ruled.put([{"id": 4}])

    def test_rules_go(self, ruled: TableHandle) -> None:
        """And what they kept out comes in."""
        ruled.alter(SetConstraint("amount", None), DropCheck("cheap"), SetConstraint("name", {}))
        assert (dict(ruled.spec().constraints), dict(ruled.spec().checks)) == ({}, {})
        ruled.put([row for row, _ in BAD])
        with refused(ErrorCode.NOT_FOUND, "'cheap'", error=NotFound):
            ruled.alter(DropCheck("cheap"))

    def test_rules_follow_their_columns(self, ruled: TableHandle) -> None:
        """A constraint has its column's name and goes with it; a check keeps its columns."""
        for change in (RenameColumn("amount", "price"), DropColumn("amount")):
            with refused(ErrorCode.INVALID_REQUEST, "'cheap'", "'amount'"):
                ruled.alter(change)
        ruled.alter(DropCheck("cheap"), RenameColumn("amount", "price"))
        assert list(ruled.spec().constraints) in (["price", "name"], ["name", "price"])
        with violated(column="price"):
            ruled.put({"id": [4], "price": [-1.0]})
        ruled.alter(DropColumn("price"))
        assert list(ruled.spec().constraints) == ["name"]

    def test_a_column_that_is_added(self, ruled: TableHandle) -> None:
        """Its default is judged by what is said of it in the same go."""
        level = AddColumn(pa.field("level", pa.int16()), default="7")
        with violated(column="level"):
            ruled.alter(level, SetConstraint("level", {"maximum": 5}))
        ruled.alter(
            level, SetConstraint("level", {"maximum": 10}), SetCheck("both", "level < id + 9")
        )
        with violated(column="level"):
            ruled.alter(SetDefault("level", "11"))
        ruled.put({"id": [4]})
        assert ruled.rows(filter="id = 4")[0]["level"] == 7

    def test_a_constraint_and_another_type(self, shared_engine: Any) -> None:
        """The constraint must fit the new type too."""
        schema = pa.schema([("v", pa.int32()), ("w", pa.int8())])
        table = table_of_its_own(shared_engine).create(schema, constraints={"v": {"minimum": 0}})
        table.alter(RetypeColumn("v", pa.int64()))
        with violated(constraint="minimum"):
            table.put(pa.table({"v": pa.array([-1], pa.int64())}))

    @pytest.mark.parametrize("predicate", ["id +", "nope > 1", "id + 1"])
    def test_checks_that_cannot_be(self, ruled: TableHandle, predicate: str) -> None:
        """Are refused, and the table stays as it was."""
        with pytest.raises(PixelflightError):
            ruled.alter(SetCheck("odd", predicate))
        assert dict(ruled.spec().checks) == CHECKS

    def test_comments_of_columns(self, ruled: TableHandle) -> None:
        """Are kept in the field's metadata; an empty one goes."""
        ruled.alter(SetColumnComment("NAME", "who it is"))
        assert ruled.schema().field("name").metadata == {COLUMN_COMMENT: b"who it is"}
        ruled.alter(SetColumnComment("name", ""))
        assert ruled.schema().equals(SCHEMA, check_metadata=True)

    def test_old_rules_with_old_rows(self, ruled: TableHandle) -> None:
        """A restored version has the rules that it had, which its rows meet."""
        engine: Any = ruled.engine
        before = engine.snapshot()
        ruled.alter(DropCheck("cheap"), SetConstraint("amount", None))
        ruled.put([BAD[0][0]])
        engine.restore(ruled.ref, before, AUTHOR)
        assert dict(ruled.spec().checks) == CHECKS
        with violated(check="cheap"):
            ruled.put([BAD[3][0]])

    def test_rules_in_a_transaction(self, ruled: TableHandle) -> None:
        """Hold from when they are made, for what was written before them too."""
        engine: SupportsTransactions = ruled.engine
        with (
            violated(check="few"),
            engine.transaction(AUTHOR) as transaction,
        ):
            _put_within(transaction, ruled, [{"id": 4}])
            transaction.alter_table(ruled.ref, [SetCheck("few", "id < 4")], AUTHOR)
        with violated(check="few"), engine.transaction(AUTHOR) as transaction:
            transaction.alter_table(ruled.ref, [SetCheck("few", "id < 4")], AUTHOR)
            _put_within(transaction, ruled, [{"id": 4}])
        assert dict(ruled.spec().checks) == CHECKS
        with engine.transaction(AUTHOR) as transaction:
            _put_within(transaction, ruled, [{"id": 4}])
            transaction.alter_table(ruled.ref, [SetCheck("few", "id < 5")], AUTHOR)
        assert ruled.ids() == [1, 2, 3, 4]

    def test_a_new_rule_and_rows_of_others(self, ruled: TableHandle) -> None:
        """Rows that come in between were not judged by it: one of the two is a conflict."""
        engine: SupportsTransactions = ruled.engine
        with engine.transaction(AUTHOR) as transaction:
            transaction.alter_table(ruled.ref, [SetCheck("few", "id < 4")], AUTHOR)
            ruled.put([{"id": 4}])
            with pytest.raises(Conflict):
                transaction.commit()
        with engine.transaction(AUTHOR) as transaction:
            _put_within(transaction, ruled, [{"id": 5}])
            ruled.alter(SetCheck("few", "id < 5"))
            with pytest.raises(Conflict):
                transaction.commit()
        assert ruled.ids() == [1, 2, 3, 4]

    def test_create_with_rules_is_all_or_nothing(self, ruled: TableHandle) -> None:
        """A table that is there keeps its own."""
        with pytest.raises(AlreadyExists):
            ruled.create(checks={"other": "id > 0"})
        assert dict(ruled.spec().checks) == CHECKS


def _put_within(transaction: Any, table: TableHandle, rows: list[dict[str, Any]]) -> None:
    request = IngestRequest(mode=IngestMode.APPEND)
    transaction.ingest(table.ref, request, table_of(rows).to_reader(), AUTHOR)
