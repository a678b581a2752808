"""What a statement that writes says, taken apart: which table, which columns, which rows.

Nothing of the client's text is run as it came. Rows come from SELECTs that `parse` has checked,
expressions are pieces of such SELECTs, and whoever runs a statement writes it anew from these
parts. Names are as the client wrote them, with the session's defaults filled in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from flight_server.model import NamespaceRef, SchemaChange
from flight_server.query.statement import Statement
from flight_server.query.tables import TableUse


@dataclass(frozen=True)
class Insert:
    """`INSERT INTO target [(columns)] [BY NAME] query`, `VALUES` being a query as well.

    `columns` None means all of the target's, in order. `query` None means DEFAULT VALUES.
    `defaults` are the row and the place of each DEFAULT among VALUES; a null stands there.
    """

    target: TableUse
    columns: tuple[str, ...] | None
    by_name: bool
    query: Statement | None
    defaults: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Update:
    """`UPDATE target SET …`. `rows` gives the row id first, then one value for each column.

    `plain` are the same values and the condition as text, where they need no other table and no
    alias: the expression of each column, and the WHERE, None where there is none. `defaults` are
    the places of the columns that are set to DEFAULT; a null stands there.
    """

    target: TableUse
    columns: tuple[str, ...]
    rows: Statement
    plain: tuple[tuple[str, ...], str | None] | None = None
    defaults: tuple[int, ...] = ()


@dataclass(frozen=True)
class Delete:
    """`DELETE FROM target …`. `rows` gives the ids of the rows; `plain` is the WHERE as text.

    `plain` is None where the condition needs other tables or an alias; `every` says that there is
    no condition at all, as in TRUNCATE.
    """

    target: TableUse
    rows: Statement
    plain: str | None = None
    every: bool = False


@dataclass(frozen=True)
class Merge:
    """`MERGE INTO target USING … ON … WHEN …`.

    `statement` is a SELECT over the target, joined with the source, that holds every expression;
    the clauses say which of them goes where. `rewrite_merge` writes what is to run.
    """

    target: TableUse
    statement: Statement
    clauses: tuple[MergeClause, ...]
    target_alias: str
    source_alias: str


@dataclass(frozen=True)
class MergeClause:
    """One `WHEN …`. `when` is `matched`, `not_matched` or `not_matched_by_source`.

    `action` is `update`, `delete`, `insert`, `nothing` or `error`. `condition` and `values` are
    places in the SELECT list of the statement. `columns` None is all of the target's: by position,
    or, `by_name`, those that the source has too; without values they come from the source.
    """

    when: str
    action: str
    condition: int | None = None
    columns: tuple[str, ...] | None = None
    values: tuple[int, ...] = ()
    by_name: bool = False


@dataclass(frozen=True)
class Column:
    """One column of a CREATE TABLE. `default` is SQL text, not yet checked.

    `checks` are names and predicates; a name is empty where none was given.
    """

    name: str
    type: pa.DataType
    nullable: bool = True
    default: str | None = None
    checks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class CreateTable:
    """`CREATE [OR REPLACE] [TEMP] TABLE [IF NOT EXISTS] target (columns)` or `AS query`.

    With a query, `columns` is empty; `with_data` False makes the table and leaves it empty.
    """

    target: TableUse
    columns: tuple[Column, ...] = ()
    key: tuple[str, ...] = ()
    checks: tuple[tuple[str, str], ...] = ()
    query: Statement | None = None
    with_data: bool = True
    or_replace: bool = False
    if_not_exists: bool = False
    temporary: bool = False


@dataclass(frozen=True)
class DropTable:
    """`DROP TABLE [IF EXISTS] target`."""

    target: TableUse
    if_exists: bool = False


@dataclass(frozen=True)
class AlterTable:
    """`ALTER TABLE [IF EXISTS] target …` and `COMMENT ON TABLE target`.

    `if_column` says what a missing or known column, or a missing check, means under
    IF [NOT] EXISTS: nothing is done.
    """

    target: TableUse
    changes: tuple[SchemaChange, ...]
    if_exists: bool = False
    if_column: bool = False


@dataclass(frozen=True)
class RenameTable:
    """`ALTER TABLE [IF EXISTS] target RENAME TO new_name`."""

    target: TableUse
    new_name: str
    if_exists: bool = False


@dataclass(frozen=True)
class CreateView:
    """`CREATE [OR REPLACE] VIEW [IF NOT EXISTS] target [(columns)] AS sql`."""

    target: TableUse
    sql: str
    columns: tuple[str, ...] = ()
    or_replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True)
class DropView:
    """`DROP VIEW [IF EXISTS] target`."""

    target: TableUse
    if_exists: bool = False


@dataclass(frozen=True)
class RenameView:
    """`ALTER VIEW [IF EXISTS] target RENAME TO new_name`."""

    target: TableUse
    new_name: str
    if_exists: bool = False


@dataclass(frozen=True)
class CreateNamespace:
    """`CREATE SCHEMA [IF NOT EXISTS] namespace`."""

    namespace: NamespaceRef
    if_not_exists: bool = False


@dataclass(frozen=True)
class DropNamespace:
    """`DROP SCHEMA [IF EXISTS] namespace [CASCADE]`."""

    namespace: NamespaceRef
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True)
class Control:
    """`BEGIN`, `COMMIT` or `ROLLBACK`: `verb` in lower case."""

    verb: str


@dataclass(frozen=True)
class Use:
    """`USE [catalog.]namespace`, `SET SCHEMA`: what bare names mean from now on.

    Without a `namespace`, `catalog` is a single name, that of a catalog or of a namespace.
    """

    catalog: str
    namespace: str | None = None


def uses_of(statement: Statement | Write) -> tuple[TableUse, ...]:
    """The tables of a statement about rows, the one that is written to before the others."""
    match statement:
        case Statement():
            return statement.tables
        case Insert(target, query=query):
            return (target, *(query.tables if query is not None else ()))
        case Update(target, rows=rows) | Delete(target, rows=rows):
            return (target, *rows.tables)
        case Merge(target, statement=merged):
            return (target, *merged.tables)
        case CreateTable(query=Statement() as query):
            return query.tables
    return ()


def parameters_of(statement: Statement | Write) -> tuple[str, ...]:
    """The names of the parameters that stand in a statement; see `Statement.parameters`."""
    match statement:
        case Statement():
            return statement.parameters
        case Insert(query=Statement() as query) | CreateTable(query=Statement() as query):
            return query.parameters
        case Update(rows=rows) | Delete(rows=rows):
            return rows.parameters
        case Merge(statement=merged):
            return merged.parameters
    return ()


Write: TypeAlias = (
    Insert
    | Update
    | Delete
    | Merge
    | CreateTable
    | DropTable
    | AlterTable
    | RenameTable
    | CreateView
    | DropView
    | RenameView
    | CreateNamespace
    | DropNamespace
    | Control
    | Use
)
