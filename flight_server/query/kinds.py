"""Any statement of a client: a query, or one that writes, taken apart by its kind.

DuckDB's parser says that the text is one statement and of which kind; the words say which of our
shapes it has. What neither knows is refused.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from flight_server.errors import ErrorCode, Forbidden, InvalidRequest, PixelflightError
from flight_server.query import dialect
from flight_server.query.alterations import alter, comment
from flight_server.query.controls import control, refuse_savepoint, use
from flight_server.query.definitions import create, drop
from flight_server.query.merges import merge
from flight_server.query.row_writes import Context, delete, insert, update
from flight_server.query.statement import CACHED_CHARACTERS_MAX, Statement, parse
from flight_server.query.words import Words
from flight_server.query.writes import Write, parameters_of

Reader = Callable[[Words, Context], Write]

# The kinds that DuckDB may call it, and who reads it, by the word a statement begins with.
_READERS: dict[str, tuple[str, Reader]] = {
    "INSERT": ("INSERT", insert),
    "UPDATE": ("UPDATE", update),
    "DELETE": ("DELETE", delete),
    "TRUNCATE": ("DELETE", delete),
    "MERGE": ("MERGE_INTO", merge),
    "CREATE": ("CREATE", create),
    "DROP": ("DROP", drop),
    "ALTER": ("ALTER", alter),
    "COMMENT": ("ALTER", comment),
    "USE": ("SET", lambda words, _: use(words)),
    "SET": ("SET", lambda words, _: use(words)),
    **{
        verb: ("TRANSACTION", lambda words, _: control(words))
        for verb in ("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT")
    },
}
_WITH_TAKERS = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})


def parse_any(
    sql: str, *, default_catalog: str = "lake", default_namespace: str = "main"
) -> Statement | Write:
    """The statement, or why it is refused: as `parse`, and statements that write besides."""
    if len(sql) > CACHED_CHARACTERS_MAX:
        return _parsed(sql, default_catalog, default_namespace)
    return _parsed_before(sql, default_catalog, default_namespace)


def _parsed(sql: str, default_catalog: str, default_namespace: str) -> Statement | Write:
    dialect.check_text(sql)
    words = Words(sql)
    with_clause = _with_clause(words)
    verb = words.peek()
    if verb in ("SAVEPOINT", "RELEASE") or (verb == "ROLLBACK" and words.peek(1) == "TO"):
        refuse_savepoint()
    if verb not in (_WITH_TAKERS if with_clause else _READERS):
        return parse(sql, default_catalog=default_catalog, default_namespace=default_namespace)
    expected, reader = _READERS[verb]
    kind, parameters = dialect.confirmed_kind(sql)
    if kind != expected:
        raise Forbidden(f"{verb} {words.peek(1)} statements are not allowed.")
    found = reader(words, Context((default_catalog, default_namespace), with_clause))
    _check_parameters(found, parameters)
    return found


_parsed_before = functools.lru_cache(maxsize=256)(_parsed)


def _with_clause(words: Words) -> str:
    """The text of the WITH that a statement begins with; the cursor stands behind it then.

    What is not read as one is left to DuckDB's parser, which has its tree.
    """
    if not words.take("WITH"):
        return ""
    if words.peek(1) not in ("AS", "("):
        words.take("RECURSIVE")
    try:
        while True:
            words.name("name")
            _pass_brackets(words)
            if words.take("USING", "KEY"):
                _pass_brackets(words)
            words.expect("AS")
            words.take("NOT")
            words.take("MATERIALIZED")
            _pass_brackets(words)
            if not words.take(","):
                return words.passed()
    except PixelflightError:
        return words.passed()


def _pass_brackets(words: Words) -> None:
    if words.take("("):
        words.until(")")
        words.expect(")")


def _check_parameters(found: Write, parameters: frozenset[str]) -> None:
    """Every parameter must have found its place: one that is left out could not be bound."""
    lost = parameters - set(parameters_of(found))
    if lost:
        raise InvalidRequest(
            f"The parameter '{min(lost)}' stands where no parameter can, or `?` and `$1` are "
            "mixed. Write the value there, and number all parameters or none.",
            code=ErrorCode.INVALID_SQL,
        )
