"""Lists of names and filters as text, as they stand in URLs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from flight_server.bodies.filters import Where
from flight_server.errors import InvalidRequest


def names_in(text: str | None, what: str) -> tuple[str, ...] | None:
    """`a,b`, with a name that holds a comma in double quotes, or a JSON list. InvalidRequest."""
    if text is None:
        return None
    if text.startswith("["):
        found = _loaded(text)
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise InvalidRequest(f"'{what}' is '{text[:80]}', which is no JSON list of names.")
        return tuple(found)
    return tuple(_separated(text, what))


def where_in(text: str | None) -> Where:
    """A filter: an object of JSON, or else a predicate of SQL."""
    if text is not None and text.lstrip().startswith("{"):
        found = _loaded(text)
        if isinstance(found, dict):
            return found
    return text


def order_in(text: str | None) -> Sequence[Any] | str | None:
    """An order: a list of JSON, or else SQL."""
    if text is not None and text.lstrip().startswith("["):
        found = _loaded(text)
        if isinstance(found, list):
            return found
    return text


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _separated(text: str, what: str) -> list[str]:
    names, at = [], 0
    while True:
        if text[at : at + 1] == '"':
            end = at + 1
            while (end := text.find('"', end)) >= 0 and text[end + 1 : end + 2] == '"':
                end += 2
            if end < 0 or text[end + 1 : end + 2] not in ("", ","):
                raise InvalidRequest(f"'{what}' is '{text[:80]}', where a quote is not closed.")
            name, at = text[at + 1 : end].replace('""', '"'), end + 1
        else:
            end = text.find(",", at)
            end = len(text) if end < 0 else end
            name, at = text[at:end].strip(), end
        names.append(name)
        if at >= len(text):
            return names
        at += 1
