"""INSERT, UPDATE, DELETE and TRUNCATE: the rows that they mean become SELECTs of this server's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from flight_server.errors import ErrorCode, InvalidRequest, NotFound, PixelflightError, Unsupported
from flight_server.model import ROW_ID, quoted
from flight_server.query.dialect import Tree
from flight_server.query.statement import Statement, parse_composed
from flight_server.query.tables import TableUse, folded, table_named
from flight_server.query.value_lists import (
    is_default,
    nulls_for_default,
    one_by_one,
    refused_default,
    value_texts,
    values_without_defaults,
)
from flight_server.query.words import Words
from flight_server.query.writes import Delete, Insert, Update


@dataclass(frozen=True)
class Context:
    """What the pieces of a statement are read in: the session's defaults and its WITH clause."""

    defaults: tuple[str, str]
    with_clause: str = ""

    def statement(self, sql: str, row_ids: bool = False) -> Statement:
        """A SELECT of this server's own making, behind the WITH of the client's statement."""
        return parse_composed(self.with_clause + sql, self.defaults, row_ids)

    def target(self, words: Words) -> TableUse:
        """The table that is written to."""
        return self._use(words.dotted("table name"), words)

    def column(self, words: Words) -> tuple[TableUse, str]:
        """A column behind its table, `t.a`."""
        *table, name = words.dotted("column name")
        if not table:
            raise InvalidRequest(
                f"Name the column '{name}' with its table: t.{name}.", code=ErrorCode.INVALID_NAME
            )
        return self._use(table, words), name

    def _use(self, parts: list[str], words: Words) -> TableUse:
        if len(parts) > 3:
            raise InvalidRequest(
                f"A table's name has three parts at most, not {len(parts)}: {'.'.join(parts)}.",
                code=ErrorCode.INVALID_NAME,
            )
        if words.peek() == "AT" and words.peek(1) == "(":
            raise Unsupported(
                f"AT cannot be used with '{'.'.join(parts)}', which is written to: "
                "only the newest version can be changed."
            )
        catalog, namespace, name = ["", "", *parts][-3:]
        table = table_named(catalog, namespace, name, self.defaults)
        return TableUse(table, bare=len(parts) == 1)


@dataclass(frozen=True)
class Named:
    """A table that is written to, as it is called in the statement."""

    use: TableUse
    written: str
    alias: str

    @property
    def sql(self) -> str:
        """The table as it stands in FROM."""
        return f"{self.written} AS {quoted(self.alias)}" if self.alias else self.written

    @property
    def row_id(self) -> str:
        """The column of its row ids."""
        return f"{quoted(self.alias or self.use.table.name)}.rowid"


def target(words: Words, context: Context, *stops: str) -> Named:
    """`t`, `t AS a`, `t a`: an alias without AS is no word among the stops."""
    words.take("ONLY")
    use = context.target(words)
    table = use.table
    parts = (table.name,) if use.bare else (table.catalog, table.namespace, table.name)
    alias = ""
    if words.take("AS") or (not words.ended and words.peek() not in stops):
        alias = words.name("alias")
    return Named(use, ".".join(quoted(part) for part in parts), alias)


def insert(words: Words, context: Context) -> Insert:
    """`INSERT INTO t [AS a] [(columns)] [BY NAME] query`."""
    words.expect("INSERT")
    if words.take("OR"):
        _refuse_conflicts(f"INSERT OR {words.peek()}")
    words.expect("INTO")
    use = context.target(words)
    if words.take("AS"):
        words.name("alias")
    by_name = takes_by_name(words)
    columns = words.names("column name") if words.names_come() else None
    by_name = takes_by_name(words) or by_name
    check_columns(columns or ())
    if words.take("DEFAULT", "VALUES"):
        check_end(words)
        return Insert(use, columns, by_name, None)
    text, defaults = _query_text(words)
    return Insert(use, columns, by_name, _query(text, context), defaults)


