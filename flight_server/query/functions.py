"""Which functions SQL from clients may call.

The lists are data: `allowed_functions.txt` by kind, `refused_functions.txt` by reason. Only what
is allowed passes; the reasons make the errors say why the others do not.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection
from fnmatch import fnmatchcase
from importlib import resources

from flight_server.errors import ErrorCode, Forbidden, InvalidRequest, did_you_mean

SCALAR = frozenset({"scalar"})
IN_SELECT = frozenset({"scalar", "aggregate"})
OVER_WINDOW = frozenset({"window", "aggregate"})
IN_FROM = frozenset({"table"})

# Functions that take a lambda; elsewhere the arrow means JSON extraction.
LAMBDA_FUNCTIONS = frozenset(
    f"{prefix}{verb}"
    for prefix in ("", "list_", "array_")
    for verb in ("apply", "filter", "reduce", "transform")
) - {"transform"}


def check_function(name: str, schema: str, catalog: str, kinds: Collection[str]) -> None:
    """Forbidden, with the reason, unless the function may be called as one of the kinds.

    InvalidRequest (invalid_sql) for a name that nobody knows.
    """
    lowered = name.lower()
    # The parser itself puts `main` before the functions that operators stand for.
    if catalog or schema not in ("", "main"):
        raise Forbidden(
            f"The function {'.'.join(filter(None, (catalog, schema, name)))} is refused: "
            "functions are called by their bare name."
        )
    if any(lowered in allowed_functions()[kind] for kind in kinds):
        return
    for pattern, reason in refused_functions().items():
        if fnmatchcase(lowered, pattern) or fnmatchcase(f"{min(kinds)} {lowered}", pattern):
            raise Forbidden(f"The function '{name}' is refused: it {reason}.")
    raise InvalidRequest(_unusable(lowered, kinds), code=ErrorCode.INVALID_SQL)


@functools.cache
def allowed_functions() -> dict[str, frozenset[str]]:
    """The names of each kind: `scalar`, `aggregate`, `window`, `table`."""
    return {kind: frozenset(names) for kind, names in _sections("allowed_functions.txt").items()}


@functools.cache
def refused_functions() -> dict[str, str]:
    """Patterns of names, some after their kind, and the reason of each."""
    sections = _sections("refused_functions.txt")
    return {name: reason for reason, names in sections.items() for name in names}


def _unusable(name: str, kinds: Collection[str]) -> str:
    known = [kind for kind, names in allowed_functions().items() if name in names]
    if known:
        here = "in FROM" if kinds == IN_FROM else "here"
        return f"The function '{name}' cannot be used {here}: it is a function of another kind."
    names = {name for kind in kinds for name in allowed_functions()[kind]}
    return f"There is no function '{name}' that may be used here.{did_you_mean(name, names)}"


def _sections(file: str) -> dict[str, list[str]]:
    text = resources.files("flight_server.query").joinpath(file).read_text("utf-8")
    sections: dict[str, list[str]] = {}
    for line in text.splitlines():
        if heading := re.fullmatch(r"\[(.+)\]", line):
            names = sections.setdefault(heading[1], [])
        elif line and not line.startswith("#"):
            names.append(line.lower())
    return sections
