"""INSERT, UPDATE, DELETE and MERGE: which rows, which columns, and whether one may."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import pyarrow as pa

from flight_server.auth import Action
from flight_server.engines.base import require
from flight_server.engines.sql import SupportsSql, SupportsSqlWrites
from flight_server.errors import ErrorCode, Forbidden, InvalidRequest, PixelflightError, Unsupported
from flight_server.model import DEFAULT_CATALOG, TEMPORARY_CATALOG, Commit, SqlRequest, TableRef
from flight_server.operations import rows
from flight_server.operations.authorise import (
    Permitted,
    check_columns,
    check_in_sight,
    check_left_out,
    narrow,
    permitted,
)
from flight_server.operations.foreign import is_foreign, sql_writer
from flight_server.operations.parameters import matched
from flight_server.operations.query import (
    authorised,
    authorised_merge,
    outside,
    rows_for,
    used_parameters,
)
from flight_server.operations.services import Call, Services, engine_of
from flight_server.operations.sources import located, names_shown
from flight_server.operations.together import in_one_commit
from flight_server.query import (
    Delete,
    Insert,
    Merge,
    Statement,
    Update,
    Write,
    check_expression,
    check_predicate,
    over_rows,
    width_of,
    with_defaults,
    with_set_defaults,
)


def run(services: Services, call: Call, statement: Write, request: SqlRequest) -> Commit | None:
    """The commit of a statement that writes rows; None where it is of another kind."""
    match statement:
        case Insert():
            return insert(services, call, statement, request)
        case Update():
            return update(services, call, statement, request)
        case Delete():
            return delete(services, call, statement, request)
        case Merge():
            return merge(services, call, statement, request)
    return None


def insert(services: Services, call: Call, statement: Insert, request: SqlRequest) -> Commit:
    """Inserts the rows of a query, or one row of defaults.

    What reads tables may take long: it keeps nobody from committing meanwhile, as a put does not.
    """
    target = located(call, statement.target)
    if is_foreign(target):
        sql_writer(_insertable(services, call, statement))
    uses = statement.query.tables if statement.query is not None else ()
    if not uses or any(located(call, use).catalog == TEMPORARY_CATALOG for use in uses):
        return _insert(services, call, statement, request)
    return in_one_commit(
        services,
        call,
        target.catalog,
        "insert",
        lambda inside: _insert(services, inside, statement, request),
    )


def _insert(services: Services, call: Call, statement: Insert, request: SqlRequest) -> Commit:
    allowed = _insertable(services, call, statement)
    statement = _with_defaults(allowed, statement)
    if statement.query is None:
        source, columns = SqlRequest("SELECT 1"), tuple[str, ...]()
        # A row of defaults fills every column.
        _all_columns(services, call, allowed)
    else:
        source, _ = authorised(services, call, statement.query, _used(statement.query, request))
        columns = _insert_columns(services, call, allowed, statement, source)
        source = rows_for(services, call, allowed.table, source)
    engine = sql_writer(allowed)
    author = call.author("insert", allowed.table)
    return engine.insert_rows(allowed.table, columns, source, author, call.cancellation)


def insert_each(
    services: Services, call: Call, statement: Insert, parameters: pa.Table
) -> Commit | None:
    """Inserts what a row of VALUES says of each row of parameters; None where it is no such row."""
    if statement.query is None or statement.by_name:
        return None
    allowed = _insertable(services, call, statement)
    statement = _with_defaults(allowed, statement)
    assert statement.query is not None, "it has kept its query"
    places = matched(parameters.schema, statement.query.parameters)
    # Names of our own: those that were sent may be empty, or twice the same.
    numbered = parameters.rename_columns([f"p{place}" for place in range(len(parameters.schema))])
    sql = over_rows(statement.query, {name: f"p{place}" for name, place in places.items()})
    if sql is None:
        return None
    source = SqlRequest(sql, rows=numbered)
    columns = _insert_columns(services, call, allowed, statement, source)
    engine = sql_writer(allowed)
    author = call.author("insert", allowed.table)
    return engine.insert_rows(allowed.table, columns, source, author, call.cancellation)


def update(services: Services, call: Call, statement: Update, request: SqlRequest) -> Commit:
    """Sets columns. One that needs no other table goes the way of Flight's own update."""
    table = located(call, statement.target)
    allowed = permitted(services, call, table, Action.UPDATE)
    check_columns(services, call, allowed, Action.UPDATE, statement.columns)
    statement = _with_set_defaults(allowed, statement)
    if statement.plain is not None and not statement.rows.parameters:
        texts, where = statement.plain
        if _stand_alone(services, call, table, texts, where, statement.columns):
            assignments = dict(zip(statement.columns, texts, strict=True))
            _check_once(statement.columns)
            return rows.update(services, call, table, assignments, where, all_rows=True)
    columns = narrow(allowed, statement.columns)
    _check_once(columns)
    check_in_sight(columns, allowed, permitted(services, call, table, Action.READ))
    reading = outside(call, table, statement.rows)
    source, _ = authorised(services, reading, statement.rows, _used(statement.rows, request))
    author = call.author("update", allowed.table)
    return _written(
        services,
        call,
        "update",
        allowed,
        source,
        lambda engine: engine.update_rows(
            allowed.table, columns, source, allowed.row_filter, author, call.cancellation
        ),
    )