def update(words: Words, context: Context) -> Update:
    """`UPDATE t [AS a] SET c = e, (a, b) = (e, e), … [FROM …] [WHERE …]`."""
    words.expect("UPDATE")
    named = target(words, context, "SET")
    words.expect("SET")
    columns, texts = assignments(words, "FROM", "WHERE", "RETURNING")
    defaults = tuple(place for place, text in enumerate(texts) if is_default(text))
    texts = tuple(nulls_for_default(text) for text in texts)
    others = words.until("WHERE", "RETURNING") if words.take("FROM") else ""
    where = words.until("RETURNING") if words.take("WHERE") else None
    check_end(words)
    rows = _rows(context, named, texts, others, where)
    alone = _stands_alone(rows, named, context, others)
    return Update(named.use, columns, rows, (texts, where) if alone else None, defaults)


def delete(words: Words, context: Context) -> Delete:
    """`DELETE FROM t [AS a] [USING …] [WHERE …]` and `TRUNCATE [TABLE] t`."""
    if words.take("TRUNCATE"):
        words.take("TABLE")
        named = target(words, context)
        words.end()
        return Delete(named.use, _rows(context, named, (), "", None), every=True)
    words.expect("DELETE", "FROM")
    named = target(words, context, "USING", "WHERE", "RETURNING")
    others = words.until("WHERE", "RETURNING") if words.take("USING") else ""
    where = words.until("RETURNING") if words.take("WHERE") else None
    check_end(words)
    rows = _rows(context, named, (), others, where)
    alone = where is not None and _stands_alone(rows, named, context, others)
    every = where is None and not others
    return Delete(named.use, rows, where if alone else None, every)


