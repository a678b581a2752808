"""Scopes: what they let through, what they hide, and that they never add anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server.auth import BUILT_IN_ROLES, SERVER, Action, CatalogRef, Grant, Resource, may
from flight_server.auth.scopes import is_everything, parse_scopes, within
from flight_server.errors import InvalidRequest
from flight_server.model import NamespaceRef, Principal, TableRef

DAILY = TableRef("lake", "sales", "daily")
NESTED = TableRef("lake", "sales/eu", "daily")
OTHER = TableRef("lake", "main", "other")
FRAMES = TableRef("pixeltable", "films", "frames")
SALES = NamespaceRef("lake", "sales")
RESOURCES: list[Resource] = [
    DAILY, NESTED, OTHER, FRAMES, SALES, CatalogRef("lake"), CatalogRef("pixeltable"), SERVER
]  # fmt: skip
YES, SEEN, HIDDEN = (True, True), (False, True), (False, False)

TRUTHS: list[tuple[list[str], Action, Resource, tuple[bool, bool]]] = [
    (["read"], Action.READ, DAILY, YES),
    (["read"], Action.INSERT, DAILY, SEEN),
    (["read", "insert"], Action.INSERT, DAILY, YES),
    (["read:*"], Action.READ, FRAMES, YES),
    (["read:sales.daily"], Action.READ, DAILY, YES),
    (["read:SALES.Daily"], Action.READ, DAILY, YES),
    (["read:sales.daily"], Action.READ, NESTED, HIDDEN),
    (["read:sales.daily"], Action.DROP, DAILY, SEEN),
    (["read:sales.*"], Action.READ, NESTED, YES),
    (["read:sales.*"], Action.READ, OTHER, HIDDEN),
    (["read:other"], Action.READ, OTHER, YES),
    (["read:pixeltable:films.frames"], Action.READ, FRAMES, YES),
    (["read:pixeltable:*"], Action.READ, FRAMES, YES),
    (["read:pixeltable:*"], Action.READ, DAILY, HIDDEN),
    (["create:sales.*"], Action.CREATE, SALES, YES),
    (["create:sales.daily"], Action.CREATE, SALES, SEEN),
    (["read"], Action.ADMIN, SERVER, SEEN),
    (["admin"], Action.ADMIN, SERVER, YES),
    (["admin:sales.*"], Action.DROP, DAILY, YES),
    (["admin:sales.*"], Action.ADMIN, SERVER, SEEN),
]

actions = st.sampled_from(sorted(Action))
places = st.sampled_from(
    ["", ":*", ":sales.*", ":sales.daily", ":sales/eu.daily", ":other", ":pixeltable:*"]
)
scopes = st.builds(lambda action, place: f"{action}{place}", actions, places)
many_scopes = st.frozensets(scopes, min_size=1, max_size=4)


def admin(scopes: frozenset[str] | None) -> Principal:
    return Principal("key:1", "ann", frozenset({"admin"}), scopes=scopes)


@pytest.mark.parametrize(("texts", "action", "resource", "expected"), TRUTHS)
def test_what_an_administrator_may_under_scopes(
    texts: list[str], action: Action, resource: Resource, expected: tuple[bool, bool]
) -> None:
    found = may(admin(parse_scopes(texts)), action, resource, BUILT_IN_ROLES["admin"])
    assert (found.allowed, found.visible) == expected


@given(many_scopes, actions, st.sampled_from(RESOURCES), st.sampled_from(sorted(BUILT_IN_ROLES)))
def test_scopes_never_add(
    scopes: frozenset[str], action: Action, resource: Resource, role: str
) -> None:
    grants = BUILT_IN_ROLES[role]
    free = may(Principal("key:1", "a", frozenset({role})), action, resource, grants)
    kept = may(
        Principal("key:1", "a", frozenset({role}), "default", scopes), action, resource, grants
    )
    assert not kept.visible or free.visible
    assert kept.permits in ((), free.permits)


@given(many_scopes, many_scopes, actions, st.sampled_from(RESOURCES))
def test_what_is_within_allows_no_more(
    inner: frozenset[str], outer: frozenset[str], action: Action, resource: Resource
) -> None:
    if within(inner, outer):
        grants = BUILT_IN_ROLES["admin"]
        assert may(admin(outer), action, resource, grants).allowed or not (
            may(admin(inner), action, resource, grants).allowed
        )


def test_what_is_within_what() -> None:
    assert within(frozenset({"read:sales.daily"}), frozenset({"read:sales.*", "insert"}))
    assert within(frozenset({"drop:sales.daily"}), frozenset({"admin:sales.*"}))
    assert within(frozenset({"read"}), None)
    assert within(None, frozenset({"admin"}))
    assert within(None, None)
    assert not within(None, frozenset({"read"}))
    assert not within(frozenset({"read:sales.*"}), frozenset({"read:sales.daily"}))
    assert not within(frozenset({"read", "drop"}), frozenset({"read"}))
    assert is_everything(None)
    assert not is_everything(frozenset({"admin:sales.*"}))


def test_columns_and_rows_stay_as_they_were() -> None:
    limited = [Grant("r", frozenset({Action.READ}), columns=frozenset({"a"}), rows="a > 1")]
    ann = Principal("key:1", "ann", frozenset({"r"}), scopes=frozenset({"read:sales.*"}))
    found = may(ann, Action.READ, DAILY, limited)
    assert (found.columns, found.row_filter) == (frozenset({"a"}), "(a > 1)")
    assert not may(ann, Action.READ, OTHER, limited).visible


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "could do nothing"),
        (["raed"], "Did you mean 'read'"),
        (["read:a.b.c.d"], "names no table"),
        (["read:"], "names no table"),
        (["read:sales.d*"], "only a part of a name"),
        (["read"] * 101, "too many"),
    ],
)
def test_what_is_no_scope(texts: list[str], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        parse_scopes(texts)