def delete(services: Services, call: Call, statement: Delete, request: SqlRequest) -> Commit:
    """Deletes rows. A condition that needs no other table goes the way of Flight's own delete."""
    table = located(call, statement.target)
    where = statement.plain
    alone = where is not None and not statement.rows.parameters
    if statement.every or (alone and _stand_alone(services, call, table, (), where)):
        return rows.delete(services, call, table, where, all_rows=True)
    allowed = permitted(services, call, table, Action.DELETE)
    reading = outside(call, table, statement.rows)
    source, _ = authorised(services, reading, statement.rows, _used(statement.rows, request))
    author = call.author("delete", allowed.table)
    return _written(
        services,
        call,
        "delete",
        allowed,
        source,
        lambda engine: engine.delete_rows(
            allowed.table, source, allowed.row_filter, author, call.cancellation
        ),
    )


_MERGE_ACTIONS = {
    "update": Action.UPDATE,
    "insert": Action.INSERT,
    "delete": Action.DELETE,
}


def merge(services: Services, call: Call, statement: Merge, request: SqlRequest) -> Commit:
    """Merges. It reads and judges all of the table, so none of it may be withheld."""
    table = located(call, statement.target)
    allowed = permitted(services, call, table, Action.READ)
    if not allowed.whole:
        raise Forbidden(f"You may read a part of '{allowed.table}' only; MERGE needs all of it.")
    if is_foreign(allowed.table):
        sql_writer(allowed)
    _check_one_change(statement, table)
    for clause in statement.clauses:
        action = _MERGE_ACTIONS.get(clause.action)
        if action is None:
            continue
        mine = permitted(services, call, table, action)
        _check_rows(mine, action)
        if action is not Action.DELETE:
            named = clause.columns if clause.columns is not None else mine.version.schema.names
            check_columns(services, call, mine, action, named)
            narrow(mine, tuple(named))
    reading = outside(call, table, statement.statement)
    checked = authorised_merge(
        services, reading, statement, allowed.version, _used(statement.statement, request)
    )
    author = call.author("merge", allowed.table)
    return _written(
        services,
        call,
        "merge",
        allowed,
        checked,
        lambda engine: engine.merge_rows(allowed.table, checked, author, call.cancellation),
    )


def _written(
    services: Services,
    call: Call,
    reason: str,
    allowed: Permitted,
    source: SqlRequest,
    work: Callable[[SupportsSqlWrites], Commit],
) -> Commit:
    """What `work` answers. A scan of another engine keeps nobody from committing meanwhile."""
    writer, table = sql_writer(allowed), allowed.table
    if not source.scans or table.catalog == TEMPORARY_CATALOG:
        return work(writer)

    def within(inside: Call) -> Commit:
        return work(require(engine_of(services, inside, table.catalog), SupportsSqlWrites))

    return in_one_commit(services, call, table.catalog, reason, within, table)


def _check_one_change(statement: Merge, table: TableRef) -> None:
    """Unsupported where several clauses change rows: the lake itself takes one, others all."""
    changing = [one.action for one in statement.clauses if one.action in ("update", "delete")]
    if len(changing) > 1 and table.catalog == DEFAULT_CATALOG:
        raise Unsupported(
            f"This MERGE has {len(changing)} clauses that update or delete, and one into the table "
            f"'{table}' may have one of them. Send a statement for each between BEGIN and COMMIT: "
            "UPDATE t SET … FROM s WHERE …, then DELETE FROM t USING s WHERE …."
        )


def _insertable(services: Services, call: Call, statement: Insert) -> Permitted:
    allowed = permitted(services, call, located(call, statement.target), Action.INSERT)
    _check_rows(allowed, Action.INSERT)
    return allowed


