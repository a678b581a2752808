"""CREATE and DROP of tables, views and schemas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn

from flight_server.errors import ErrorCode, InvalidRequest, NotFound, Unsupported
from flight_server.model import (
    DEFAULT_NAMESPACE,
    HIDDEN_PREFIX,
    TEMPORARY_CATALOG,
    NamespaceRef,
    TableRef,
    quoted,
)
from flight_server.query.column_types import column_type
from flight_server.query.expressions import check_literal
from flight_server.query.row_writes import Context, check_columns
from flight_server.query.rules import check_rule
from flight_server.query.tables import TableUse, folded
from flight_server.query.words import Words
from flight_server.query.writes import (
    Column,
    CreateNamespace,
    CreateTable,
    CreateView,
    DropNamespace,
    DropTable,
    DropView,
)

# Where a column's type or default ends.
CONSTRAINTS = (
    "NOT",
    "NULL",
    "DEFAULT",
    "PRIMARY",
    "UNIQUE",
    "CHECK",
    "REFERENCES",
    "CONSTRAINT",
    "COLLATE",
    "GENERATED",
    "AS",
    "USING",
)
_REMEDIES = {
    "UNIQUE": "Declare PRIMARY KEY, by which rows can be merged",
    "REFERENCES": "Tables are not bound to each other",
    "FOREIGN": "Tables are not bound to each other",
    "COLLATE": "Give COLLATE in the query that compares",
    "GENERATED": "Compute the value in the query that reads",
    "AS": "Compute the value in the query that reads",
    "USING": "Files are compressed by the server",
    "LIKE": "Write CREATE TABLE … AS FROM t WITH NO DATA",
}


@dataclass
class _Definition:
    """The elements of a CREATE TABLE as they are read; `untyped` are names alone."""

    columns: list[Column] = field(default_factory=list)
    untyped: list[str] = field(default_factory=list)
    key: tuple[str, ...] = ()
    checks: list[tuple[str, str]] = field(default_factory=list)


def create(words: Words, context: Context) -> CreateTable | CreateView | CreateNamespace:
    """`CREATE [OR REPLACE] [TEMP] TABLE …`, `CREATE [OR REPLACE] VIEW …`, `CREATE SCHEMA …`."""
    words.expect("CREATE")
    or_replace = words.take("OR", "REPLACE")
    if words.take("SCHEMA"):
        if or_replace:
            raise Unsupported("CREATE OR REPLACE SCHEMA is not supported: DROP SCHEMA first.")
        if_not_exists = words.take("IF", "NOT", "EXISTS")
        namespace = _namespace(words, context)
        words.end()
        return CreateNamespace(namespace, if_not_exists)
    if words.take("VIEW"):
        return _view(words, context, or_replace)
    words.take("LOCAL")
    temporary = words.take("TEMP") or words.take("TEMPORARY")
    if temporary and words.peek() == "VIEW":
        raise Unsupported("Views are not temporary: write CREATE VIEW, or name the query by WITH.")
    if not words.take("TABLE"):
        _refuse_kind("CREATE", words)
    if_not_exists = words.take("IF", "NOT", "EXISTS")
    use, temporary = _new_table(context.target(words), temporary)
    made = CreateTable(use, or_replace=or_replace, if_not_exists=if_not_exists, temporary=temporary)
    return _with_content(made, words, context)


def drop(words: Words, context: Context) -> DropTable | DropView | DropNamespace:
    """`DROP TABLE [IF EXISTS] t`, `DROP VIEW …` alike, `DROP SCHEMA [IF EXISTS] s [CASCADE]`."""
    words.expect("DROP")
    what = words.peek()
    if what not in ("SCHEMA", "TABLE", "VIEW"):
        _refuse_kind("DROP", words)
    words.expect(what)
    if_exists = words.take("IF", "EXISTS")
    if what == "SCHEMA":
        namespace = _namespace(words, context)
    else:
        use = context.target(words)
    cascade = words.take("CASCADE")
    if not cascade:
        words.take("RESTRICT")
    if words.peek() == ",":
        raise Unsupported("One thing is dropped at a time: send a DROP for each.")
    words.end()
    if what == "SCHEMA":
        return DropNamespace(namespace, if_exists, cascade)
    return DropView(use, if_exists) if what == "VIEW" else DropTable(use, if_exists)


def column(words: Words, name: str) -> tuple[Column, bool]:
    """The type and constraints behind a column's name, and whether it is the key."""
    text = words.until(",", *CONSTRAINTS)
    found, is_key = Column(name, column_type(text, name)), False
    while not words.ended and words.peek() not in (",", ")"):
        label = words.name("constraint") if words.take("CONSTRAINT") else ""
        if words.peek() == "CHECK":
            found = replace(found, checks=(*found.checks, (label, predicate(words))))
        elif words.take("NOT", "NULL"):
            found = replace(found, nullable=False)
        elif words.take("NULL"):
            found = replace(found, nullable=True)
        elif words.take("DEFAULT"):
            found = replace(found, default=default(words))
        elif words.take("PRIMARY", "KEY"):
            found, is_key = replace(found, nullable=False), True
        else:
            _refuse_constraint(words, name)
    return found, is_key


