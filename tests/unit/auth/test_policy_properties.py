"""Random grants and requests against an oracle that counts single cells.

The world is small enough to be written out: every table has columns a, b, c and rows 0 to 3, and
each predicate stands for the rows it names. The oracle decides cell by cell and grant by grant;
it shares no code with the policy.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from flight_server.auth import (
    BUILT_IN_ROLES,
    SERVER,
    Action,
    CatalogRef,
    Decision,
    Grant,
    Resource,
    may,
)
from flight_server.model import NamespaceRef, Principal, TableRef

CATALOGS = ("lake", "films")
NAMESPACES = ("main", "a", "a/b", "a/b/c", "ab")
TABLES = ("t", "u")
COLUMNS = ("a", "b", "c")
ROWS = {"even": {0, 2}, "small": {0, 1}, "last": {3}}
ALL_ROWS = {0, 1, 2, 3}
ROLES = ("red", "green", "blue")
Cell = tuple[str, int]

tables = st.builds(
    TableRef, st.sampled_from(CATALOGS), st.sampled_from(NAMESPACES), st.sampled_from(TABLES)
)
resources = st.one_of(
    tables,
    st.builds(NamespaceRef, st.sampled_from(CATALOGS), st.sampled_from(NAMESPACES)),
    st.builds(CatalogRef, st.sampled_from(CATALOGS)),
    st.just(SERVER),
)
principals = st.builds(
    Principal, st.just("key:1"), st.just("ann"), st.frozensets(st.sampled_from(ROLES))
)
actions = st.sampled_from(list(Action))
row_actions = st.sampled_from([Action.READ, Action.INSERT, Action.UPDATE])


def scoped(actions: st.SearchStrategy[Action], **limits: st.SearchStrategy[object]) -> object:
    return st.builds(
        Grant,
        role=st.sampled_from(ROLES),
        actions=st.frozensets(actions, min_size=1, max_size=3),
        catalog=st.none() | st.sampled_from(CATALOGS),
        namespace=st.none() | st.sampled_from(NAMESPACES),
        table=st.none() | st.sampled_from(TABLES),
        **limits,
    )


limited_grants: st.SearchStrategy[Grant] = scoped(  # type: ignore[assignment]
    row_actions,
    columns=st.none() | st.frozensets(st.sampled_from(COLUMNS), min_size=1),
    rows=st.none() | st.sampled_from(list(ROWS)),
)
whole_grants: st.SearchStrategy[Grant] = scoped(actions)  # type: ignore[assignment]
grant_lists = st.lists(st.one_of(limited_grants, whole_grants), max_size=5)


def in_scope(grant: Grant, table: TableRef) -> bool:
    """By the parts of the names, one after the other."""
    if grant.catalog not in (None, table.catalog) or grant.table not in (None, table.name):
        return False
    if grant.namespace is None or grant.namespace == table.namespace:
        return True
    outer = grant.namespace.split("/")
    nested = table.namespace.split("/")[: len(outer)] == outer
    return nested and grant.table is None


def counts(grant: Grant, principal: Principal, action: Action) -> bool:
    return grant.role in principal.roles and bool(grant.actions & {action, Action.ADMIN})


def opened(grant: Grant) -> set[Cell]:
    return set(product(grant.columns or COLUMNS, ROWS[grant.rows] if grant.rows else ALL_ROWS))


def rows_of(decision: Decision) -> set[int]:
    if decision.rows is None:
        return ALL_ROWS
    return set[int]().union(*(ROWS[text] for text in decision.rows))


def cells(decision: Decision) -> set[Cell]:
    columns = [name for name in COLUMNS if decision.permits_column(name)]
    return set(product(columns, rows_of(decision)))


@given(principals, row_actions, tables, grant_lists)
def test_no_cell_is_shown_that_no_single_grant_shows(
    principal: Principal, action: Action, table: TableRef, grants: list[Grant]
) -> None:
    mine = [g for g in grants if counts(g, principal, action) and in_scope(g, table)]
    decision = may(principal, action, table, grants)
    union = set[Cell]().union(*map(opened, mine))
    assert cells(decision) <= union
    assert decision.allowed == bool(mine)
    # The rectangles themselves are the union to the cell.
    exact = (cells(Decision(True, (permit,))) for permit in decision.permits)
    assert set[Cell]().union(*exact) == union


@given(principals, row_actions, tables, grant_lists, st.frozensets(st.sampled_from(COLUMNS)))
def test_a_request_gets_exactly_the_rows_that_one_grant_shows_all_its_columns_of(
    principal: Principal,
    action: Action,
    table: TableRef,
    grants: list[Grant],
    used: frozenset[str],
) -> None:
    expected: set[int] = set()
    for grant in grants:
        if counts(grant, principal, action) and in_scope(grant, table):
            shown = opened(grant)
            expected |= {
                row
                for row in {row for _, row in shown}
                if all((column, row) in shown for column in used)
            }
    assert rows_of(may(principal, action, table, grants).using(used)) == expected


@given(principals, tables, grant_lists)
def test_a_table_is_visible_exactly_where_some_grant_reaches_it(
    principal: Principal, table: TableRef, grants: list[Grant]
) -> None:
    reached = any(g.role in principal.roles and in_scope(g, table) for g in grants)
    for action in Action:
        assert may(principal, action, table, grants).visible == reached


@given(principals, grant_lists, st.sampled_from(CATALOGS), st.sampled_from(NAMESPACES))
def test_what_holds_a_visible_table_is_visible(
    principal: Principal, grants: list[Grant], catalog: str, namespace: str
) -> None:
    """And what holds none that could be, is not."""
    inside = [
        TableRef(catalog, name, table)
        for name in NAMESPACES
        if name == namespace or name.startswith(namespace + "/")
        for table in TABLES
    ]
    seen = any(may(principal, Action.READ, table, grants).visible for table in inside)
    around = NamespaceRef(catalog, namespace)
    assert may(principal, Action.READ, around, grants).visible == seen


@given(principals, actions, resources, grant_lists, st.one_of(limited_grants, whole_grants))
def test_one_more_grant_never_takes_anything_away(
    principal: Principal, action: Action, resource: Resource, grants: list[Grant], more: Grant
) -> None:
    before = may(principal, action, resource, grants)
    after = may(principal, action, resource, [*grants, more])
    assert after.allowed >= before.allowed
    assert after.visible >= before.visible
    assert rows_of(after) >= rows_of(before)
    for used in subsets(COLUMNS):
        assert rows_of(after.using(used)) >= rows_of(before.using(used))


@given(principals, actions, resources, grant_lists)
def test_allowed_implies_visible_and_order_does_not_matter(
    principal: Principal, action: Action, resource: Resource, grants: list[Grant]
) -> None:
    decision = may(principal, action, resource, grants)
    backwards = may(principal, action, resource, grants[::-1])
    assert decision.visible >= decision.allowed
    assert (decision.visible, set(decision.permits)) == (backwards.visible, set(backwards.permits))


@given(st.frozensets(st.sampled_from(ROLES)), actions, resources, grant_lists)
def test_without_a_grant_nothing_and_with_admin_everything(
    roles: frozenset[str], action: Action, resource: Resource, grants: list[Grant]
) -> None:
    nobody = Principal("key:2", "eve", frozenset({"none"}))
    assert may(nobody, action, resource, grants) == Decision(False)
    admin = Principal("key:3", "root", roles | {"admin"})
    decision = may(admin, action, resource, [*grants, *BUILT_IN_ROLES["admin"]])
    assert decision.allowed
    assert decision.visible
    assert (decision.columns, decision.rows) == (None, None)


def subsets(names: Collection[str]) -> list[set[str]]:
    return [
        {name for name, kept in zip(names, chosen, strict=True) if kept}
        for chosen in product((True, False), repeat=len(names))
    ]
