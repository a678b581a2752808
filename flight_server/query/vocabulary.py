"""The words of DuckDB's SQL that clients may use: keywords, and functions by what they work on.

Tools ask for them to know what to quote, to complete and to translate. Which functions may be
called is said by `functions`; DuckDB itself says here what they take and give.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import duckdb

from flight_server.query.functions import allowed_functions

_NUMBERS = frozenset(
    {
        *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "DECIMAL", "FLOAT", "DOUBLE"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
    }
)
_MOMENTS = frozenset(
    {
        *("DATE", "TIME", "TIMESTAMP", "INTERVAL", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"),
        *("TIME WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE", "TIME_NS"),
    }
)
# What tells of values and of the server instead of reckoning with them.
_SYSTEM = frozenset({"alias", "error", "hash", "nullif", "pg_typeof", "typeof", "version"})
_SIGNATURES = """
SELECT lower(function_name), parameter_types, return_type FROM duckdb_functions()
WHERE function_type = 'scalar' AND regexp_full_match(function_name, '[a-z_][a-z0-9_]*')
AND NOT regexp_matches(function_name, '^(array_|enum_|from_json|json_|list_|st_)')
"""
_KEYWORDS = "SELECT upper(keyword_name) FROM duckdb_keywords()"

Signature = tuple[str, list[str | None], str]


@functools.cache
def keywords() -> tuple[str, ...]:
    """Every word that means something to DuckDB's parser, in capitals, sorted."""
    with duckdb.connect(":memory:") as connection:
        return tuple(sorted({str(word) for (word,) in connection.execute(_KEYWORDS).fetchall()}))


@functools.cache
def functions_by_family() -> dict[str, tuple[str, ...]]:
    """The scalar functions that may be called: `numeric`, `string`, `datetime` and `system`.

    One that takes numbers and moments is in both. Those of lists, structs and JSON are in none:
    no standard has a family for them.
    """
    with duckdb.connect(":memory:") as connection:
        signatures: list[Signature] = connection.execute(_SIGNATURES).fetchall()
    allowed = allowed_functions()["scalar"]
    found: dict[str, set[str]] = {"numeric": set(), "string": set(), "datetime": set()}
    for signature in signatures:
        for family in _families(signature):
            found[family].add(signature[0])
    found["string"] -= _SYSTEM
    found["system"] = set(_SYSTEM)
    return {family: tuple(sorted(names & allowed)) for family, names in found.items()}


def _families(signature: Signature) -> Iterator[str]:
    _, parameters, result = signature
    plain = [(kind or "").partition("(")[0] for kind in parameters]
    first, gives = plain[0] if plain else "", result.partition("(")[0]
    if gives in _MOMENTS or _MOMENTS & set(plain):
        yield "datetime"
    elif "VARCHAR" in (first, gives):
        yield "string"
    elif gives in _NUMBERS and (first in _NUMBERS or not plain):
        yield "numeric"