def default(words: Words) -> str:
    """The default that comes; a NULL or NOT that it begins with is no constraint."""
    text = words.until(",", *CONSTRAINTS, least=1).strip()
    # What is refused here would be refused later, with less of it known.
    check_literal(text)
    return text


def _view(words: Words, context: Context, or_replace: bool) -> CreateView:
    if_not_exists = words.take("IF", "NOT", "EXISTS")
    use = context.target(words)
    columns = words.names("column name") if words.peek() == "(" else ()
    check_columns(columns)
    words.expect("AS")
    sql = words.rest().strip()
    if not sql:
        words.refuse()
    return CreateView(use, sql, columns, or_replace, if_not_exists)


def predicate(words: Words) -> str:
    """`CHECK (predicate)`."""
    words.expect("CHECK", "(")
    text = words.until(least=1).strip()
    words.expect(")")
    return text


def _with_content(made: CreateTable, words: Words, context: Context) -> CreateTable:
    """The table with its columns, or with the query that gives them."""
    definition = _definition(words) if words.peek() == "(" else _Definition()
    if words.take("AS"):
        if definition.columns:
            raise InvalidRequest(
                "CREATE TABLE … AS takes the types of its query: leave out those of the columns.",
                code=ErrorCode.INVALID_SQL,
            )
        return _as_query(made, words, context, definition.untyped)
    if words.peek() in ("PARTITIONED", "SORTED", "WITH"):
        raise Unsupported(
            f"{words.peek()} is not supported in CREATE TABLE: "
            "write ALTER TABLE t SET PARTITIONED BY (…) afterwards."
        )
    words.end()
    if definition.untyped:
        raise InvalidRequest(
            f"The column '{definition.untyped[0]}' has no type.", code=ErrorCode.INVALID_SQL
        )
    columns = _keyed(definition)
    return replace(made, columns=columns, key=definition.key, checks=_named_checks(definition))


def _named_checks(definition: _Definition) -> tuple[tuple[str, str], ...]:
    """All checks, checked, under names of their own. InvalidRequest where one comes twice."""
    columns = [one.name for one in definition.columns]
    given = [
        (name, f"{one.name}_check", text) for one in definition.columns for name, text in one.checks
    ]
    given += [(name, "check", text) for name, text in definition.checks]
    names = [name for name, _, _ in given if name]
    for name in names:
        if names.count(name) > 1:
            raise InvalidRequest(f"The check '{name}' is there twice.", code=ErrorCode.INVALID_SQL)
    found: dict[str, str] = {}
    for name, base, text in given:
        number = 1
        while not name:
            other = base if number == 1 else f"{base}_{number}"
            name, number = "" if other in found or other in names else other, number + 1
        found[name] = check_rule(text, columns)
    return tuple(found.items())


def _as_query(made: CreateTable, words: Words, context: Context, names: list[str]) -> CreateTable:
    text, with_data = _data_clause(words.rest())
    if names:
        listed = ", ".join(quoted(name) for name in names)
        text = f"SELECT * FROM ({text}\n) AS query ({listed})"
    return replace(made, query=context.statement(text + "\n"), with_data=with_data)


