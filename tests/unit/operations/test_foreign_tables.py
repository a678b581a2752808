"""SQL over tables of another catalog answers what it answers over a copy of them in the lake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import event, given, note, settings
from hypothesis import strategies as st

from flight_server.assemble import assemble
from flight_server.auth.access import ANONYMOUS
from flight_server.engines.base import SupportsIngest, require
from flight_server.errors import InvalidRequest
from flight_server.model import Author, IngestMode, IngestRequest, SqlRequest, TableRef
from flight_server.operations import Call, Services, query
from flight_server.testing.types import CASES, TypeCase
from tests.fix_foreign import WatchedEngine, mounted
from tests.fix_views import quiet_settings

CALL = Call(ANONYMOUS, "r")
CATALOGS = ("memory", "lake")
# An example takes some hundred milliseconds.
OFTEN = settings(max_examples=2 * settings().max_examples)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder: Path = tmp_path_factory.mktemp("foreign")
    with closing(assemble(quiet_settings(folder))) as services, mounted(services):
        yield services


def put(services: Services, catalog: str, name: str, rows: pa.Table) -> str:
    """The table with these rows and no others, as SQL names it."""
    engine = require(services.engine(catalog), SupportsIngest)
    table = TableRef(catalog, "main", name)
    request = IngestRequest(IngestMode.OVERWRITE, create_if_missing=True)
    engine.ingest(table, request, rows.to_reader(), Author("test"))
    return f"{catalog}.main.{name}"


def asked(services: Services, text: str) -> pa.Table:
    return query(services, CALL, SqlRequest(text)).read_all()


TEXTS = [
    "SELECT {t}.v AS v, n + 0 AS n FROM {t} ORDER BY n",
    "SELECT count(v) AS c, max(n) AS n FROM {t}",
    "SELECT a.v AS v FROM {t} a JOIN {t} b USING (n) ORDER BY n",
    "SELECT typeof(v) AS k, CAST(v AS VARCHAR) AS c FROM {t} ORDER BY n",
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_type_is_to_sql_what_it_is_in_the_lake(services: Services, case: TypeCase) -> None:
    rows = case.table(case.values)
    name = f"typed_{CASES.index(case)}"
    try:
        lake = put(services, "lake", name, rows)
    except InvalidRequest:
        lake = ""
    try:
        memory = put(services, "memory", name, rows)
    except InvalidRequest:
        assert not lake
        return
    if not lake:
        assert asked(services, f"SELECT sum(n) AS n FROM {memory}").num_rows == 1
        with pytest.raises(InvalidRequest, match="SQL cannot read the column 'v', whose type is"):
            asked(services, f"SELECT v, n + 0 FROM {memory}")
        return
    for text in TEXTS:
        found, wanted = (_answer(services, text.format(t=table)) for table in (memory, lake))
        assert found == wanted


def _answer(services: Services, text: str) -> tuple[Any, ...]:
    """The schema and the rows, or the error."""
    try:
        found = asked(services, text)
    except InvalidRequest as error:
        return error.code, error.message
    return found.schema, repr(found.to_pylist())


NUMBERS = st.none() | st.integers(-3, 3)
# Quarters are exact in binary.
REALS = st.none() | st.just(float("nan")) | st.integers(-4, 4).map(lambda one: one / 4)
WORDS = st.none() | st.sampled_from(["", "a", "A", "b", "ab", "é"])
SCHEMA = pa.schema([("k", pa.int64()), ("x", pa.float64()), ("w", pa.string()), ("i", pa.int16())])


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.lists(st.tuples(NUMBERS, REALS, WORDS, NUMBERS), max_size=8))
    named = [dict(zip(SCHEMA.names, row, strict=True)) for row in rows]
    return pa.Table.from_pylist(named, SCHEMA)


@st.composite
def conditions(draw: st.DrawFn, of: str) -> str:
    """A condition on columns of one table, or of both."""
    k, x, w, i = (f"{of}{name}" for name in SCHEMA.names)
    number = draw(st.integers(-3, 3))
    word = draw(st.sampled_from(["", "a", "A", "é"]))
    simple = st.sampled_from(
        [
            f"{k} = {number}",
            f"{k} <> {number}",
            f"{number} < {k}",
            f"{i} >= {number}",
            f"{k} BETWEEN {number} AND 2",
            f"{k} IN ({number}, 1)",
            f"{k} NOT IN ({number}, 1)",
            f"{k} IS NULL",
            f"{w} IS NOT NULL",
            f"{w} = '{word}'",
            f"{w} <> '{word}'",
            f"{w} IN ('{word}', 'b')",
            f"{w} < '{word}'",
            f"{x} > 0.5",
            f"{x} = 'nan'",
            f"{x} <= {number}",
            f"{k} + {i} > {number}",
            f"{k} = {i}",
            f"{k} = {number}.5",
        ]
    )
    first, second = draw(simple), draw(simple)
    return draw(
        st.sampled_from(
            [first, f"{first} AND {second}", f"({first} OR {second})", f"NOT ({first})"]
        )
    )


JOINS = ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN"]


@st.composite
def selects(draw: st.DrawFn) -> str:
    """A SELECT over `{t}` and `kept`, whose rows can be compared whatever their order."""
    where = draw(conditions(""))
    mine, other = draw(conditions("t.")), draw(conditions("o."))
    join = draw(st.sampled_from(JOINS))
    one_sided = join in ("SEMI JOIN", "ANTI JOIN")
    shown = "t.k, t.w" if one_sided else "t.k, t.x, o.k AS ok, o.w"
    both = mine if one_sided else draw(st.sampled_from([mine, f"{mine} AND {other}", other]))
    left, right = draw(st.permutations(["{t}", "kept"])) if draw(st.booleans()) else ["{t}", "{t}"]
    return draw(
        st.sampled_from(
            [
                f"SELECT k, x, w, i FROM {{t}} WHERE {where}",
                f"SELECT w, x FROM {{t}} AS t WHERE {mine}",
                f"SELECT count(*) AS n FROM (SELECT k + 1 FROM {{t}} WHERE {where} LIMIT 2)",
                f"SELECT count(*) AS n, sum(k) AS s, max(x) AS m FROM {{t}} WHERE {where}",
                f"SELECT w, count(*) AS n, max(x) AS m FROM {{t}} WHERE {where} GROUP BY w",
                f"SELECT {shown} FROM {left} AS t {join} {right} AS o ON t.k = o.k WHERE {both}",
                f"SELECT k FROM kept WHERE k IN (SELECT i FROM {{t}} WHERE {where})",
                f"SELECT k FROM kept AS o WHERE EXISTS "
                f"(FROM {{t}} AS t WHERE t.k = o.k AND {mine})",
                f"WITH c AS (FROM {{t}} WHERE {where}) "
                f"SELECT a.k, b.w FROM c a, c b WHERE a.i = b.i",
                f"SELECT k FROM {{t}} WHERE {where} UNION ALL "
                f"SELECT i FROM {{t}} AS t WHERE {mine}",
            ]
        )
    )


@OFTEN
@given(rows=tables(), kept=tables(), text=selects())
def test_a_select_answers_what_it_answers_over_a_copy(
    services: Services, rows: pa.Table, kept: pa.Table, text: str
) -> None:
    memory = services.engine("memory")
    assert isinstance(memory, WatchedEngine)
    memory.forget()
    put(services, "lake", "kept", kept)
    answers = []
    for catalog in CATALOGS:
        table = put(services, catalog, "random", rows)
        found = asked(services, text.format(t=table))
        answers.append((found.schema, sorted(map(repr, found.to_pylist()))))
    note(f"{text} over {rows.to_pylist()} and {kept.to_pylist()}")
    assert answers[0] == answers[1]
    assert memory.open == 0
    event("something was pushed down" if any(one.filter for one in memory.asked) else "nothing")
