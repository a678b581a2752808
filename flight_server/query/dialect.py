"""DuckDB's own parser as two pure functions: SQL to its parse tree, and the tree back to SQL.

The parser runs on a private, empty, locked connection: nothing that is parsed here is executed.
What `written` returns is parsed once more and compared with the tree it came from, so that what
was checked is what will run, whatever DuckDB's writer may get wrong.

Knows nothing of tables, functions or rights: `grammar`, `functions` and `checker` do.
"""

from __future__ import annotations

import functools
import json
import re
import threading
from typing import Any, NoReturn

import duckdb

from flight_server.errors import ErrorCode, Forbidden, InvalidRequest, PixelflightError, Unsupported
from flight_server.query.prefix import first_word

SQL_BYTES_MAX = 2**20
# A tree takes ten times as much memory as this text of it, and a list of constants is most of it.
TREE_BYTES_MAX = 16 * 2**20

# DuckDB's lexer takes the square of the length of a row of operator signs, which comments begin
# with too, and the cube of one of plus and minus signs: a kilobyte of them can take a minute.
_ENDLESS = re.compile(r"[-+*/<>=~!@#%^&|`?]{256}|(?:\+|-(?!-)){32}")

Tree = dict[str, Any]

# The name of an argument in a call.
_ARGUMENT = re.compile(r"(\w+)\s*(?::=|=>)")

_WRITING = frozenset(
    {"INSERT", "UPDATE", "DELETE", "MERGE_INTO", "CREATE", "CREATE_FUNC", "DROP", "ALTER"}
    | {"TRANSACTION"}
)

_ALLOWED = (
    "Send a query, or INSERT, UPDATE, DELETE, MERGE, CREATE, ALTER, DROP, TRUNCATE, USE, BEGIN, "
    "COMMIT or ROLLBACK."
)

# What DuckDB makes of one ALTER TABLE … ADD COLUMN whose default is a call, as now() is; what
# stands around it is not always of the same kind.
_ADDED_COLUMN = ["ALTER", "UPDATE", "ALTER"]
# What it says of NOT NULL behind ADD COLUMN, and of ADD and DROP CONSTRAINT.
_UNFINISHED = re.compile("Adding columns with constraints|No support for that ALTER TABLE option")


def parsed(sql: str) -> Tree:
    """The tree of the one SELECT that the text holds.

    InvalidRequest (invalid_sql, too_large) quotes DuckDB's message; Unsupported and Forbidden
    name the kind of a statement that is no SELECT.
    """
    check_text(sql)
    text = _asked("SELECT json_serialize_sql(?)", sql)
    if len(text) > TREE_BYTES_MAX:
        raise _too_large("it holds too many expressions")
    answer = loaded(text)
    if answer["error"]:
        _refuse(sql, answer)
    statements = answer["statements"]
    if not statements:
        raise InvalidRequest("The SQL is empty: send one statement.", code=ErrorCode.INVALID_SQL)
    if len(statements) > 1:
        raise _several(len(statements))
    tree: Tree = statements[0]
    return tree


def confirmed_kind(sql: str) -> tuple[str, frozenset[str]]:
    """The kind of the one statement that is no SELECT, as DuckDB calls it, and its parameters.

    Errors as `parsed`. DuckDB's names of kinds are INSERT, MERGE_INTO, TRANSACTION and so on.
    """
    check_text(sql)
    try:
        statements = _cursor().extract_statements(sql)
    except duckdb.Error as error:
        if _UNFINISHED.search(str(error)):
            # It has been parsed, and this server can do it. Here too all words will be read.
            return "ALTER", frozenset()
        answer = loaded(_asked("SELECT json_serialize_sql(?)", sql))
        if answer["error"] and answer["error_type"] == "parser":
            _refuse(sql, answer)
        reason = str(error).partition(": ")[2] or str(error)
        raise InvalidRequest(
            f"The SQL does not parse: {reason}.", code=ErrorCode.INVALID_SQL
        ) from None
    kinds = [one.type.name for one in statements]
    if first_word(sql) == "ALTER" and len(kinds) == 5 and kinds[1:4] == _ADDED_COLUMN:
        # Whoever reads the words reads them all, and would find a second statement.
        return "ALTER", frozenset()
    if len(statements) != 1:
        raise _several(len(statements))
    return kinds[0], frozenset(statements[0].named_parameters)