def _insert_columns(
    services: Services,
    call: Call,
    allowed: Permitted,
    statement: Insert,
    source: SqlRequest,
) -> tuple[str, ...]:
    """The columns that are written, in the order of the query's."""
    assert statement.query is not None, "DEFAULT VALUES names no columns"
    width = width_of(statement.query)
    named = statement.columns
    if named is None:
        named = () if statement.by_name else _all_columns(services, call, allowed)
    if width is None or statement.by_name:
        engine = require(engine_of(services, call, DEFAULT_CATALOG), SupportsSql)
        given = tuple(engine.sql_schema(source).names)
        named, width = given if statement.by_name else named, len(given)
    if width != len(named):
        raise InvalidRequest(
            f"Columns to be written: {len(named)} ({', '.join(named)[:300]}); columns of the "
            f"query: {width}. Name those that you write, as in INSERT INTO t (a, b) ….",
            code=ErrorCode.SCHEMA_MISMATCH,
        )
    check_columns(services, call, allowed, Action.INSERT, named)
    columns = narrow(allowed, named)
    _check_once(columns)
    check_left_out(services, call, allowed, columns)
    return columns


def _all_columns(services: Services, call: Call, allowed: Permitted) -> tuple[str, ...]:
    """The columns that a row has where none are named. Forbidden where it is not all of them."""
    names = tuple(allowed.version.schema.names)
    check_columns(services, call, allowed, Action.INSERT, names)
    if len(allowed.columns) < len(names):
        raise Forbidden(
            f"You may insert some columns of '{allowed.table}' only: name those that you write, "
            "as in INSERT INTO t (a, b) …."
        )
    return names


def _stand_alone(
    services: Services,
    call: Call,
    table: TableRef,
    expressions: Collection[str],
    where: str | None,
    assigned: Collection[str] = (),
) -> bool:
    """Whether the texts are expressions over the table's own columns and nothing else.

    Columns that SQL sees otherwise than they are kept are seen so by a SELECT alone.
    """
    allowed = permitted(services, call, table, Action.READ)
    if names_shown(services, call, allowed, (*expressions, *assigned, where)):
        return False
    columns = allowed.columns
    try:
        for text in expressions:
            check_expression(text, columns)
        if where is not None:
            check_predicate(where, columns)
    except PixelflightError:
        # As a SELECT they may well pass; if not, that says what is wrong with them.
        return False
    return True


def _with_defaults(allowed: Permitted, statement: Insert) -> Insert:
    """The INSERT with the default of its column for each DEFAULT, a null where it has none."""
    if statement.query is None or not statement.defaults:
        return statement
    names = statement.columns or allowed.version.schema.names
    query = with_defaults(statement.query, statement.defaults, _defaults_of(allowed, names))
    return replace(statement, query=query, defaults=())


def _with_set_defaults(allowed: Permitted, statement: Update) -> Update:
    """The same for an UPDATE."""
    if not statement.defaults:
        return statement
    known = _defaults_of(allowed, statement.columns)
    texts = {place: known[place] for place in statement.defaults if place in known}
    plain = statement.plain
    if plain is not None:
        values, where = plain
        plain = tuple(texts.get(place, text) for place, text in enumerate(values)), where
    return replace(statement, rows=with_set_defaults(statement.rows, texts), plain=plain)


def _defaults_of(allowed: Permitted, names: Sequence[str]) -> dict[int, str]:
    """The defaults of these columns, by their places among them."""
    known = {name.lower(): text for name, text in allowed.version.spec.defaults.items()}
    return {at: known[name.lower()] for at, name in enumerate(names) if name.lower() in known}


def _check_rows(allowed: Permitted, action: Action) -> None:
    """Forbidden where only some rows may be written: which ones these are is not looked at."""
    if allowed.row_filter is not None:
        raise Forbidden(
            f"You may {action.value} some rows of '{allowed.table}' only, "
            "and this statement needs all of them."
        )


def _check_once(columns: Collection[str]) -> None:
    folded = [name.lower() for name in columns]
    for name in columns:
        if folded.count(name.lower()) > 1:
            raise InvalidRequest(
                f"The column '{name}' is named twice; the case of letters does not count.",
                code=ErrorCode.INVALID_SQL,
            )


def _used(statement: Statement, request: SqlRequest) -> SqlRequest:
    """The request with those parameters only that this part of the statement uses."""
    return replace(request, parameters=used_parameters(statement, request.parameters))
