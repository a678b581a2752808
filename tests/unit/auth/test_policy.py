"""The policy as a table of truths: grants, a request, what must come of it."""

from __future__ import annotations

import pytest

from flight_server.auth import (
    BUILT_IN_ROLES,
    SERVER,
    Action,
    CatalogRef,
    Decision,
    Grant,
    Permit,
    Resource,
    may,
)
from flight_server.errors import InvalidRequest
from flight_server.model import NamespaceRef, Principal, TableRef

ANN = Principal("key:1", "ann", frozenset({"analyst", "clerk"}))
READ, INSERT, DELETE, DROP, ADMIN = (
    Action.READ,
    Action.INSERT,
    Action.DELETE,
    Action.DROP,
    Action.ADMIN,
)
DAILY = TableRef("lake", "sales", "daily")
OTHER = TableRef("lake", "sales", "other")
NESTED = TableRef("lake", "sales/eu", "daily")
NEIGHBOUR = TableRef("lake", "salesmen", "daily")
FILMS = TableRef("pixeltable", "sales", "daily")
SALES = NamespaceRef("lake", "sales")
SALES_EU = NamespaceRef("lake", "sales/eu")
LAKE = CatalogRef("lake")


def grant(*actions: Action, role: str = "analyst", **scope: str) -> Grant:
    return Grant(role, frozenset(actions), **scope)  # type: ignore[arg-type]


everything = grant(READ)
lake = grant(READ, catalog="lake")
sales = grant(READ, catalog="lake", namespace="sales")
daily = grant(READ, catalog="lake", namespace="sales", table="daily")
any_daily = grant(READ, table="daily")
nested = grant(READ, catalog="lake", namespace="sales/eu")
owner = grant(ADMIN, catalog="lake", namespace="sales")
stranger = grant(READ, role="boss")

YES, SEEN, HIDDEN = (True, True), (False, True), (False, False)

# Grants, action, resource → (allowed, visible).
TRUTHS: list[tuple[list[Grant], Action, Resource, tuple[bool, bool]]] = [
    ([], READ, DAILY, HIDDEN),
    ([stranger], READ, DAILY, HIDDEN),
    ([], READ, SERVER, HIDDEN),
    # A grant on everything.
    ([everything], READ, DAILY, YES),
    ([everything], READ, FILMS, YES),
    ([everything], READ, SALES, YES),
    ([everything], READ, LAKE, YES),
    ([everything], READ, SERVER, YES),
    ([everything], INSERT, DAILY, SEEN),
    ([everything], ADMIN, SERVER, SEEN),
    # A grant on a catalog.
    ([lake], READ, DAILY, YES),
    ([lake], READ, FILMS, HIDDEN),
    ([lake], READ, SALES, YES),
    ([lake], READ, LAKE, YES),
    ([lake], READ, CatalogRef("pixeltable"), HIDDEN),
    ([lake], READ, SERVER, SEEN),
    # A grant on a namespace.
    ([sales], READ, DAILY, YES),
    ([sales], READ, NESTED, YES),
    ([sales], READ, NEIGHBOUR, HIDDEN),
    ([sales], READ, FILMS, HIDDEN),
    ([sales], READ, SALES, YES),
    ([sales], READ, SALES_EU, YES),
    ([sales], READ, NamespaceRef("lake", "salesmen"), HIDDEN),
    ([sales], READ, LAKE, SEEN),
    ([sales], DROP, SALES, SEEN),
    # A grant on a nested namespace shows those around it, and only shows them.
    ([nested], READ, SALES, SEEN),
    ([nested], READ, DAILY, HIDDEN),
    ([nested], READ, NESTED, YES),
    # A grant on a table.
    ([daily], READ, DAILY, YES),
    ([daily], READ, OTHER, HIDDEN),
    ([daily], READ, NESTED, HIDDEN),
    ([daily], DELETE, DAILY, SEEN),
    ([daily], READ, SALES, SEEN),
    ([daily], READ, SALES_EU, HIDDEN),
    ([daily], READ, LAKE, SEEN),
    ([daily], READ, SERVER, SEEN),
    ([any_daily], READ, FILMS, YES),
    ([any_daily], READ, OTHER, HIDDEN),
    ([any_daily], READ, SALES, SEEN),
    # Names without regard to the case of ASCII letters, as DuckDB compares them.
    ([sales], READ, TableRef("LAKE", "Sales", "DAILY"), YES),
    ([daily], READ, TableRef("Lake", "SALES", "Daily"), YES),
    ([grant(READ, table="straße")], READ, TableRef.of("STRASSE"), HIDDEN),
    ([grant(READ, table="Ämter")], READ, TableRef.of("ämter"), HIDDEN),
    ([grant(READ, table="ÄMTER")], READ, TableRef.of("Ämter"), YES),
    # Admin of a scope may do everything there and nothing elsewhere.
    ([owner], DROP, DAILY, YES),
    ([owner], Action.GRANT, SALES, YES),
    ([owner], READ, NESTED, YES),
    ([owner], READ, NEIGHBOUR, HIDDEN),
    ([owner], ADMIN, SERVER, SEEN),
    # Roles add up; what one grant allows another does not take away.
    ([daily, grant(DELETE, role="clerk")], DELETE, DAILY, YES),
    ([daily, grant(DELETE, role="clerk")], READ, OTHER, SEEN),
    ([daily, grant(DELETE, role="boss")], DELETE, DAILY, SEEN),
    # The server's own namespace is for nobody.
    ([grant(ADMIN)], READ, TableRef("lake", "_pixelflight", "ingest"), HIDDEN),
    ([grant(ADMIN)], READ, TableRef("lake", "_PixelFlight_x", "ingest"), HIDDEN),
    ([grant(ADMIN)], READ, NamespaceRef("lake", "_pixelflight"), HIDDEN),
    ([grant(ADMIN)], READ, TableRef("lake", "main", "_pixelflight"), YES),
]


