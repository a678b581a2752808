"""Row filters of grants: what they may hold, and what they become for who asks."""

from __future__ import annotations

import pytest

from flight_server.errors import PixelflightError
from flight_server.query import WORDS, Asker, bound_filter, check_row_filter, fits, mentions_asker

COLUMNS = ("owner", "pay", "tags", "current_user")


def asker(name: str = "ann", *roles: str) -> Asker:
    values = (name, f"key:{name}", "sales")
    return Asker(tuple(zip(WORDS, values, strict=True)), frozenset(roles))


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("owner = current_user", "(\"owner\" = 'ann')"),
        ("owner = CURRENT_USER", "(\"owner\" = 'ann')"),
        ("owner = current_user()", "(\"owner\" = 'ann')"),
        ('owner = "current_user"', "(\"owner\" = 'ann')"),
        ("owner = current_principal", "(\"owner\" = 'key:ann')"),
        ("owner = current_workspace", "(\"owner\" = 'sales')"),
        ("has_role('boss')", "CAST('t' AS BOOLEAN)"),
        ("HAS_ROLE('Boss')", "CAST('f' AS BOOLEAN)"),
        ("pay > 3 -- and nothing else", "(pay > 3)"),
        ("_row_id < 3", "(rowid < 3)"),
        # A column that is called like a word is named with something before it.
        ("t.current_user = owner", '(current_user = "owner")'),
        ("anything.CURRENT_USER = current_user", "(CURRENT_USER = 'ann')"),
        # The parameter of a lambda is what it says it is.
        (
            "len(list_filter(tags, current_user -> current_user = owner)) > 0",
            '(len(list_filter(tags, (current_user -> (current_user = "owner")))) > 0)',
        ),
    ],
)
def test_words_become_what_they_are_for_who_asks(text: str, bound: str) -> None:
    assert bound_filter(text, asker("ann", "boss")) == bound
    assert check_row_filter(text, COLUMNS) == text


@pytest.mark.parametrize(
    "name",
    [
        "o'hara",
        "x' OR 'x' = 'x",
        "'; DROP TABLE t; --",
        "\\' OR true --",
        "$1",
        "ann\nOR true",
        "名",
    ],
)
def test_a_name_is_a_text_whatever_is_in_it(name: str) -> None:
    quoted = name.replace("'", "''")
    bound = bound_filter("owner = current_user", asker(name))
    assert bound == f"(\"owner\" = '{quoted}')"
    # It is one comparison still.
    assert bound_filter(bound, asker("somebody else")) == bound


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not parse"),
        ("pay >", "does not parse"),
        ("pay > 1) OR (true", "does not parse"),
        ("pay > 1; SELECT 1", "row filter"),
        ("pay > 1 GROUP BY pay", "not one expression alone"),
        ("pay > $1", "A parameter is not allowed"),
        ("pay IN (SELECT 1)", "A subquery is not allowed"),
        ("row_number() OVER () > 1", "A window function is not allowed"),
        ("sum(pay) > 1", "another kind"),
        ("getenv('HOME') = 'x'", "refused"),
        ("read_text('/etc/passwd') = 'x'", "refused"),
        ("current_schema() = 'x'", "refused"),
        ("has_role()", "has_role('auditor')"),
        ("has_role(owner)", "has_role('auditor')"),
        ("has_role('a', 'b')", "has_role('auditor')"),
        ("has_role(3)", "has_role('auditor')"),
        ("main.has_role('a')", "refused"),
        ("current_user.x = 'y'", None),
        ("ownr = 'ann'", "Did you mean 'owner'?"),
        ("NOT " * 5000 + "true", "nested"),
    ],
)
def test_what_is_no_filter_is_refused(text: str, message: str | None) -> None:
    if message is None:
        # A field of the column of that name: the word itself has none.
        assert check_row_filter(text, COLUMNS) == text
        return
    with pytest.raises(PixelflightError) as caught:
        check_row_filter(text, COLUMNS)
    assert message.lower() in caught.value.message.lower()


@pytest.mark.parametrize(
    ("text", "mentions"),
    [
        ("pay > 3", False),
        ("t.current_user = 'ann'", False),
        ("owner = 'current_user'", False),
        ("owner = current_user", True),
        ("lower(current_workspace) = owner OR pay > 3", True),
        ("pay > 3 AND NOT has_role('boss')", True),
    ],
)
def test_what_is_otherwise_for_somebody_else(text: str, mentions: bool) -> None:
    assert mentions_asker(text) == mentions


@pytest.mark.parametrize(
    ("text", "fitting"),
    [
        ("owner = current_user AND pay > 3", True),
        ("_row_id < 3", True),
        ("t.current_user = owner", False),
        ("region = 'north'", False),
    ],
)
def test_a_filter_fits_a_table_that_has_its_columns(text: str, fitting: bool) -> None:
    assert fits(bound_filter(text, asker()), ("owner", "pay")) == fitting
