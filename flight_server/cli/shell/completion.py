"""What Tab offers: words of SQL, names the server knows, commands, files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from flight_server.cli.options import Output
from flight_server.cli.shell.commands import COMMANDS
from flight_server.cli.shell.names import Known
from flight_server.cli.shell.splitting import Splitter, opened_at_end
from flight_server.model import DEFAULT_CATALOG, DEFAULT_NAMESPACE, TableRef, quoted

KEYWORDS = (
    "ADD", "ALL", "ALTER", "ANALYZE", "AND", "ANTI", "AS", "ASC", "ASOF", "BEGIN", "BETWEEN", "BY",
    "CASE", "CAST", "COLUMN", "COMMENT", "COMMIT", "CREATE", "CROSS", "CURRENT_DATE",
    "CURRENT_TIMESTAMP", "DEFAULT", "DELETE", "DESC", "DESCRIBE", "DISTINCT", "DROP", "ELSE", "END",
    "EXCEPT", "EXCLUDE", "EXISTS", "EXPLAIN", "FALSE", "FILTER", "FROM", "FULL", "GROUP", "HAVING",
    "IF", "ILIKE", "IN", "INNER", "INSERT", "INTERSECT", "INTERVAL", "INTO", "IS", "JOIN", "KEY",
    "LATERAL", "LEFT", "LIKE", "LIMIT", "MATCHED", "MERGE", "NOT", "NULL", "NULLS", "OFFSET", "ON",
    "OR", "ORDER", "OVER", "PARTITION", "PIVOT", "PRIMARY", "QUALIFY", "RENAME", "REPLACE", "RIGHT",
    "ROLLBACK", "SAMPLE", "SCHEMA", "SELECT", "SEMI", "SET", "SHOW", "SUMMARIZE", "TABLE", "TEMP",
    "THEN", "TO", "TRUE", "TRUNCATE", "UNION", "UNPIVOT", "UPDATE", "USE", "USING", "VALUES",
    "WHEN", "WHERE", "WINDOW", "WITH",
)  # fmt: skip
FUNCTIONS = (
    "abs", "avg", "ceil", "coalesce", "concat", "count", "date_diff", "date_part", "date_trunc",
    "first", "floor", "last", "length", "list", "lower", "max", "median", "min", "now", "nullif",
    "quantile", "replace", "round", "row_number", "stddev", "substring", "sum", "trim", "unnest",
    "upper",
)  # fmt: skip
# Words after which a table stands, and those after which its alias does not.
_BEFORE_TABLES = re.compile(r"\b(from|join|into|update|table|describe|summarize|truncate)$", re.I)
_NAME = r'(?:"(?:[^"]|"")*"|\w+)(?:\.(?:"(?:[^"]|"")*"|\w+))*'
_USED = re.compile(
    rf"\b(?:from|join|into|update|table|,)\s+({_NAME})(?:\s+(?:as\s+)?(\w+))?", re.IGNORECASE
)
_USED_AFTER_COMMA = re.compile(rf",\s*({_NAME})(?:\s+(?:as\s+)?(\w+))?", re.IGNORECASE)
_QUALIFIERS = re.compile(r'(?:(?:"(?:[^"]|"")*"|\w+)\.)*')
_WORD = re.compile(r'(?:(?:"(?:[^"]|"")*"|\w+)\.)*(?:"[^"]*|\w*)$')


class ShellCompleter(Completer):
    """Completes a line of the shell; `known` gives the server's names."""

    def __init__(self, known: Callable[[], Known]) -> None:
        self._known = known
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterable[Completion]:
        """What may stand at the cursor, the likeliest first."""
        before = document.text_before_cursor
        if before.lstrip().startswith("\\"):
            return self._command(before.lstrip(), event)
        opened = opened_at_end(before)
        if opened not in ("", '"'):
            return ()
        found = _WORD.search(before)
        word = found[0] if found else ""
        return self._sql(_statement(document), before[: len(before) - len(word)], word)

    def _command(self, line: str, event: CompleteEvent) -> Iterator[Completion]:
        name, space, argument = line.partition(" ")
        if not space:
            for command, what in COMMANDS.items():
                if command.startswith(name):
                    yield Completion(command, -len(name), display_meta=what.meaning)
        elif name in (r"\i", r"\o"):
            yield from self._paths.get_completions(Document(argument), event)
        elif name in (r"\d", r"\history"):
            yield from _starting(argument, map(str, sorted(self._known().tables)), "table")
        elif name == r"\output":
            yield from _starting(argument, Output, "")
        elif name in (r"\timing", r"\x"):
            yield from _starting(argument, ("on", "off"), "")

    def _sql(self, statement: str, before: str, word: str) -> Iterator[Completion]:
        known = self._known()
        qualifier, last = _parted(word)
        if qualifier:
            yield from _starting(last, _columns_of(known, statement, qualifier), "column")
            yield from _starting(last, _tables_in(known, qualifier), "table")
            return
        if _BEFORE_TABLES.search(before.rstrip()):
            yield from _names(known, word)
            return
        if not word:
            return
        yield from _starting(word, _columns_used(known, statement), "column")
        yield from _names(known, word)
        if not word.startswith('"'):
            yield from _starting(word, map(_cased(word), KEYWORDS), "")
            yield from _starting(word, FUNCTIONS, "function")