def check_text(sql: str) -> None:
    """InvalidRequest for what is too long, or no text at all."""
    if "\0" in sql:
        raise InvalidRequest("The SQL holds a NUL character.", code=ErrorCode.INVALID_SQL)
    try:
        size = len(sql.encode())
    except UnicodeEncodeError:
        raise InvalidRequest(
            "The SQL holds half of a surrogate pair, which is no character.",
            code=ErrorCode.INVALID_SQL,
        ) from None
    if size > SQL_BYTES_MAX:
        raise _too_large(f"it has {size} bytes and {SQL_BYTES_MAX} are allowed")
    if row := _ENDLESS.search(sql):
        raise _too_large(f"it holds a row of {len(row[0])} signs or more, {row[0][:8]}…")


def written(tree: Tree) -> str:
    """The tree as SQL that parses to the same tree; Unsupported where DuckDB cannot write it."""
    answer = {"error": False, "statements": [tree]}
    try:
        sql: str = _asked("SELECT json_deserialize_sql(?::JSON)", json.dumps(answer))
    except duckdb.Error:
        raise _unwritable() from None
    again = json.loads(
        _asked("SELECT json_serialize_sql(?)", sql), object_hook=_without_differences
    )
    same = json.loads(json.dumps(answer), object_hook=_without_differences)
    if again != same:
        raise _unwritable()
    return sql


def loaded(text: str) -> Any:
    """The JSON of a tree, with numbers that JSON has no word for refused."""
    try:
        return json.loads(text, parse_constant=_refuse_number)
    except RecursionError:
        raise _too_large("it is nested too deeply") from None


def asked_micros(moment: str) -> int:
    """The moment that DuckDB reads in a text, in microseconds since 1970 in UTC."""
    micros = _asked("SELECT epoch_us(TRY_CAST(? AS TIMESTAMPTZ))", moment)
    if micros is None:
        raise InvalidRequest(
            f"'{moment}' is not a moment. Write AT (TIMESTAMP => '2024-01-31 12:00:00').",
            code=ErrorCode.INVALID_SQL,
        )
    return int(micros)


def asked_type(sql: str) -> Any:
    """DuckDB's object for the type of the one column of a query, which is bound and not run."""
    try:
        return _cursor().sql(sql).types[0]
    except duckdb.Error as error:
        raise InvalidRequest(
            str(error).partition(": ")[2].partition("\n")[0], code=ErrorCode.INVALID_SQL
        ) from None


def _refuse(sql: str, answer: Tree) -> NoReturn:
    """Says why DuckDB made no tree: the text does not parse, or it is no SELECT."""
    message = str(answer["error_message"])
    if "expression depth" in message or "memory exhausted" in message:
        raise _too_large("it is nested too deeply")
    if answer["error_type"] == "parser":
        details = {"position": int(answer["position"])} if "position" in answer else {}
        hint = _hint(sql, details["position"]) if details else ""
        raise InvalidRequest(
            f"The SQL does not parse: {_shown(sql, message)}{hint}",
            code=ErrorCode.INVALID_SQL,
            details=details,
        )
    raise _not_a_select(sql)


def _hint(sql: str, position: int) -> str:
    """How a word of SQL's own names an argument, where that is what did not parse."""
    found = _ARGUMENT.match(sql.encode()[position:].decode(errors="ignore"))
    if found is None:
        return ""
    word = found[1]
    return f"\nAs the name of an argument '{word}' stands in double quotes: \"{word}\" := …"