@pytest.mark.parametrize(("grants", "action", "resource", "expected"), TRUTHS)
def test_truth(
    grants: list[Grant], action: Action, resource: Resource, expected: tuple[bool, bool]
) -> None:
    decision = may(ANN, action, resource, grants)
    assert (decision.allowed, decision.visible) == expected


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("admin", set(Action)),
        ("writer", set(Action) - {Action.GRANT, Action.ADMIN}),
        ("reader", {Action.READ}),
    ],
)
@pytest.mark.parametrize("resource", [DAILY, FILMS, NESTED, SALES, LAKE, SERVER])
def test_built_in_roles(role: str, allowed: set[Action], resource: Resource) -> None:
    principal = Principal("key:1", "bob", frozenset({role}))
    found = {
        action
        for action in Action
        if may(principal, action, resource, BUILT_IN_ROLES[role]).allowed
    }
    assert found == allowed


def read(columns: str | None, rows: str | None) -> Grant:
    names = None if columns is None else frozenset(columns)
    return Grant("analyst", frozenset({READ}), columns=names, rows=rows)


# Limits of two grants (columns, rows) → columns and row filter of the decision.
COMBINED: list[tuple[list[Grant], str | None, str | None]] = [
    ([read(None, None)], None, None),
    ([read("ab", None)], "ab", None),
    ([read(None, "eu")], None, "(eu)"),
    ([read("AB", "eu")], "ab", "(eu)"),
    # The same columns: rows add up. The same rows: columns are those in all of them.
    ([read("ab", "eu"), read("ab", "us")], "ab", "(eu) OR (us)"),
    ([read(None, "eu"), read(None, "us")], None, "(eu) OR (us)"),
    # What one grant shows, another that shows less does not narrow.
    ([read("ab", "eu"), read(None, None)], None, None),
    ([read("ab", "eu"), read("abc", "eu")], "abc", "(eu)"),
    ([read("ab", "eu"), read("ab", None)], "ab", None),
    ([read("a", "eu"), read("a", "eu")], "a", "(eu)"),
    # Grants that differ in both: every row, and the columns that all of them show.
    ([read("ab", None), read(None, "eu")], "ab", None),
    ([read("ab", "eu"), read("bc", "us")], "b", "(eu) OR (us)"),
    ([read("a", "eu"), read("b", "us")], "", "(eu) OR (us)"),
    ([], "", "false"),
]


@pytest.mark.parametrize(("grants", "columns", "row_filter"), COMBINED)
def test_limits_add_up(grants: list[Grant], columns: str | None, row_filter: str | None) -> None:
    decision = may(ANN, READ, DAILY, grants)
    assert decision.columns == (None if columns is None else frozenset(columns))
    assert decision.row_filter == row_filter
    for name in "abcABC":
        assert decision.permits_column(name) == (columns is None or name.lower() in columns)


# Limits of grants, the columns a request uses → its row filter.
USING: list[tuple[list[Grant], str, str | None]] = [
    ([read("ab", None), read(None, "eu")], "a", None),
    ([read("ab", None), read(None, "eu")], "AC", "(eu)"),
    ([read("ab", "eu"), read("bc", "us")], "ab", "(eu)"),
    ([read("ab", "eu"), read("bc", "us")], "c", "(us)"),
    ([read("ab", "eu"), read("bc", "us")], "b", "(eu) OR (us)"),
    ([read("ab", "eu"), read("bc", "us")], "ac", "false"),
    ([read("ab", "eu"), read("bc", "us")], "", "(eu) OR (us)"),
]


@pytest.mark.parametrize(("grants", "used", "row_filter"), USING)
def test_a_request_for_few_columns_gets_all_rows_that_one_grant_shows_them_in(
    grants: list[Grant], used: str, row_filter: str | None
) -> None:
    decision = may(ANN, READ, DAILY, grants).using(used)
    assert decision.row_filter == row_filter
    assert decision.visible
    assert decision.allowed == (row_filter != "false")
    if decision.allowed:
        assert all(decision.permits_column(name) for name in used)


def test_a_limit_of_another_action_does_not_count() -> None:
    limited = Grant("analyst", frozenset({INSERT}), columns=frozenset({"a"}))
    decision = may(ANN, READ, DAILY, [limited, everything])
    assert decision == Decision(True, (Permit(),))


@pytest.mark.parametrize(
    ("actions", "columns", "rows", "message"),
    [
        (set(), None, None, "allows nothing"),
        ({READ}, set(), None, "'columns' must not be empty"),
        ({READ}, None, "  ", "'rows' must not be empty"),
        ({READ, DELETE}, {"a"}, None, "'delete' cannot be limited to columns"),
        ({DROP}, {"a"}, None, "'drop' cannot be limited to columns"),
        ({ADMIN, READ}, None, "eu", "'admin' cannot be limited to rows"),
        ({Action.ALTER}, None, "eu", "'alter' cannot be limited to rows"),
    ],
)
def test_a_grant_that_cannot_be_meant_is_refused(
    actions: set[Action], columns: set[str] | None, rows: str | None, message: str
) -> None:
    names = None if columns is None else frozenset(columns)
    with pytest.raises(InvalidRequest, match=message):
        Grant("analyst", frozenset(actions), columns=names, rows=rows)


def test_deleting_may_be_limited_to_rows() -> None:
    grants = [Grant("analyst", frozenset({DELETE}), rows="mine")]
    assert may(ANN, DELETE, DAILY, grants).row_filter == "(mine)"
