"""The property of rights finds a hole: each check that is taken away makes it fail.

A property that holds whatever the server does would hold for years.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flight_server.auth import Access, Action, Decision, Permit, policy, scopes, verify
from flight_server.auth.signing import derived
from flight_server.model import Principal, SqlRequest
from flight_server.operations import (
    authorise,
    cached_queries,
    permissions,
    row_statements,
    rows,
    seen_scans,
    tables,
    versions,
)
from flight_server.operations.query import authorised
from flight_server.operations.sources import Sources
from flight_server.wire import redemption, tickets
from flight_server.wire.tickets import Claim
from tests.end_to_end.rights.cases import Case, cases, every_request, run
from tests.end_to_end.rights.defining import definitions
from tests.end_to_end.rights.describing import descriptive
from tests.end_to_end.rights.following import followings, later, plans
from tests.end_to_end.rights.following import tickets as a_ticket
from tests.end_to_end.rights.world import World, opened_world
from tests.end_to_end.rights.writing import changes_of_one, deletes, inserts, updates, upserts
from tests.fix_http import TwoDoors

# Most holes are found within a tenth of them, by any requests; what only few requests meet is
# looked for among these.
EXAMPLES_MAX = 1200
Patch = pytest.MonkeyPatch
EVERYTHING = Decision(True, (Permit(),))


def replaced(patch: Patch, owner: Any, name: str, value: Any) -> None:
    """Replaces a name that is there."""
    assert hasattr(owner, name), f"{owner} has no {name}"
    patch.setattr(owner, name, value)


def of_decision(patch: Patch, name: str, value: Any) -> None:
    found = cached_property(value)
    found.__set_name__(Decision, name)
    replaced(patch, Decision, name, found)


def rows_unlimited(patch: Patch) -> None:
    of_decision(patch, "row_filter", lambda decision: None)


def columns_unlimited(patch: Patch) -> None:
    of_decision(patch, "columns", lambda decision: None if decision.permits else frozenset())


def columns_added_up(patch: Patch) -> None:
    """The columns that any grant shows, in all rows that any shows."""

    def columns(decision: Decision) -> frozenset[str] | None:
        if any(permit.columns is None for permit in decision.permits):
            return None
        return frozenset[str]().union(*(permit.columns or () for permit in decision.permits))

    of_decision(patch, "columns", columns)


def workspaces_open(patch: Patch) -> None:
    replaced(patch, policy, "_is_in_reach", lambda workspace, resource, owner: True)


def scopes_ignored(patch: Patch) -> None:
    replaced(patch, scopes, "narrowed", lambda decision, texts, action, resource: decision)


def nobody_in_particular(patch: Patch) -> None:
    """Everybody's filters speak of the same principal."""
    bound = permissions.bound_to
    ann = Principal("key:1", "ann", frozenset(), "alpha")
    replaced(patch, Access, "_bound", lambda self, permit, principal: permit if permit.rows is None
             else Permit(permit.columns, bound(permit.rows, ann)))  # fmt: skip


def unlimited(action: Action) -> Callable[[Patch], None]:
    """What somebody may do somewhere, it may do to all of the columns and rows there."""

    def dropped(patch: Patch) -> None:
        may = Access.may

        def lax(self: Access, principal: Principal, asked: Action, resource: Any) -> Decision:
            found = may(self, principal, asked, resource)
            return EVERYTHING if asked is action and found.allowed else found

        replaced(patch, Access, "may", lax)

    return dropped


def action_unasked(action: Action) -> Callable[[Patch], None]:
    """Whoever may know of something may do this there."""

    def dropped(patch: Patch) -> None:
        may = Access.may

        def lax(self: Access, principal: Principal, asked: Action, resource: Any) -> Decision:
            found = may(self, principal, asked, resource)
            return EVERYTHING if asked is action and found.visible else found

        replaced(patch, Access, "may", lax)

    return dropped


def reading_unasked_by_writers(patch: Patch) -> None:
    """A filter of an update or delete reaches rows that may not be read."""
    real = seen_scans.joined_filter
    replaced(patch, rows, "joined_filter", lambda allowed, text: (
        text if text is not None and text.startswith("(") else real(allowed, text)
    ))  # fmt: skip


def moved_out_of_sight(patch: Patch) -> None:
    for module in (rows, row_statements):
        replaced(patch, module, "check_in_sight", lambda names, *limits: None)


def hidden_tables_listed(patch: Patch) -> None:
    replaced(patch, authorise, "_visible", lambda services, call, table: True)


def hidden_namespaces_listed(patch: Patch) -> None:
    replaced(patch, authorise, "_may_know", lambda services, call, catalog, name: True)


def parts_followed(patch: Patch) -> None:
    replaced(
        patch,
        versions,
        "whole",
        lambda services, call, table, verb, *actions: authorise.permitted(
            services, call, table, Action.READ
        ),
    )


