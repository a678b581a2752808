"""BEGIN, COMMIT, ROLLBACK, and USE: statements about the session and not about data."""

from __future__ import annotations

import json
from typing import NoReturn

from flight_server.errors import ErrorCode, Forbidden, InvalidRequest, Unsupported
from flight_server.query import dialect
from flight_server.query.words import Words
from flight_server.query.writes import Control, Use

_VERBS = {
    "BEGIN": "begin",
    "START": "begin",
    "COMMIT": "commit",
    "END": "commit",
    "ROLLBACK": "rollback",
    "ABORT": "rollback",
}


def control(words: Words) -> Control:
    """`BEGIN`, `START TRANSACTION`, `COMMIT`, `END`, `ROLLBACK`, `ABORT`."""
    verb = next(verb for verb in _VERBS if words.take(verb))
    if not words.take("TRANSACTION"):
        words.take("WORK")
    if words.take("READ", "ONLY"):
        raise Unsupported(
            "READ ONLY transactions are not supported, and none has begun: write BEGIN TRANSACTION."
        )
    words.take("READ", "WRITE")
    words.end()
    return Control(_VERBS[verb])


def use(words: Words) -> Use:
    """`USE [catalog.]namespace`, `SET SCHEMA 'namespace'`: one name may be a catalog's as well."""
    if words.take("SET"):
        if not words.take("SCHEMA"):
            raise Forbidden(
                "SET statements are not allowed: USE [catalog.]namespace says what bare names "
                "mean, and other options are the session's."
            )
        if not words.take("="):
            words.take("TO")
        return _used(_text(words.rest()).split("."))
    words.expect("USE")
    parts = words.dotted("namespace")
    words.end()
    return _used(parts)


def refuse_savepoint() -> NoReturn:
    """Always Unsupported."""
    raise Unsupported(
        "Savepoints are not supported, for the engine has none: "
        "COMMIT what is done, or ROLLBACK all of the transaction."
    )


def _used(parts: list[str]) -> Use:
    if len(parts) > 2:
        raise InvalidRequest(
            f"USE takes one or two names, not {len(parts)}: USE [catalog.]namespace.",
            code=ErrorCode.INVALID_SQL,
        )
    return Use(*parts)


def _text(piece: str) -> str:
    """The text of a literal or of a name."""
    node = dialect.parsed(f"SELECT {piece}\n")["node"]["select_list"][0]
    if node["class"] == "COLUMN_REF":
        return ".".join(node["column_names"])
    value = node["value"].get("value") if node["class"] == "CONSTANT" else None
    if not isinstance(value, str):
        raise InvalidRequest(
            f"{json.dumps(piece.strip())} is no name. Write SET SCHEMA 'sales'.",
            code=ErrorCode.INVALID_SQL,
        )
    return value
