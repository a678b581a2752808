"""Random views over random tables, for readers with random limits, against the SQL written out.

What a view shows somebody is what its SELECT in its place would show, and where that cannot be
read the view cannot either, and says so without naming anything below it. Rights on the view's own
name narrow it further.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from flight_server.assemble import assemble
from flight_server.auth import Access, Action, Grant, fixed
from flight_server.auth.access import ANONYMOUS
from flight_server.errors import ErrorCode, PixelflightError
from flight_server.model import Author, Principal, ScanRequest, SqlRequest, TableRef
from flight_server.operations import Call, Services, execute, query, scan, seen_through, sources
from flight_server.query import Source
from tests.fix_views import quiet_settings

ROOT = Call(ANONYMOUS, "r")
ANN = Principal("key:ann", "ann", frozenset({"limited"}))
READ = frozenset({Action.READ})
COLUMNS = {"p": ("id", "a", "b"), "q": ("key", "c")}
FILTERS = {"p": ("id < 3", "A = 0", "b > 11 AND id > 0"), "q": ("c < 40", "key <> 1")}
VIEW_FILTERS = ("x > 10", "x IS NOT NULL", "y < 100")
# An example takes some fifty milliseconds.
OFTEN = settings(max_examples=2 * settings().max_examples)


@dataclass(frozen=True)
class Limits:
    """What somebody may read of each table and of the view; a table that is left out is hidden."""

    grants: tuple[Grant, ...]
    view_columns: frozenset[str] | None
    view_rows: str | None


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    grants = []
    for table, columns in COLUMNS.items():
        if draw(st.integers(0, 7)) == 0:
            continue
        some = st.sets(st.sampled_from(columns), min_size=1).map(frozenset)
        shown = draw(st.none() | some)
        rows = draw(st.none() | st.sampled_from(FILTERS[table]))
        grants.append(Grant("limited", READ, "lake", "main", table, shown, rows))
    some = st.sets(st.sampled_from(("x", "y")), min_size=1).map(frozenset)
    return Limits(
        tuple(grants),
        draw(st.none() | some),
        draw(st.none() | st.sampled_from(VIEW_FILTERS)),
    )


@st.composite
def selects(draw: st.DrawFn) -> str:
    """A SELECT of two columns, x and y."""
    x, y = (draw(st.sampled_from(("id", "a", "b", "a + b", "id * 10"))) for _ in "xy")
    where = draw(st.sampled_from(("", " WHERE id > 1", " WHERE b < 60", " WHERE a * id >= 0")))
    return draw(
        st.sampled_from(
            (
                f"SELECT {x} AS x, {y} AS y FROM p{where}",
                f"SELECT max({x}) AS x, count(*) AS y FROM p{where}",
                f"SELECT {x} AS x, sum({y}) AS y FROM p{where} GROUP BY 1",
                f"SELECT {x} AS x, c AS y FROM p JOIN q ON q.key = p.id{where}",
                f"SELECT {x} AS x, (SELECT max(c) FROM q) AS y FROM p{where}",
                f"WITH w AS (SELECT * FROM p{where}) SELECT {x} AS x, {y} AS y FROM w",
                f"SELECT {x} AS x, {y} AS y FROM p UNION ALL SELECT key, c FROM q",
                "SELECT * FROM (SELECT id AS x, a AS y FROM p)",
                "SELECT * RENAME (key AS x, c AS y) FROM q",
                "SELECT key AS x, key AS y FROM q WHERE key IN (SELECT id FROM p)",
            )
        )
    )


@st.composite
def definitions(draw: st.DrawFn) -> tuple[str, str, str]:
    """A view below, one over it or over the tables, and the latter with the former written out."""
    below, over = draw(selects()), draw(selects())
    if draw(st.booleans()):
        return below, over, over
    how = draw(
        st.sampled_from(
            (
                "SELECT x, y FROM {} WHERE x > 2",
                "SELECT y AS x, x AS y FROM {}",
                "SELECT v.* FROM {} v",
                "SELECT x, count(y) AS y FROM {} GROUP BY x",
                "SELECT l.x, r.y FROM {} l JOIN {} r ON l.x = r.x",
            )
        )
    )
    return (
        below,
        how.replace("{}", "below"),
        how.replace("{} ", f"({below}) ").replace("{}", f"({below})"),
    )


questions = st.sampled_from(
    (
        "SELECT * FROM {}",
        "SELECT x FROM {} WHERE x < 50",
        "SELECT y, count(*) FROM {} GROUP BY y",
        "SELECT max(x) FROM {} t WHERE t.x IS NOT NULL",
        "SELECT one.x FROM {} one JOIN {} two ON one.x = two.x",
    )
)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder: Path = tmp_path_factory.mktemp("views")
    with closing(assemble(quiet_settings(folder))) as services:
        for sql in (
            "CREATE TABLE p (id INTEGER, a INTEGER, b INTEGER)",
            "INSERT INTO p VALUES (0, 0, 8), (1, 1, 9), (2, 0, 12), (3, 1, 13), (4, 0, 70)",
            "CREATE TABLE q (key INTEGER, c INTEGER)",
            "INSERT INTO q VALUES (1, 10), (2, 20), (4, 40), (9, 90)",
        ):
            execute(services, ROOT, SqlRequest(sql))
        yield services


def told(work: Any) -> tuple[str, Any]:
    """The rows, in an order that depends on nothing else; or the error."""
    try:
        table = work()
    except PixelflightError as error:
        return "error", error
    rows = sorted((tuple(row.values()) for row in table.to_pylist()), key=repr)
    return "rows", (table.schema.names, rows)


def granted(limits: Limits, view: str) -> tuple[Grant, ...]:
    """The limits, with the right to read the views."""
    own = Grant("limited", READ, "lake", "main", view, limits.view_columns, limits.view_rows)
    return (*limits.grants, own, Grant("limited", READ, "lake", "main", "below"))


def written_out(limits: Limits, sql: str) -> str:
    """What stands for a view with limits of its own.

    Where all columns may be seen, they are those that there are: of a view that says `*` that may
    be fewer for somebody who does not see all of the table.
    """
    shown = limits.view_columns or frozenset("xy")
    names = ", ".join(shown) if len(shown) == 1 else "*"
    where = f" WHERE ({limits.view_rows})" if limits.view_rows else ""
    return f"(SELECT {names} FROM ({sql}) AS inner_view{where})"


@OFTEN
@given(limits=limits(), views=definitions(), question=questions)
def test_a_view_is_the_select_in_its_place(
    services: Services, limits: Limits, views: tuple[str, str, str], question: str
) -> None:
    holds(services, limits, views, question)


def holds(services: Services, limits: Limits, views: tuple[str, str, str], question: str) -> None:
    below, over, flat = views
    limited = replace(services, access=Access(fixed({"limited": granted(limits, "over")})))
    lake: Any = services.engines["lake"]
    with lake.transaction(Author("test")) as transaction:
        root = replace(ROOT, transaction=transaction)
        for name, sql in (("below", below), ("over", over)):
            execute(services, root, SqlRequest(f"CREATE VIEW {name} AS {sql}"))
        ann = replace(root, principal=ANN)

        def asked(source: str) -> tuple[str, Any]:
            sql = question.replace("{}", source)
            return told(lambda: query(limited, ann, SqlRequest(sql)).read_all())

        shown, expected = asked("over"), asked(written_out(limits, flat))
        scanned = told(lambda: scan(limited, ann, TableRef.of("over"), ScanRequest()).read_all())
        everything = told(
            lambda: query(limited, ann, SqlRequest(f"FROM {written_out(limits, flat)}")).read_all()
        )
        transaction.rollback()
    event(f"{shown[0]} instead of {expected[0]}")
    compare(shown, expected)
    compare(scanned, everything)
    # A question may be wrong in itself; that of a scan is not, so the view is all it can be about.
    assert scanned[0] == "rows" or scanned[1].code is ErrorCode.VIEW_UNREADABLE, scanned


def compare(shown: tuple[str, Any], expected: tuple[str, Any]) -> None:
    assert shown[0] == expected[0], (shown, expected)
    if shown[0] == "rows":
        assert shown == expected
        return
    error = shown[1]
    if error.code is ErrorCode.VIEW_UNREADABLE:
        assert not any(name in error.message for name in ("'p'", "'q'", " id", " key")), error


def read_by_somebody_else(patch: pytest.MonkeyPatch) -> None:
    """What is below a view is read with the rights of its maker."""

    def sources_of_root(services: Services, call: Call, *rest: Any, **more: Any) -> Any:
        whole = replace(services, access=Access(fixed({})))
        return sources.Sources(whole, replace(call, principal=ANONYMOUS), *rest, **more)

    patch.setattr(seen_through, "Sources", sources_of_root)


def without_its_own_filter(patch: pytest.MonkeyPatch) -> None:
    """The filter on the view's own name is forgotten."""

    def unfiltered(view: TableRef, columns: Any, row_filter: Any, *, query: str) -> Source:
        return Source(view, columns, None, query=query)

    patch.setattr(seen_through, "Source", unfiltered)


def naming_what_is_below(patch: pytest.MonkeyPatch) -> None:
    """What is in the way is told as it was found."""
    patch.setattr(seen_through, "unreadable_by", lambda view, error: error)


@pytest.mark.parametrize(
    "hole", [read_by_somebody_else, without_its_own_filter, naming_what_is_below]
)
def test_a_hole_is_found(
    services: Services, monkeypatch: pytest.MonkeyPatch, hole: Callable[..., None]
) -> None:
    @settings(
        OFTEN, max_examples=1000, phases=[Phase.generate], report_multiple_bugs=False, database=None
    )
    @given(limits(), definitions(), questions)
    def looked_for(limits: Limits, views: tuple[str, str, str], question: str) -> None:
        holds(services, limits, views, question)

    hole(monkeypatch)
    with pytest.raises(AssertionError):
        looked_for()
