"""LIKE over names, without regard to case, in time that nobody can stretch."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flight_server.wire.flight_sql.patterns import matches, same


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        (None, "anything", True),
        ("", "", True),
        ("", "x", False),
        ("%", "", True),
        ("%%", "x\ny", True),
        ("_", "\n", True),
        ("_", "", False),
        ("a%", "ABC", True),
        ("%b%", "abc", True),
        ("a%c", "ac", True),
        ("a%b%c", "aXbXbc", True),
        ("a%b%c", "acb", False),
        ("%ab%ab", "ab", False),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("Ä%", "äb", True),
        ("a\\_c", "abc", False),
        ("a\\_c", "a_c", True),
        ("100\\%", "100%", True),
        ("100\\%", "1000", False),
        ("a\\\\_", "a\\b", True),
        # Before anything else a backslash is itself.
        ("a\\b", "a\\b", True),
        ("a\\", "a\\", True),
    ],
)
def test_patterns(pattern: str | None, name: str, expected: bool) -> None:
    assert matches(pattern)(name) is expected


def like(pattern: str, name: str) -> bool:
    """LIKE without escapes, by its definition."""
    if not pattern:
        return not name
    if pattern[0] == "%":
        return like(pattern[1:], name) or (bool(name) and like(pattern, name[1:]))
    return bool(name) and pattern[0] in ("_", name[0]) and like(pattern[1:], name[1:])


@given(some.text("ab%_", max_size=8), some.text("ab", max_size=8))
def test_it_is_like(pattern: str, name: str) -> None:
    assert matches(pattern)(name) == like(pattern, name)


def test_no_pattern_takes_long() -> None:
    started = time.perf_counter()
    assert not matches("%a" * 100 + "b")("a" * 200)
    assert time.perf_counter() - started < 1


def test_names() -> None:
    assert same(None)("anything")
    assert same("LAKE")("lake")
    assert not same("")("lake")
    assert not same("l%")("lake")
