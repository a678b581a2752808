"""The hints MATERIALIZED and NOT MATERIALIZED, which DuckDB's tree of a statement does not keep.

They are read from the words of the text. A name that the text gives both hints gets none.
"""

from __future__ import annotations

import re

import duckdb

_FIRST = re.compile(r'"(?:[^"]|"")*"|\w+|.', re.DOTALL)


def materialized(sql: str) -> dict[str, str]:
    """For each name that WITH defines with a hint, as it is written, the tree's word for it."""
    if "materialized" not in sql.lower():
        return {}
    words = _words(sql)
    found: dict[str, set[str]] = {}
    for at, word in enumerate(words):
        if word.upper() == "MATERIALIZED" and words[at + 1 : at + 2] == ["("]:
            never = words[at - 1].upper() == "NOT"
            name = _defined_before(words, at - 1 - never)
            found.setdefault(name, set()).add("NEVER" if never else "ALWAYS")
    return {
        name: f"CTE_MATERIALIZE_{hint}"
        for name, (hint, *more) in found.items()
        if name and not more
    }


def _words(sql: str) -> list[str]:
    """The words of a statement, without comments. DuckDB counts their places in bytes."""
    text = sql.encode()
    places = [place for place, _ in duckdb.tokenize(sql)]
    pieces = zip(places, [*places[1:], len(text)], strict=True)
    words = (_FIRST.match(text[start:end].decode()) for start, end in pieces)
    return [word[0] for word in words if word]


def _defined_before(words: list[str], at: int) -> str:
    """The name in `name (columns) USING KEY (columns) AS`, where `at` is the place of AS."""
    if words[at].upper() != "AS":
        return ""
    at -= 1
    while at > 0 and words[at] == ")":
        while at > 0 and words[at] != "(":
            at -= 1
        at -= 1
        if words[at].upper() == "KEY":
            at -= 2
    name = words[at]
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
