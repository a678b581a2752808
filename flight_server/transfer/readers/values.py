"""The values of one record of CSV, taken apart where Arrow does not."""

from __future__ import annotations

from typing import Any

from flight_server.formats.inference import Dialect


def values_of(record: str, dialect: Dialect, nulls: tuple[str, ...] = ()) -> list[Any]:
    """The values of one record; None for what is null, which within quotes nothing is."""
    found: list[Any] = []
    rest, quote = record.rstrip("\r\n"), dialect.quote
    while True:
        value, is_quoted = "", False
        if rest.startswith(quote):
            value, rest, is_quoted = *_unquoted(rest, quote), True
        end = rest.find(dialect.delimiter)
        value += rest if end < 0 else rest[:end]
        found.append(None if not is_quoted and (not value or value in nulls) else value)
        if end < 0:
            return found
        rest = rest[end + 1 :]


def _unquoted(text: str, quote: str) -> tuple[str, str]:
    """What stands within the quotes that a text begins with, and the rest behind them."""
    parts: list[str] = []
    at = 1
    while True:
        end = text.find(quote, at)
        if end < 0:
            return "".join([*parts, text[at:]]), ""
        if text[end + 1 : end + 2] != quote:
            return "".join([*parts, text[at:end]]), text[end + 1 :]
        parts.append(text[at : end + 1])
        at = end + 2
