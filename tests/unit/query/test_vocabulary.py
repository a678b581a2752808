"""Functions and keywords that tools are told of are those that clients may use."""

from __future__ import annotations

import pytest

from flight_server.query.functions import allowed_functions
from flight_server.query.vocabulary import functions_by_family, keywords


@pytest.mark.parametrize(
    ("family", "some"),
    [
        ("numeric", {"abs", "pi", "round", "sqrt"}),
        ("string", {"length", "lower", "regexp_replace", "substring"}),
        ("datetime", {"date_trunc", "now", "strftime", "year"}),
        ("system", {"nullif", "typeof", "version"}),
    ],
)
def test_families(family: str, some: set[str]) -> None:
    found = functions_by_family()[family]
    assert some <= set(found) <= allowed_functions()["scalar"]
    assert list(found) == sorted(set(found))


def test_what_does_one_thing_is_in_one_family() -> None:
    families = functions_by_family()
    for one, other in (("numeric", "string"), ("string", "datetime"), ("string", "system")):
        assert set(families[one]) & set(families[other]) == set()
    everything = {name for names in families.values() for name in names}
    assert not {"current_setting", "getvariable", "list_sort", "json_keys"} & everything


def test_keywords() -> None:
    assert {"SELECT", "QUALIFY", "PIVOT"} <= set(keywords())
    assert list(keywords()) == sorted(set(keywords()))
