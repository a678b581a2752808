"""Random cases: grants, and what is asked under them, mostly by those to whom they give some."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import event
from hypothesis import strategies as st

from tests.end_to_end.rights.asking import Asked, check, check_unnamed
from tests.end_to_end.rights.defining import CreateTable, Rename, definitions
from tests.end_to_end.rights.describing import descriptive
from tests.end_to_end.rights.following import Explain, Later, Ticket, followings_and_plans
from tests.end_to_end.rights.likeness import check_alike
from tests.end_to_end.rights.oracle import Oracle
from tests.end_to_end.rights.reading import Sql, readings
from tests.end_to_end.rights.world import (
    COLUMNS,
    LIMITS,
    OWNERS,
    PEOPLE,
    PLACES,
    ROLES,
    Held,
    Place,
    Row,
    Who,
    World,
    rows_of,
)
from tests.end_to_end.rights.writing import writings

WRITES = ("insert", "update", "delete")

# What somebody is given besides.
MORE = ("nothing", "all of it", "parts of it", "its rows", "its changes", "its making")

Case = tuple[list[Held], list[tuple[Who, Asked]]]
ACTIONS = st.sampled_from(
    [
        *[("read",)] * 2,
        *[("read", *WRITES)] * 2,
        *[("read", "update"), ("read", "delete"), ("insert", "update")],
        *[("update",), ("insert",), ("delete",), ("admin",), ("alter",)],
        *[("create", "alter", "drop"), ("create",), ("drop",)],
    ]
)
some_columns = st.frozensets(st.sampled_from(COLUMNS), min_size=1, max_size=3)
limits = st.none() | st.sampled_from(list(LIMITS))
people = st.sampled_from((*PEOPLE[:3], *PEOPLE))
two_columns = st.permutations(COLUMNS[1:]).map(lambda names: names[:2])
two_limits = st.permutations(list(LIMITS)).map(lambda limits: limits[:2])
anywhere = st.sampled_from(PLACES)
every_request: st.SearchStrategy[Asked] = st.one_of(
    readings, readings, writings, writings, descriptive, definitions, followings_and_plans
)


@st.composite
def grants(draw: st.DrawFn, who: Who, focus: Place) -> Held:
    """Mostly for somebody to whom it gives something on a table."""
    is_near = draw(st.integers(0, 3)) > 0
    if not is_near:
        who, focus = draw(people), draw(anywhere)
    space = focus.namespace
    place: tuple[str | None, str | None, str | None] = draw(
        st.sampled_from(
            [
                *[("lake", space, focus.name)] * 2,
                *[("lake", space, None), ("lake", space.partition("/")[0], None)],
                *[("lake", None, None), (None, None, None), (None, None, focus.name)],
            ]
        )
    )
    role = draw(st.sampled_from(sorted(who.roles) if is_near else ROLES))
    actions = frozenset(draw(ACTIONS))
    columns, limit = None, None
    if actions <= {"read", *WRITES}:
        limit = draw(limits)
        if "delete" not in actions and draw(st.booleans()):
            # Mostly the key is among them, or little could be asked.
            columns = draw(some_columns) | (draw(st.sampled_from([{"id"}, {"id"}, set()])))
    return Held(who.workspace, role, actions, *place, columns=columns, rows=limit)


def moved(request: Asked, place: Place) -> Asked:
    """The same of another table, and what it makes beside that one."""
    if isinstance(request, Ticket | Later):
        return replace(request, scan=replace(request.scan, place=place))
    if isinstance(request, Explain):
        return replace(request, statement=replace(request.statement, first=place))
    if isinstance(request, Sql):
        return replace(request, first=place)
    if isinstance(request, CreateTable):
        return replace(request, made=replace(request.made, namespace=place.namespace))
    if isinstance(request, Rename):
        return replace(request, place=place, to=replace(request.to, namespace=place.namespace))
    return replace(request, place=place) if hasattr(request, "place") else request  # type: ignore[type-var]


@st.composite
def cases(draw: st.DrawFn, requests: st.SearchStrategy[Asked] = every_request) -> Case:
    who = draw(people)
    focus = draw(st.sampled_from([p for p in PLACES if OWNERS[p.namespace] == who.workspace]))
    held = draw(st.lists(grants(who, focus), max_size=3))
    mine = Held(
        who.workspace, min(who.roles), frozenset({"read"}), "lake", focus.namespace, focus.name
    )
    more = draw(st.sampled_from(MORE))
    if more == "all of it":
        held.append(mine)
    elif more == "parts of it":
        # Two rectangles that cross: neither shows all of what the other does.
        one, other = draw(two_columns), draw(two_limits)
        held += [
            replace(mine, columns=frozenset({"id", name}), rows=limit)
            for name, limit in zip(one, other, strict=True)
        ]
    elif more == "its rows":
        held.append(replace(mine, actions=frozenset({"read", *WRITES}), rows=draw(limits)))
    elif more == "its changes":
        # More rows may be read than changed.
        held += [mine, replace(mine, actions=frozenset(WRITES), rows=draw(limits))]
    elif more == "its making":
        outer = draw(st.sampled_from((focus.namespace, focus.namespace.partition("/")[0])))
        making = frozenset({"create", "alter", "drop"})
        held.append(replace(mine, actions=making, namespace=outer, table=None))
    asked = []
    for _ in range(draw(st.integers(1, 4))):
        request = draw(requests)
        is_near = draw(st.integers(0, 4)) > 0
        asked.append((who, moved(request, focus)) if is_near else (draw(people), request))
    return held, asked


def run(world: World, case: Case, counted: Counter[str]) -> None:
    """Asks all that the case asks, and holds each answer against the oracle."""
    held, asked = case
    world.restore()
    world.install(held)
    oracle = Oracle(held, {place: rows_of(place) for place in PLACES})
    for who, request in asked:
        try:
            _run_one(world, oracle, who, request, counted)
        except AssertionError as error:
            error.add_note(f"{who.name} asks {request!r} under {held}")
            raise


def _run_one(world: World, oracle: Oracle, who: Who, request: Asked, counted: Counter[str]) -> None:
    expected = request.expected(oracle, who)
    answer = request.ask(world, who, world.ends[who.name])
    if request.writes and answer.code is None:
        world.changed |= expected.after.keys()
    check(answer, expected)
    kind = f"{type(request).__name__} {'refused' if answer.code else 'answered'}"
    counted[kind] += 1
    event(kind)
    if answer.code is not None:
        seen = oracle.visible_places(who)
        hidden = [place.name for place in PLACES if place not in seen]
        hidden += [name for name, owner in OWNERS.items() if owner != who.workspace]
        check_unnamed(answer.message, hidden, repr(request))
        check_alike(world, oracle, who, request, answer)
    if request.writes:
        check_tables(world, oracle, {} if answer.code else expected.after)


def check_tables(world: World, oracle: Oracle, after: dict[Place, list[Row]]) -> None:
    """What is in the tables is what the oracle says, which goes on from there."""
    for place, expected in after.items():
        oracle.tables[place] = expected
    for place in after or PLACES[:2]:
        found = world.rows(place)
        ours = Counter(tuple(row.items()) for row in oracle.tables[place])
        assert Counter(tuple(row.items()) for row in found) == ours, place
