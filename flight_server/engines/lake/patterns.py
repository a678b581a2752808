"""JSON Schema's regular expressions, in the dialect that DuckDB runs.

JSON Schema means ECMAScript's, DuckDB has RE2. Most of both is the same; what is written alike and
means something else is translated, and what RE2 does not have is refused, here or by RE2 itself.
"""

from __future__ import annotations

import re

from flight_server.errors import InvalidRequest

# Escapes that mean the same in both, before marks that are no letters or digits.
_SHARED = frozenset("dDwWbBtnvfrpP")
_SPACES = r"\t\n\v\f\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
_SPACES += r"\x{feff}"
_ANY = r"[^\n\r\x{2028}\x{2029}]"
_UNICODE = re.compile(r"u(?:\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{4}))|x([0-9a-fA-F]{2})")


def translated_pattern(pattern: str) -> str:
    """The pattern as RE2 reads it. InvalidRequest says what cannot be said there."""
    found, at, in_class = [], 0, False
    while at < len(pattern):
        mark = pattern[at]
        if mark == "\\":
            text, at = _escape(pattern, at + 1, in_class)
            found.append(text)
            continue
        if in_class:
            if pattern.startswith("[:", at):
                raise _refused(pattern, "a class such as [:alpha:] means something else there")
            in_class = mark != "]"
        elif mark == "[":
            in_class = True
            if pattern.startswith(("[]", "[^]"), at):
                raise _refused(pattern, "an empty class is not supported")
        elif pattern.startswith("(?", at) and not pattern.startswith("(?:", at):
            raise _refused(pattern, f"'{pattern[at : at + 4]}' is not supported")
        found.append(_ANY if mark == "." and not in_class else mark)
        at += 1
    return "".join(found)


def _escape(pattern: str, at: int, in_class: bool) -> tuple[str, int]:
    """The escape whose backslash stands before `at`, and where it ends."""
    mark = pattern[at : at + 1]
    if (match := _UNICODE.match(pattern, at)) is not None:
        return rf"\x{{{match[1] or match[2] or match[3]}}}", match.end()
    if mark == "s":
        return (_SPACES if in_class else f"[{_SPACES}]"), at + 1
    if mark == "S" and not in_class:
        return f"[^{_SPACES}]", at + 1
    if mark == "0" and not pattern[at + 1 : at + 2].isdigit():
        return r"\x{0}", at + 1
    if mark in _SHARED or (mark and mark.isascii() and not mark.isalnum() and mark != "_"):
        return f"\\{mark}", at + 1
    raise _refused(pattern, f"'\\{mark}' is not supported{' within a class' if in_class else ''}")


def _refused(pattern: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"The pattern '{pattern[:200]}' cannot be enforced: {why}.")
