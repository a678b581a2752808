"""What stands before a statement: white space, comments, and EXPLAIN with its options.

DuckDB writes only the tree of a SELECT, so EXPLAIN is taken off here and the rest is parsed.
"""

from __future__ import annotations

import re

from flight_server.errors import ErrorCode, InvalidRequest, Unsupported

SELECT = "select"
EXPLAIN = "explain"
EXPLAIN_ANALYZE = "explain_analyze"

_TRIVIA = re.compile(r"(?:\s|\ufeff|--[^\r\n]*)+")
_COMMENT_MARK = re.compile(r"/\*|\*/")
_WORD = re.compile(r"\w+")
_OPTIONS = re.compile(r"\(\s*(?:analyze|format|verbose)\b[^()]*\)", re.IGNORECASE)


def split_prefix(sql: str) -> tuple[str, str]:
    """One of `select`, `explain`, `explain_analyze`, and the statement itself."""
    at = _after_trivia(sql, 0)
    if _word(sql, at) != "EXPLAIN":
        return SELECT, sql
    at = _after_trivia(sql, at + len("EXPLAIN"))
    if _word(sql, at) == "ANALYZE":
        return EXPLAIN_ANALYZE, sql[at + len("ANALYZE") :]
    if options := _OPTIONS.match(sql, at):
        return _kind(options[0][1:-1]), sql[options.end() :]
    return EXPLAIN, sql[at:]


def first_word(sql: str) -> str:
    """The word that a statement begins with, in capitals, for a message."""
    return _word(sql, _after_trivia(sql, 0))[:40] or "Such"


def _kind(options: str) -> str:
    kind = EXPLAIN
    for option in options.split(","):
        words = tuple(option.upper().replace("'", " ").split())
        if words in {("ANALYZE",), ("ANALYZE", "TRUE"), ("ANALYZE", "ON")}:
            kind = EXPLAIN_ANALYZE
        elif words not in {("FORMAT", "TEXT"), ("FORMAT", "DEFAULT")}:
            raise Unsupported(
                f"EXPLAIN does not support the option '{option.strip()}': plans are text. "
                "Write EXPLAIN or EXPLAIN ANALYZE."
            )
    return kind


def _word(sql: str, at: int) -> str:
    word = _WORD.match(sql, at)
    return word[0].upper() if word else ""


def _after_trivia(sql: str, at: int) -> int:
    """Where the first thing stands that is neither space nor comment."""
    while True:
        if trivia := _TRIVIA.match(sql, at):
            at = trivia.end()
        elif sql.startswith("/*", at):
            at = _after_comment(sql, at)
        else:
            return at


def _after_comment(sql: str, at: int) -> int:
    """Where a comment ends; in DuckDB, as in PostgreSQL, comments nest."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(sql, at):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return mark.end()
    raise InvalidRequest("A comment (/*) is not closed.", code=ErrorCode.INVALID_SQL)