def _names(known: Known, word: str) -> Iterator[Completion]:
    tables = [
        ".".join(_sql_name(part) for part in table.path)
        for table in sorted(known.tables, key=_nearness)
    ]
    namespaces = [_sql_name(name) for name in known.namespaces if name != DEFAULT_NAMESPACE]
    yield from _starting(word, tables, "table")
    yield from _starting(word, namespaces, "namespace")


def _nearness(table: TableRef) -> tuple[bool, bool, TableRef]:
    """Sorts tables with short names before those with long ones."""
    return table.catalog != DEFAULT_CATALOG, table.namespace != DEFAULT_NAMESPACE, table


def _starting(word: str, names: Iterable[str], what: str) -> Iterator[Completion]:
    """Those of the names that go on from the word, once each."""
    wanted = word.strip('"').lower()
    for name in dict.fromkeys(names):
        if name.strip('"').lower().startswith(wanted):
            yield Completion(name, -len(word), display_meta=what)


def _cased(word: str) -> Callable[[str], str]:
    return str.upper if word.isupper() else str.lower


def _statement(document: Document) -> str:
    """The statement that the cursor is in."""
    splitter = Splitter()
    list(splitter.feed(document.text_before_cursor))
    begun = [piece.text for piece in splitter.rest()]
    after = [piece.text for piece in splitter.feed(document.text_after_cursor + ";")]
    return " ".join([*begun, *after[:1]])


def _parted(word: str) -> tuple[str, str]:
    """What stands before the last dot that is not within quotes, and what stands after it."""
    qualifiers = _QUALIFIERS.match(word)
    end = qualifiers.end() if qualifiers else 0
    return word[: max(end - 1, 0)], word[end:]


def _columns_of(known: Known, statement: str, qualifier: str) -> list[str]:
    """The columns of a table of the statement, found by its name or its alias."""
    wanted = qualifier.lower()
    for name, alias in _used(statement):
        table = _found(known, name)
        if table and wanted in (alias.lower(), name.lower(), table.name.lower()):
            return [_sql_name(column) for column in known.tables[table]]
    return []


def _columns_used(known: Known, statement: str) -> list[str]:
    tables = [_found(known, name) for name, _ in _used(statement)]
    return [_sql_name(column) for table in tables if table for column in known.tables[table]]


def _used(statement: str) -> list[tuple[str, str]]:
    """The names that stand where tables stand, each with what may be its alias."""
    return _USED.findall(statement) + _USED_AFTER_COMMA.findall(statement)


def _found(known: Known, name: str) -> TableRef | None:
    parts = [part.strip('"').lower() for part in re.findall(r'"[^"]*"|\w+', name)]
    defaults = [DEFAULT_CATALOG, DEFAULT_NAMESPACE]
    full = [*defaults[: 3 - len(parts)], *parts]
    for table in known.tables:
        if [table.catalog.lower(), table.namespace.lower(), table.name.lower()] == full:
            return table
    return None


def _tables_in(known: Known, qualifier: str) -> list[str]:
    """The tables of a namespace, or of a catalog and a namespace."""
    parts = [part.strip('"').lower() for part in re.findall(r'"[^"]*"|\w+', qualifier)]
    return [
        _sql_name(table.name)
        for table in sorted(known.tables)
        if parts in ([table.namespace.lower()], [table.catalog.lower(), table.namespace.lower()])
    ]


def _sql_name(name: str) -> str:
    is_plain = re.fullmatch(r"[^\W\d]\w*", name) and name.upper() not in KEYWORDS
    return name if is_plain else quoted(name)
