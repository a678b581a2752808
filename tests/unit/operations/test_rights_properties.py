"""Random grants and random SQL that writes, against the pure policy over plain rows.

Each statement is text and, beside it, what it means in Python. The oracle asks the policy which
columns and rows somebody may read and write, and says from plain rows whether the statement is
allowed and what becomes of the table. Then the same statement runs in a world where all that the
grants do not show is different: whoever has them must not be able to tell the two apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from flight_server.assemble import assemble
from flight_server.auth import Access, Action, Decision, Grant, fixed, may
from flight_server.auth.access import ANONYMOUS
from flight_server.errors import PixelflightError
from flight_server.model import Author, Principal, SqlRequest, TableRef
from flight_server.operations import Call, Services
from flight_server.operations.query import query
from flight_server.operations.statements import execute
from flight_server.setting_values import Durability
from flight_server.settings import Settings

Row = tuple[Any, ...]
COLUMNS = ("id", "a", "b")
# Some of the last column are too large for the arithmetic below.
ROWS: list[Row] = [(0, 0, 8), (1, 1, 9), (2, 0, 12), (3, 1, 13), (4, 0, 70), (7, 1, 50)]
FACTOR, INTEGER_MAX = 100_000_000, 2**31 - 1
LIMITS: Mapping[str, tuple[str, Callable[[Row], bool]]] = {
    "id < 3": ("id", lambda row: row[0] is not None and row[0] < 3),
    "A = 0": ("a", lambda row: bool(row[1] == 0)),
    "b > 11": ("b", lambda row: row[2] is not None and row[2] > 11),
}
TABLE = TableRef("lake", "main", "t")
ANN = Principal("key:ann", "ann", frozenset({"limited"}))
VERBS = ("update", "update", "update", "delete", "insert", "insert select", "merge")
WRITES = (Action.INSERT, Action.UPDATE, Action.DELETE)
# An example takes a few milliseconds, and most statements are refused.
OFTEN = settings(max_examples=4 * settings().max_examples)


@dataclass(frozen=True)
class Value:
    """An expression: its text, the columns it uses, and what it gives for a row."""

    sql: str
    uses: frozenset[str]
    of: Callable[[Row, list[Row]], Any]
    overflows: Callable[[Row], bool] = lambda row: False


@dataclass(frozen=True)
class Act:
    """A statement. `columns` are set or inserted, `where` picks rows, `values` has what is set."""

    verb: str
    sql: str
    columns: tuple[str, ...] = ()
    values: tuple[Value, ...] = ()
    where: Value | None = None
    reads: bool = True
    named: bool = True

    @property
    def uses(self) -> frozenset[str]:
        parts = (*self.values, *((self.where,) if self.where else ()))
        return frozenset[str]().union(*(part.uses for part in parts))


@st.composite
def values(draw: st.DrawFn) -> Value:
    name, number = draw(st.sampled_from(COLUMNS)), draw(st.integers(0, 9))
    at, uses = COLUMNS.index(name), frozenset({name})
    return draw(
        st.sampled_from(
            [
                Value(str(number), frozenset(), lambda row, rows: number),
                Value(f"{name} + {number}", uses, lambda row, rows: row[at] + number),
                Value(f"t.{name}", uses, lambda row, rows: row[at]),
                Value(
                    f"(SELECT max({name}) FROM t)",
                    uses,
                    lambda row, rows: max((one[at] for one in rows), default=None),
                ),
            ]
        )
    )


@st.composite
def conditions(draw: st.DrawFn) -> Value:
    name, number = draw(st.sampled_from(COLUMNS)), draw(st.integers(0, 14))
    at, uses = COLUMNS.index(name), frozenset({name})
    return draw(
        st.sampled_from(
            [
                Value(f"{name} < {number}", uses, lambda row, rows: row[at] < number),
                Value(
                    f"{name} * {FACTOR} < {number * FACTOR}::BIGINT",
                    uses,
                    lambda row, rows: row[at] < number,
                    lambda row: row[at] * FACTOR > INTEGER_MAX,
                ),
                Value(
                    f"{name} IN (SELECT {name} FROM t WHERE {name} > {number})",
                    uses,
                    lambda row, rows: row[at] > number,
                ),
            ]
        )
    )


def where(condition: Value | None) -> str:
    return f" WHERE {condition.sql}" if condition else ""


some_columns = st.one_of(
    st.sampled_from(COLUMNS).map(lambda name: (name,)),
    st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=3, unique=True).map(tuple),
)


@st.composite
def acts(draw: st.DrawFn) -> Act:
    verb = draw(st.sampled_from(VERBS))
    columns, condition = draw(some_columns), draw(st.none() | conditions())
    given = tuple(draw(values()) for _ in columns)
    if verb == "update":
        sets = ", ".join(f"{c} = {v.sql}" for c, v in zip(columns, given, strict=True))
        return Act(verb, f"UPDATE t SET {sets}{where(condition)}", columns, given, condition)
    if verb == "delete":
        return Act(verb, f"DELETE FROM t{where(condition)}", (), (), condition)
    named = draw(st.booleans())
    columns = columns if named else COLUMNS
    names = f" ({', '.join(columns)})" if named else ""
    if verb == "insert":
        row = ", ".join("5" for _ in columns)
        five = (Value("5", frozenset(), lambda row, rows: 5),) * len(columns)
        sql = f"INSERT INTO t{names} VALUES ({row})"
        return Act(verb, sql, columns, five, reads=False, named=named)
    if verb == "insert select":
        given = tuple(draw(values()) for _ in columns)
        texts = ", ".join(value.sql for value in given)
        sql = f"INSERT INTO t{names} SELECT {texts} FROM t{where(condition)}"
        return Act(verb, sql, columns, given, condition, named=named)
    column = columns[0]
    sql = (
        "MERGE INTO t USING (VALUES (2), (6)) AS s(k) ON t.id = s.k "
        f"WHEN MATCHED THEN UPDATE SET {column} = 5 WHEN NOT MATCHED THEN INSERT (id) VALUES (k)"
    )
    return Act(verb, sql, (column,), (), None)


def to(actions: Iterable[Action], columns: frozenset[str] | None, rows: str | None) -> Grant:
    return Grant("limited", frozenset(actions), "lake", "main", "t", columns, rows)


some_names = st.none() | st.frozensets(st.sampled_from(["ID", "a", "B"]), min_size=1)
some_rows = st.none() | st.sampled_from(list(LIMITS))
reading = st.builds(to, st.just({Action.READ}), some_names, some_rows)
writing = st.tuples(
    st.builds(to, st.just({Action.INSERT, Action.UPDATE}), some_names, some_rows),
    st.builds(to, st.just({Action.DELETE}), st.none(), some_rows),
)
everything = to(WRITES, None, None)
some_actions = st.sets(st.sampled_from([Action.READ, Action.UPDATE, Action.INSERT]), min_size=1)
mixed = st.builds(to, some_actions, some_names, some_rows)
# Whoever has little is refused nearly everything, so mostly one thing is limited at a time.
grant_lists = st.one_of(
    st.tuples(reading, st.just(everything)),
    st.builds(lambda written: (to({Action.READ}, None, None), *written), writing),
    st.builds(lambda rows: (to({Action.READ, *WRITES}, None, rows),), some_rows),
    st.lists(mixed, min_size=1, max_size=3).map(tuple),
)


@dataclass(frozen=True)
class Rights:
    """What the policy says of the table."""

    held: tuple[Grant, ...]

    def of(self, action: Action) -> Decision:
        return may(ANN, action, TABLE, self.held)

    def columns(self, action: Action) -> frozenset[str]:
        found = self.of(action).columns
        return frozenset(COLUMNS) if found is None else found

    def holds(self, action: Action, row: Row) -> bool:
        limits = self.of(action).rows
        return limits is None or any(LIMITS[limit][1](row) for limit in limits)

    def judged_by(self, *actions: Action) -> set[str]:
        """The columns that say which rows somebody may do this with."""
        return {LIMITS[limit][0] for action in actions for limit in self.of(action).rows or ()}

    def inserts(self, columns: tuple[str, ...]) -> bool:
        decision = self.of(Action.INSERT)
        inside = set(columns) <= self.columns(Action.INSERT)
        return decision.allowed and decision.rows is None and inside

    def allow(self, act: Act) -> bool:
        if act.reads and not (
            self.of(Action.READ).allowed and act.uses <= self.columns(Action.READ)
        ):
            return False
        if act.verb == "delete":
            return self.of(Action.DELETE).allowed
        if act.verb == "update":
            return (
                self.of(Action.UPDATE).allowed
                and set(act.columns) <= self.columns(Action.UPDATE)
                and not set(act.columns) & self.judged_by(Action.READ, Action.UPDATE)
            )
        if act.verb != "merge":
            return self.inserts(act.columns)
        read, update = self.of(Action.READ), self.of(Action.UPDATE)
        whole = read.rows is None and self.columns(Action.READ) == set(COLUMNS)
        sets = update.allowed and update.rows is None
        inside = set(act.columns) <= self.columns(Action.UPDATE)
        return whole and sets and inside and self.inserts(("id",))


def expected(rights: Rights, act: Act, rows: list[Row]) -> tuple[int, list[Row]]:
    """How many rows an allowed statement touches, and the table after it."""
    seen = [row for row in rows if rights.holds(Action.READ, row)]
    met = [row for row in seen if act.where is None or act.where.of(row, seen)]
    if act.verb == "merge":
        at = COLUMNS.index(act.columns[0])
        changed = [(*row[:at], 5, *row[at + 1 :]) if row[0] == 2 else row for row in rows]
        return 2, [*changed, (6, None, None)]
    if act.verb.startswith("insert"):
        met = met if act.reads else [()]
        given = [
            dict(zip(act.columns, (v.of(row, seen) for v in act.values), strict=True))
            for row in met
        ]
        return len(met), [*rows, *(tuple(map(one.get, COLUMNS)) for one in given)]
    action = Action.DELETE if act.verb == "delete" else Action.UPDATE
    met = [row for row in met if rights.holds(action, row)]
    rest = [row for row in rows if row not in met]
    if act.verb == "delete":
        return len(met), rest
    for row in met:
        set_to = {c: v.of(row, seen) for c, v in zip(act.columns, act.values, strict=True)}
        rest.append(tuple(set_to.get(c, old) for c, old in zip(COLUMNS, row, strict=True)))
    return len(met), rest


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("rights")
    quiet = Settings(data=folder, durability=Durability.NONE, housekeeping_seconds=0, threads=1)
    with closing(assemble(quiet)) as services:
        root = Call(ANONYMOUS, "r")
        execute(services, root, SqlRequest("CREATE TABLE t (id INTEGER, a INTEGER, b INTEGER)"))
        given = ", ".join(map(str, ROWS))
        execute(services, root, SqlRequest(f"INSERT INTO t VALUES {given}"))
        yield services


@dataclass(frozen=True)
class Outcome:
    """What somebody is told of a statement, and the table after it."""

    told: tuple[str, object]
    rows: list[Row]


def outcome(services: Services, rights: Rights, act: Act, *before: str) -> Outcome:
    """Runs it in a transaction that is given up, after what the administrator does in it."""
    limited = replace(services, access=Access(fixed({"limited": rights.held})))
    lake: Any = services.engines["lake"]
    with lake.transaction(Author("test")) as transaction:
        root = Call(ANONYMOUS, "r", transaction=transaction)
        for sql in before:
            execute(services, root, SqlRequest(sql))
        try:
            done = execute(limited, replace(root, principal=ANN), SqlRequest(act.sql))
            told: tuple[str, object] = ("rows", done.rows)
        except PixelflightError as error:
            told = (str(error.code), error.message)
        found = query(services, root, SqlRequest("SELECT t.* FROM t")).read_all().to_pylist()
        transaction.rollback()
    return Outcome(told, [tuple(row.values()) for row in found])


def other_world(rights: Rights) -> tuple[list[str], set[str]]:
    """Makes all that is hidden another: rows are gone, columns hold something else."""
    hidden = set(COLUMNS) - rights.columns(Action.READ)
    judging = rights.judged_by(Action.READ, *WRITES)
    unseen = [str(row[0]) for row in ROWS if not rights.holds(Action.READ, row)]
    changes = [f"UPDATE t SET {name} = {name} + 100" for name in sorted(hidden - judging - {"id"})]
    return [f"DELETE FROM t WHERE id IN ({', '.join([*unseen, '-1'])})", *changes], hidden


@OFTEN
@given(held=grant_lists, act=acts())
def test_sql_that_writes_does_what_the_policy_says(
    services: Services, held: tuple[Grant, ...], act: Act
) -> None:
    rights = Rights(held)
    seen = [row for row in ROWS if rights.holds(Action.READ, row)]
    found = outcome(services, rights, act)
    passed = found.told[0] == "rows"
    event(f"{act.verb}: {found.told[0]}")
    # What goes wrong in a row that may be seen may be told; and nothing can be read of no column.
    may_fail = not rights.columns(Action.READ) or (
        act.where is not None and any(map(act.where.overflows, seen))
    )
    if passed or not may_fail:
        assert passed == rights.allow(act), found.told
    if passed:
        count, rows = expected(rights, act, ROWS)
        assert found.told[1] == count
        assert Counter(found.rows) == Counter(rows)
    else:
        assert Counter(found.rows) == Counter(ROWS)


@OFTEN
@given(held=grant_lists, act=acts())
def test_what_no_grant_shows_changes_no_answer(
    services: Services, held: tuple[Grant, ...], act: Act
) -> None:
    rights = Rights(held)
    if not rights.of(Action.READ).allowed:
        return
    changes, hidden = other_world(rights)
    one, another = outcome(services, rights, act), outcome(services, rights, act, *changes)
    assert one.told == another.told
    shown = [at for at, name in enumerate(COLUMNS) if name not in hidden]

    def visible(rows: list[Row]) -> Counter[Row]:
        kept = (row for row in rows if rights.holds(Action.READ, row))
        return Counter(tuple(row[at] for at in shown) for row in kept)

    assert visible(one.rows) == visible(another.rows)
