"""Patterns by which tools look for names: SQL's LIKE, without regard to case.

Peers disagree on case. SQLite's LIKE and the ADBC driver's own filters disregard it, and so do
names here: a pattern that holds a table's name in other letters finds what SQL would find.

A backslash takes the meaning of `%`, `_` and of itself away, as SqlInfo says; JDBC tools write it
before the underscores of names. Before anything else it is a plain character.
"""

from __future__ import annotations

import re
from collections.abc import Callable

ESCAPE = "\\"
_SIGNS = re.compile(r"\\[\\%_]|.", re.DOTALL)


def matches(pattern: str | None) -> Callable[[str], bool]:
    """Whether a name matches the pattern; without one, every name does."""
    if pattern is None:
        return lambda name: True
    expression = re.compile(_expression(pattern), re.IGNORECASE | re.DOTALL)
    return lambda name: expression.fullmatch(name) is not None


def same(wanted: str | None) -> Callable[[str], bool]:
    """Whether a name is the wanted one; where None is, every name is."""
    if wanted is None:
        return lambda name: True
    folded = wanted.lower()
    return lambda name: name.lower() == folded


def _expression(pattern: str) -> str:
    """A regular expression that takes no longer than the name times the pattern.

    What lies between two `%` matches where it is first found and never moves again: nothing
    further on could need that, and trying would take exponential time.
    """
    parts = [""]
    for sign in _SIGNS.findall(pattern):
        if sign == "%":
            parts.append("")
        else:
            parts[-1] += "." if sign == "_" else re.escape(sign[-1])
    if len(parts) == 1:
        return parts[0]
    between = "".join(f"(?>.*?{part})" for part in parts[1:-1] if part)
    return f"{parts[0]}{between}.*{parts[-1]}"