def assignments(words: Words, *stops: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`a = 1, (b, c) = (2, DEFAULT)`: the columns, and the texts of what they are set to."""
    columns: list[str] = []
    texts: list[str] = []
    while not columns or words.more(*stops):
        if words.peek() == "(":
            names, values = _several(words)
            columns += names
            texts += values
            continue
        name = words.dotted("column name")
        if len(name) > 1:
            raise Unsupported(
                f"SET {'.'.join(name)} = … is not supported: name the column alone, and set a "
                "struct as a whole, as with struct_update()."
            )
        words.expect("=")
        columns.append(name[0])
        texts.append(words.until(",", *stops))
    check_columns(columns)
    return tuple(columns), tuple(texts)


def _several(words: Words) -> tuple[tuple[str, ...], list[str]]:
    """`(a, b) = (1, 2)`, each column set to a value of its own."""
    names = words.names("column name")
    words.expect("=")
    if words.peek() != "(" or words.peek(1) in ("SELECT", "WITH", "FROM", "VALUES"):
        raise Unsupported(
            f"SET ({', '.join(names)}) is supported with a list of values only: write "
            "SET (a, b) = (1, 2), or SET a = …, b = …."
        )
    texts = value_texts(words)
    if len(texts) != len(names):
        raise InvalidRequest(
            f"SET names {len(names)} columns and gives {len(texts)} values.",
            code=ErrorCode.INVALID_SQL,
        )
    return names, texts


def check_columns(columns: list[str] | tuple[str, ...]) -> None:
    """InvalidRequest for a column that is named twice, or that nobody can write."""
    seen = set()
    for column in columns:
        name = folded(column)
        if name in ("rowid", ROW_ID):
            raise InvalidRequest(
                f"The column '{column}' cannot be written: the server gives rows their ids.",
                code=ErrorCode.COLUMN_NOT_FOUND,
                details={"column": column},
            )
        if name in seen:
            raise InvalidRequest(
                f"The column '{column}' is named twice; the case of letters does not count.",
                code=ErrorCode.INVALID_SQL,
            )
        seen.add(name)


def nodes(tree: Any, subqueries: bool = True) -> Iterator[Tree]:
    """Every expression of a tree, without those of subqueries where they are not wanted."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            if "class" in node:
                yield node
            if subqueries or node.get("class") != "SUBQUERY":
                waiting.extend(node.values())


def check_values(expressions: list[Tree]) -> None:
    """Unsupported for what gives several columns or rows where one value is set."""
    for node in nodes(expressions, subqueries=False):
        if node["class"] == "STAR":
            raise Unsupported("A star is not one value: name the column.")
        if node["class"] == "WINDOW":
            raise Unsupported(
                "A window function is not allowed here: put it into a subquery in FROM or USING."
            )
        if node["class"] == "FUNCTION" and folded(node["function_name"]) == "unnest":
            raise Unsupported("UNNEST is not one value: put it into a subquery in FROM or USING.")


def _rows(
    context: Context, named: Named, texts: tuple[str, ...], others: str, where: str | None
) -> Statement:
    """The SELECT of the row ids and new values. A line's end closes a comment in a piece."""
    values = "".join(f", ({text}\n)" for text in texts)
    source = f", {others}\n" if others else ""
    condition = f" WHERE ({where}\n)" if where is not None else ""
    rows = context.statement(
        f"SELECT {named.row_id}{values} FROM {named.sql}{source}{condition}", row_ids=True
    )
    node = json.loads(rows.tree)["node"]
    if len(node["select_list"]) != len(texts) + 1:
        raise InvalidRequest("One value is set for each column.", code=ErrorCode.INVALID_SQL)
    check_values(node["select_list"])
    return rows


def _stands_alone(rows: Statement, named: Named, context: Context, others: str) -> bool:
    """Whether the pieces may mean nothing but columns of the table, each by its bare name."""
    if others or named.alias or context.with_clause or len(rows.tables) > 1:
        return False
    table = named.use.table
    prefixes = {folded(part) for part in (table.catalog, table.namespace, table.name)}
    node = json.loads(rows.tree)["node"]
    return not any(
        len(reference["column_names"]) > 1 and folded(reference["column_names"][0]) in prefixes
        for reference in nodes([node["select_list"][1:], node["where_clause"]])
        if reference["class"] == "COLUMN_REF"
    )


def _query_text(words: Words) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The query of an INSERT, which goes to the end, and where in its VALUES a DEFAULT stood."""
    is_values = words.peek() == "VALUES"
    text = words.rest()
    if is_values and "DEFAULT" in text.upper():
        return values_without_defaults(text) or (text, ())
    return text, ()


def _query(text: str, context: Context) -> Statement:
    if context.with_clause and Words(text).peek() == "WITH":
        text = f"SELECT * FROM ({text}\n)"
    try:
        return one_by_one(context.statement(text + "\n"))
    except NotFound:
        raise
    except PixelflightError as error:
        _explain_refusal(text, error)


def _explain_refusal(text: str, error: PixelflightError) -> NoReturn:
    """Says of a query that is none what follows it, or what is in its VALUES."""
    words = Words(text)
    words.until("RETURNING")
    if words.take("RETURNING"):
        _refuse_returning()
    words = Words(text)
    while not words.ended:
        words.until("ON", least=1)
        if words.take("ON", "CONFLICT"):
            _refuse_conflicts("ON CONFLICT")
    if "EXPRESSION DEFAULT" in error.message.upper():
        raise refused_default()
    raise error


def takes_by_name(words: Words) -> bool:
    """Whether BY NAME comes, which is passed over, and BY POSITION too."""
    if words.take("BY", "NAME"):
        return True
    words.take("BY", "POSITION")
    return False


def check_end(words: Words) -> None:
    """Unsupported where the statement goes on, with RETURNING or otherwise."""
    if words.peek() == "RETURNING":
        _refuse_returning()
    if words.peek() == "ON" and words.peek(1) == "CONFLICT":
        _refuse_conflicts("ON CONFLICT")
    words.end()


def _refuse_returning() -> NoReturn:
    raise Unsupported(
        "RETURNING is not supported: a statement that writes answers the number of rows. "
        "Read them with a SELECT; in a transaction it sees what was written."
    )


def _refuse_conflicts(what: str) -> NoReturn:
    raise Unsupported(
        f"{what} is not supported. Write MERGE INTO t USING … ON … WHEN MATCHED THEN UPDATE … "
        "WHEN NOT MATCHED THEN INSERT …, or put the rows with the mode upsert."
    )
