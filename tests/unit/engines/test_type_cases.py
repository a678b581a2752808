"""The cases of Arrow types say what they claim, and their table can be printed."""

from __future__ import annotations

import pyarrow as pa
import pytest

from flight_server.testing.types import CASES, TypeCase, render_types, same_values
from tests.conformance.lake_types import kept_as


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert len(names) > 80


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_values_are_valid_and_of_the_type(case: TypeCase) -> None:
    case.values.validate(full=True)
    assert case.values.type == case.field.type
    assert len(case.values) >= 2


def test_every_type_of_arrow_has_a_case() -> None:
    def ids(kind: pa.DataType) -> set[int]:
        children = [kind.field(at).type for at in range(kind.num_fields)]
        if isinstance(kind, pa.BaseExtensionType):
            children.append(kind.storage_type)
        return {kind.id}.union(*map(ids, children))

    every = {value for name, value in vars(pa.lib).items() if name.startswith("Type_")}
    # Extensions have a number without a name; the two intervals cannot be made from Python.
    every |= {pa.uuid().id}
    every -= {pa.lib.Type_INTERVAL_MONTHS, pa.lib.Type_INTERVAL_DAY_TIME}
    assert every == set().union(*(ids(case.field.type) for case in CASES))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (pa.array([1, None]), pa.array([1, None]), True),
        (pa.array([1, None]), pa.array([None, 1]), False),
        (pa.array([float("nan")]), pa.array([float("nan")]), True),
        (pa.array([1]), pa.array([1], pa.int32()), False),
        (pa.array([1]), pa.array([1, 1]), False),
    ],
)
def test_same_values(one: pa.Array, other: pa.Array, same: bool) -> None:
    assert same_values(pa.chunked_array([one]), pa.chunked_array([other])) is same


def test_no_mark_breaks_the_table() -> None:
    lines = render_types(CASES, kept_as).splitlines()
    assert {line.replace("\\|", "").count("|") for line in lines} == {4}
    assert all(line.count("`") % 2 == 0 for line in lines)
