"""ALTER TABLE, ALTER VIEW and COMMENT ON TABLE."""

from __future__ import annotations

import pyarrow as pa

from flight_server.errors import ErrorCode, InvalidRequest, Unsupported
from flight_server.model import (
    AddColumn,
    DropCheck,
    DropColumn,
    RenameColumn,
    RetypeColumn,
    SetCheck,
    SetColumnComment,
    SetComment,
    SetDefault,
    SetKey,
    SetNullable,
    SetPartitioning,
)
from flight_server.query import dialect
from flight_server.query.column_types import column_type
from flight_server.query.definitions import column, default, predicate
from flight_server.query.row_writes import Context, check_columns
from flight_server.query.tables import TableUse
from flight_server.query.words import Words
from flight_server.query.writes import AlterTable, RenameTable, RenameView


def alter(words: Words, context: Context) -> AlterTable | RenameTable | RenameView:
    """`ALTER TABLE [IF EXISTS] t …` and `ALTER VIEW [IF EXISTS] v RENAME TO w`."""
    words.expect("ALTER")
    if words.take("VIEW"):
        return _alter_view(words, context)
    if not words.take("TABLE"):
        raise Unsupported(f"ALTER {words.peek()} is not supported: write ALTER TABLE.")
    if_exists = words.take("IF", "EXISTS")
    use = context.target(words)
    change = _change(words, use, if_exists)
    if words.peek() == ",":
        raise Unsupported("One change is made at a time: send an ALTER TABLE for each.")
    words.end()
    return change


def _alter_view(words: Words, context: Context) -> RenameView:
    if_exists = words.take("IF", "EXISTS")
    use = context.target(words)
    if not words.take("RENAME", "TO"):
        raise Unsupported("A view can be renamed, and made anew by CREATE OR REPLACE VIEW.")
    new_name = words.name("view name")
    words.end()
    return RenameView(use, new_name, if_exists)


def comment(words: Words, context: Context) -> AlterTable:
    """`COMMENT ON TABLE t IS 'text'` and `COMMENT ON COLUMN t.a IS 'text'`, or NULL for none."""
    words.expect("COMMENT", "ON")
    if words.take("COLUMN"):
        use, name = context.column(words)
        words.expect("IS")
        return AlterTable(use, (SetColumnComment(name, _comment(words.rest())),))
    if not words.take("TABLE"):
        raise Unsupported(
            f"COMMENT ON {words.peek()} is not supported: only tables and columns have comments."
        )
    use = context.target(words)
    words.expect("IS")
    return AlterTable(use, (SetComment(_comment(words.rest())),))


def _change(words: Words, use: TableUse, if_exists: bool) -> AlterTable | RenameTable:
    if words.take("ADD"):
        return _add(words, use, if_exists)
    if words.take("DROP"):
        return _drop(words, use, if_exists)
    if words.take("RENAME"):
        return _rename(words, use, if_exists)
    if words.take("ALTER"):
        words.take("COLUMN")
        return AlterTable(use, (_alter_column(words),), if_exists)
    if words.take("SET", "PARTITIONED", "BY"):
        return AlterTable(use, (SetPartitioning(_partitions(words)),), if_exists)
    if words.take("RESET", "PARTITIONED", "BY"):
        return AlterTable(use, (SetPartitioning(()),), if_exists)
    return words.refuse()


def _add(words: Words, use: TableUse, if_exists: bool) -> AlterTable:
    label = words.name("constraint") if words.take("CONSTRAINT") else ""
    if words.peek() == "CHECK":
        if not label:
            raise Unsupported("A check has a name here: ADD CONSTRAINT name CHECK (…).")
        return AlterTable(use, (SetCheck(label, predicate(words)),), if_exists)
    if words.take("PRIMARY", "KEY"):
        key = words.names("column name")
        check_columns(key)
        return AlterTable(use, (SetKey(key),), if_exists)
    if words.peek() in ("UNIQUE", "FOREIGN"):
        words.refuse()
    words.take("COLUMN")
    if_column = words.take("IF", "NOT", "EXISTS")
    name = _column_name(words)
    check_columns((name,))
    new, is_key = column(words, name)
    if is_key:
        raise Unsupported("A column that is added cannot be the key: ADD PRIMARY KEY afterwards.")
    field = pa.field(new.name, new.type, nullable=new.nullable)
    checks = [SetCheck(label or f"{name}_check", text) for label, text in new.checks]
    if len({one.name for one in checks}) < len(checks):
        raise Unsupported("Give each CHECK of a column a name: CONSTRAINT name CHECK (…).")
    return AlterTable(use, (AddColumn(field, new.default), *checks), if_exists, if_column)


def _drop(words: Words, use: TableUse, if_exists: bool) -> AlterTable:
    change: DropCheck | DropColumn
    if words.take("CONSTRAINT"):
        if_column = words.take("IF", "EXISTS")
        change = DropCheck(words.name("constraint"))
    else:
        words.take("COLUMN")
        if_column = words.take("IF", "EXISTS")
        change = DropColumn(_column_name(words))
    if not words.take("CASCADE"):
        words.take("RESTRICT")
    return AlterTable(use, (change,), if_exists, if_column)


def _rename(words: Words, use: TableUse, if_exists: bool) -> AlterTable | RenameTable:
    if words.take("TO"):
        return RenameTable(use, words.name("table name"), if_exists)
    words.take("COLUMN")
    old = _column_name(words)
    words.expect("TO")
    new = words.name("column name")
    check_columns((new,))
    return AlterTable(use, (RenameColumn(old, new),), if_exists)


def _alter_column(words: Words) -> RetypeColumn | SetDefault | SetNullable:
    name = _column_name(words)
    if words.take("SET", "DEFAULT"):
        return SetDefault(name, default(words))
    if words.take("DROP", "DEFAULT"):
        return SetDefault(name, None)
    if words.take("SET", "NOT", "NULL"):
        return SetNullable(name, False)
    if words.take("DROP", "NOT", "NULL"):
        return SetNullable(name, True)
    words.take("SET", "DATA")
    words.expect("TYPE")
    text = words.until(",", "USING", "COLLATE")
    if words.peek() == "USING":
        raise Unsupported(
            "ALTER … TYPE … USING is not supported: ADD a column, UPDATE it, and DROP the old one."
        )
    return RetypeColumn(name, column_type(text, name))


def _column_name(words: Words) -> str:
    parts = words.dotted("column name")
    if len(parts) > 1:
        raise Unsupported(
            f"Fields of a struct cannot be altered one by one, as '{'.'.join(parts)}': "
            "change the type of the column."
        )
    return parts[0]


def _partitions(words: Words) -> tuple[str, ...]:
    """`(a, year(b))`."""
    found: list[str] = []
    words.expect("(")
    while not found or words.more():
        text = words.name("column name")
        if words.take("("):
            text = f"{text.lower()}({words.name('column name')})"
            words.expect(")")
        found.append(text)
    words.expect(")")
    return tuple(found)


def _comment(piece: str) -> str:
    node = dialect.parsed(f"SELECT {piece}\n")["node"]["select_list"][0]
    value = node.get("value") if node["class"] == "CONSTANT" else None
    text = "" if value and value.get("is_null") else value and value.get("value")
    if not isinstance(text, str):
        raise InvalidRequest(
            f"{piece.strip()[:60]} is no text. Write COMMENT ON TABLE t IS 'text'.",
            code=ErrorCode.INVALID_SQL,
        )
    return text