def _shown(sql: str, message: str) -> str:
    """DuckDB's message with the line and a caret under the place, where it gives them."""
    try:
        _cursor().extract_statements(sql)
    except duckdb.ParserException as error:
        return str(error).removeprefix("Parser Error: ")
    except duckdb.Error:
        pass
    return message + "."


def _not_a_select(sql: str) -> PixelflightError:
    try:
        statements = _cursor().extract_statements(sql)
    except duckdb.Error:
        return Forbidden(f"This kind of statement is not allowed. {_ALLOWED}")
    # PIVOT becomes several statements, which have no text of their own.
    if not all(statement.query for statement in statements) and "pivot" in sql.lower():
        return Unsupported(
            "PIVOT without a list of values is not supported: name them, "
            "as in PIVOT t ON column IN ('a', 'b') USING sum(x)."
        )
    if len({statement.query for statement in statements}) > 1:
        return _several(len(statements))
    kind = statements[0].type.name if statements else "???"
    if kind in _WRITING:
        return Unsupported(
            f"{kind.split('_')[0]} statements are not queries, and only a query can stand in a "
            "view or behind EXPLAIN. Send a statement that writes by itself."
        )
    word = "PRAGMA" if kind == "SELECT" else first_word(sql)
    return Forbidden(f"{word} statements are not allowed. {_ALLOWED}")


def _several(count: int) -> InvalidRequest:
    return InvalidRequest(
        f"The SQL holds {count} statements: send one at a time.", code=ErrorCode.INVALID_SQL
    )


def _too_large(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"The SQL is too large: {why}. Long lists of values are better sent as a parameter.",
        code=ErrorCode.TOO_LARGE,
    )


def _unwritable() -> Unsupported:
    return Unsupported(
        "The statement holds something that DuckDB cannot write out again unchanged. "
        "Write it in another way: literals by CAST, subqueries by WITH."
    )


def _refuse_number(constant: str) -> NoReturn:
    raise InvalidRequest(
        f"A number is beyond what DOUBLE holds ({constant}). Write CAST('inf' AS DOUBLE).",
        code=ErrorCode.INVALID_SQL,
    )


def _without_differences(node: Tree) -> Tree:
    """Takes away what may differ between a tree and the tree of its text.

    That is where things stood in the text, the hints of WITH, which the parser drops, the list of
    parameters, which only says again which there are, and a `SELECT *` that the writer puts
    around VALUES.
    """
    node.pop("query_location", None)
    node.pop("materialized", None)
    node.pop("named_param_map", None)
    if node.get("type") == "SUBQUERY" and node.get("alias") == "valueslist":
        inner = node["subquery"]["node"]
        source = inner.get("from_table") or {}
        if source.get("type") == "EXPRESSION_LIST" and _plain_star().items() <= inner.items():
            return dict(source)
    return node


def _asked(query: str, argument: str) -> Any:
    row = _cursor().execute(query, [argument]).fetchone()
    assert row is not None, "a SELECT of one expression has one row"
    return row[0]


_local = threading.local()


def _cursor() -> duckdb.DuckDBPyConnection:
    """This thread's cursor on the one private database."""
    if not hasattr(_local, "cursor"):
        _local.cursor = _database().cursor()
    cursor: duckdb.DuckDBPyConnection = _local.cursor
    return cursor


@functools.cache
def _database() -> duckdb.DuckDBPyConnection:
    settings: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "enable_external_access": False,
        "autoload_known_extensions": False,
        "autoinstall_known_extensions": False,
        "allow_community_extensions": False,
        "python_enable_replacements": False,
    }
    connection = duckdb.connect(":memory:", config=settings)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET lock_configuration = true")
    return connection


@functools.cache
def _plain_star() -> Tree:
    text = _asked("SELECT json_serialize_sql(?)", "SELECT * FROM (VALUES (1)) AS valueslist")
    node = json.loads(text, object_hook=_without_location)["statements"][0]["node"]
    return {key: value for key, value in node.items() if key != "from_table"}


def _without_location(node: Tree) -> Tree:
    node.pop("query_location", None)
    return node
