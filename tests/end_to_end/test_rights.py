"""Random grants and random requests at both doors, against rows that are counted cell by cell.

One server has all examples. The oracle shares no code with it: a grant opens some columns of some
rows, and what somebody is shown, and what becomes of a table, follows from that alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from tests.end_to_end.rights.cases import Case, cases, run
from tests.end_to_end.rights.world import World, opened_world
from tests.fix_http import TwoDoors

# Each example asks up to four requests under the grants that it draws.
SETS_OF_GRANTS = 4 * settings().max_examples if settings().max_examples > 100 else 80


@pytest.fixture(scope="module")
def world(doors: TwoDoors) -> Iterator[World]:
    with opened_world(doors) as opened:
        yield opened


def test_both_doors_show_and_change_what_the_grants_say(world: World) -> None:
    counted: Counter[str] = Counter()

    @settings(max_examples=SETS_OF_GRANTS)
    @given(cases())
    def holds(case: Case) -> None:
        run(world, case, counted)

    holds()
    asked = sum(counted.values())
    print(
        f"\n{asked} requests under {SETS_OF_GRANTS} sets of grants: {dict(sorted(counted.items()))}"
    )
    # A property that is asked nothing, or is refused everything, holds of everything.
    answered = sum(n for kind, n in counted.items() if kind.endswith("answered"))
    assert asked >= SETS_OF_GRANTS
    assert answered > asked / 10