def _data_clause(text: str) -> tuple[str, bool]:
    """The query without the WITH [NO] DATA behind it, and whether its rows are wanted."""
    words = Words(text)
    query = words.until_last("WITH")
    for clause, with_data in ((("NO", "DATA"), False), (("DATA",), True)):
        if words.take("WITH", *clause) and words.ended:
            return query, with_data
    return text, True


def _definition(words: Words) -> _Definition:
    found = _Definition()
    words.expect("(")
    while True:
        _element(words, found)
        if not words.more():
            break
    words.expect(")")
    check_columns([*(one.name for one in found.columns), *found.untyped])
    return found


def _element(words: Words, found: _Definition) -> None:
    """One column, or one constraint of the table."""
    start, label = words.peek(), ""
    if start == "CONSTRAINT" and words.take("CONSTRAINT"):
        label = words.name("constraint")
        start = words.peek()
    if start == "CHECK" and words.peek(1) == "(":
        found.checks.append((label, predicate(words)))
        return
    if start == "PRIMARY" and words.take("PRIMARY", "KEY"):
        _set_key(found, words.names("column name"))
        return
    if start in ("UNIQUE", "FOREIGN", "LIKE"):
        _refuse_constraint(words, "")
    name = words.name("column name")
    if words.peek() in (",", ")"):
        found.untyped.append(name)
        return
    new, is_key = column(words, name)
    found.columns.append(new)
    if is_key:
        _set_key(found, (name,))


def _set_key(found: _Definition, key: tuple[str, ...]) -> None:
    if found.key:
        raise InvalidRequest("A table has one PRIMARY KEY.", code=ErrorCode.INVALID_SQL)
    check_columns(key)
    found.key = key


def _keyed(definition: _Definition) -> tuple[Column, ...]:
    """The columns, those of the key without nulls. InvalidRequest for a key of no column."""
    known: Mapping[str, str] = {folded(one.name): one.name for one in definition.columns}
    keys = {folded(name) for name in definition.key}
    for name in definition.key:
        if folded(name) not in known:
            raise InvalidRequest(
                f"PRIMARY KEY names the column '{name}', which the table does not have.",
                code=ErrorCode.COLUMN_NOT_FOUND,
            )
    return tuple(
        replace(one, nullable=one.nullable and folded(one.name) not in keys)
        for one in definition.columns
    )


def _new_table(use: TableUse, temporary: bool) -> tuple[TableUse, bool]:
    """The table that is made, in the catalog of temporary tables where it is to be one."""
    table = use.table
    named = TEMPORARY_CATALOG in (folded(table.catalog), folded(table.namespace))
    if temporary and not named and not use.bare:
        raise InvalidRequest(
            f"A temporary table is named by its name alone, not '{table}'.",
            code=ErrorCode.INVALID_NAME,
        )
    if temporary or named:
        return TableUse(TableRef(TEMPORARY_CATALOG, DEFAULT_NAMESPACE, table.name)), True
    return use, False


def _namespace(words: Words, context: Context) -> NamespaceRef:
    parts = words.dotted("namespace")
    if len(parts) > 2:
        raise InvalidRequest(
            f"A schema's name has two parts at most, not {len(parts)}: {'.'.join(parts)}. "
            "Nested ones are joined by '/': \"a/b\".",
            code=ErrorCode.INVALID_NAME,
        )
    catalog, name = [context.defaults[0], *parts][-2:]
    if folded(name).startswith(HIDDEN_PREFIX):
        raise NotFound(f"There is no namespace '{name}'.", code=ErrorCode.NAMESPACE_NOT_FOUND)
    return NamespaceRef(catalog, name)


def _refuse_constraint(words: Words, name: str) -> NoReturn:
    what = words.peek()
    if what not in _REMEDIES:
        words.refuse()
    where = f" (column '{name}')" if name else ""
    raise Unsupported(f"{what} is not supported in tables{where}. {_REMEDIES[what]}.")


def _refuse_kind(verb: str, words: Words) -> NoReturn:
    what = next(
        (words.peek(ahead) for ahead in range(4) if words.peek(ahead) in _KINDS), words.peek()
    )
    raise Unsupported(f"{verb} {what} is not supported: this server has tables, views and schemas.")


_KINDS = frozenset(
    {"MACRO", "FUNCTION", "TYPE", "INDEX", "SEQUENCE", "SECRET", "TRIGGER", "DATABASE"}
)