def ingests_of_parts(patch: Patch) -> None:
    replaced(patch, rows, "_check_writable", lambda services, call, allowed, action, schema: None)


def tickets_of_anybody(patch: Patch) -> None:
    real = tickets.redeem

    def lax(secret: bytes, ticket: bytes, principal: Principal) -> Claim:
        said = json.loads(verify(derived(secret, "ticket"), ticket.removeprefix(tickets._MARK)))
        return real(secret, ticket, replace(principal, id=said["principal"]))

    replaced(patch, redemption, "redeem", lax)


def hidden_told_apart(patch: Patch) -> None:
    """What somebody may not know of is forbidden, where what is missing is not there."""
    may = Access.may

    def lax(self: Access, principal: Principal, asked: Action, resource: Any) -> Decision:
        return replace(may(self, principal, asked, resource), visible=True)

    replaced(patch, Access, "may", lax)


def hidden_tables_hinted(patch: Patch) -> None:
    replaced(patch, authorise, "visible_tables", lambda services, call, catalog, namespace: (
        services.engine(catalog).tables(namespace)
    ))  # fmt: skip


def made_anywhere(patch: Patch) -> None:
    for module in (authorise, tables):
        replaced(patch, module, "may_on_namespace", lambda services, call, namespace, action: None)


def kept_for_everybody(patch: Patch) -> None:
    """Whoever asks first in the same words is answered, and all others as well."""
    texts = dict[str, str]()

    def lax(services: Any, call: Any, statement: Any, request: SqlRequest) -> Any:
        checked, size = authorised(services, call, statement, request)
        return replace(checked, sql=texts.setdefault(request.sql, checked.sql)), size

    replaced(patch, cached_queries, "authorised", lax)


def parts_planned(patch: Patch) -> None:
    init = Sources.__init__

    def lax(self: Any, services: Any, call: Any, version: Any, is_plan: bool = False) -> None:
        init(self, services, call, version)

    replaced(patch, Sources, "__init__", lax)


HOLES: dict[str, Callable[[Patch], None]] = {
    "row filters": rows_unlimited,
    "limits of columns": columns_unlimited,
    "no column that not every grant shows": columns_added_up,
    "workspaces": workspaces_open,
    "scopes": scopes_ignored,
    "who is meant by a filter": nobody_in_particular,
    "limits of reading": unlimited(Action.READ),
    "limits of updates": unlimited(Action.UPDATE),
    "limits of deletes": unlimited(Action.DELETE),
    "limits of inserts": unlimited(Action.INSERT),
    "the right to read": action_unasked(Action.READ),
    "the right to update": action_unasked(Action.UPDATE),
    "the right to delete": action_unasked(Action.DELETE),
    "the right to insert": action_unasked(Action.INSERT),
    "what judges is not set": moved_out_of_sight,
    "hidden tables in lists": hidden_tables_listed,
    "hidden namespaces in lists": hidden_namespaces_listed,
    "changes of whole tables only": parts_followed,
    "whose a ticket is": tickets_of_anybody,
    "hidden is told like missing": hidden_told_apart,
    "hints": hidden_tables_hinted,
    "the right to make": made_anywhere,
    "whose a kept answer is": kept_for_everybody,
    "plans of whole tables only": parts_planned,
    "ingests into whole tables only": ingests_of_parts,
}


SEEN_BY: dict[str, st.SearchStrategy[Any]] = {
    "changes of whole tables only": followings,
    "what judges is not set": st.one_of(updates, changes_of_one),
    "hidden tables in lists": descriptive,
    "hidden namespaces in lists": descriptive,
    "limits of inserts": st.one_of(inserts, upserts),
    "ingests into whole tables only": st.one_of(inserts, upserts),
    "the right to insert": st.one_of(inserts, upserts),
    "the right to update": st.one_of(updates, changes_of_one),
    "the right to delete": st.one_of(deletes, changes_of_one),
    "limits of deletes": st.one_of(deletes, changes_of_one),
    "limits of updates": st.one_of(updates, changes_of_one),
    "whose a ticket is": a_ticket,
    "hints": descriptive,
    "the right to make": definitions,
    "whose a kept answer is": later,
    "plans of whole tables only": plans,
}


@pytest.fixture(scope="module")
def world(doors: TwoDoors) -> Iterator[World]:
    with opened_world(doors) as opened:
        yield opened


@pytest.mark.parametrize("hole", HOLES)
def test_a_hole_is_found(world: World, hole: str) -> None:
    @settings(
        max_examples=EXAMPLES_MAX,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        database=None,
        deadline=None,
    )
    @given(cases(SEEN_BY.get(hole, every_request)))
    def holds(case: Case) -> None:
        run(world, case, Counter())

    with pytest.MonkeyPatch.context() as patch:
        HOLES[hole](patch)
        # Nothing is remembered of the time before.
        world.install([])
        with pytest.raises(AssertionError):
            holds()
    world.restore()
