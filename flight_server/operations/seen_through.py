"""Reading a view: what it says is run over what its reader may see of the tables below it.

A view hands nobody a right: with READ on its name goes READ on all that it reads. It is looked
through whenever it is read, at the snapshot that the reading is pinned to: of an older version
that is what it said then, over what its tables were then. Whatever is in the way, be it hidden,
missing or changed, is told in the same words, which name the view and nothing below it.
"""

from __future__ import annotations

import functools
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from flight_server.auth import Action
from flight_server.engines.base import Engine
from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.stream import Batches, BatchStream
from flight_server.errors import (
    Conflict,
    ErrorCode,
    Forbidden,
    InvalidRequest,
    NotFound,
    PixelflightError,
    Unsupported,
)
from flight_server.model import (
    Definition,
    ScanRequest,
    SqlRequest,
    TableInfo,
    TableRef,
    TableVersion,
    quoted,
)
from flight_server.operations.authorise import Below, Permitted, permitted
from flight_server.operations.services import Call, Services
from flight_server.operations.sources import Sources, sql_engine
from flight_server.query import Source, Statement, fits, parse, rewrite

# Views below views, in all.
DEPTH_MAX = 16
SCHEMAS_CACHED_MAX = 1024
# What may be in the way of reading a view, as errors about what is below it.
IN_THE_WAY = (NotFound, Forbidden, InvalidRequest, Unsupported, Conflict)


@dataclass(frozen=True, eq=False)
class SeenThrough:
    """A view, for one reader, in the place of the engine of its rows.

    `schema` holds the columns that the view was made with, as far as the reader sees them, with
    the types they have now.
    """

    engine: Engine
    below: Below
    schema: pa.Schema
    version: int | None
    services: Services = field(repr=False)
    call: Call = field(repr=False)

    name = "view"

    @property
    def whose(self) -> str:
        """How a sentence about what it cannot do begins."""
        return f"Views, as '{self.below.source.table}' is one,"

    def scan(
        self, table: TableRef, request: ScanRequest, cancellation: Cancellation = NEVER
    ) -> Batches:
        """See `Engine.scan`. It takes a query's place among those that run."""
        if request.with_row_id:
            raise Unsupported(f"{self.whose} have no row ids: leave 'with_row_id' out.")
        if request.version != self.version:
            allowed = permitted(self.services, self.call, table, Action.READ, request.version)
            assert isinstance(allowed.engine, SeenThrough), "a view was a view whenever it was one"
            return allowed.engine.scan(table, request, cancellation)
        with ExitStack() as stack:
            admission = self.services.admission.admitted(self.below.bytes, cancellation)
            stack.enter_context(admission)
            sql = _scan_sql(self.below.source, request)
            engine = sql_engine(self.services, self.call)
            answer = engine.run_sql(SqlRequest(sql, version=self.version), cancellation)
            return BatchStream(answer.schema, iter(answer), answer.close, stack.pop_all().close)

    def describe(self, table: TableRef, version: int | None = None) -> TableInfo:
        """See `Engine.describe`: nobody knows how many rows it has before it is read."""
        info = self.engine.describe(table, version)
        return replace(info, spec=replace(info.spec, schema=self.schema))

    def namespaces(self) -> list[str]:
        """See `Engine.namespaces`."""
        return self.engine.namespaces()

    def tables(self, namespace: str) -> list[TableRef]:
        """See `Engine.tables`."""
        return self.engine.tables(namespace)

    def resolve(self, table: TableRef, version: int | None = None) -> TableVersion:
        """See `Engine.resolve`."""
        return self.engine.resolve(table, version)

    def close(self) -> None:
        """There is nothing to end."""


def seen_through(
    services: Services,
    call: Call,
    known: Permitted,
    version: int | None,
    through: tuple[TableRef, ...] = (),
) -> Permitted:
    """The view with what its reader sees of it. Conflict (view_unreadable).

    `known` is what may be seen of the view itself; `through` are the views on the way to it.
    """
    view, definition = known.table, known.version.spec.definition
    assert definition is not None, "it is a view"
    _check_way(view, through)
    # What somebody's session keeps to itself is not meant by what was written in another.
    inside = replace(call, session=None)
    try:
        statement = parsed(definition)
        below = Sources(services, inside, version, through=(*through, view))
        body = rewrite(statement, below)
        identity = (definition, known.version.schema, *below.identities)
        schema = _schema(services, inside, view, definition, body, identity)
    except IN_THE_WAY as error:
        raise unreadable_by(view, error) from None
    names = [name for name in known.version.schema.names if name in schema.names]
    if not names or (len(names) < len(known.version.schema) and not below.is_part):
        raise view_unreadable(view)
    if known.row_filter is not None and not fits(known.row_filter, tuple(names)):
        raise view_unreadable(view)
    columns = tuple(name for name in known.columns if name in names)
    query = f"SELECT {_listed(names)} FROM {named_in_from(view, definition, body)}"
    source = Source(view, columns, known.row_filter, query=query)
    seen = pa.schema([schema.field(name) for name in names])
    what = Below(source, below.is_part, below.bytes, identity, frozenset(below.tables))
    engine = SeenThrough(known.engine, what, seen, version, services, call)
    resolved = replace(known.version, spec=replace(known.version.spec, schema=seen))
    return Permitted(engine, resolved, columns, known.row_filter, what)


def parsed(definition: Definition) -> Statement:
    """What a view says. InvalidRequest; Forbidden; Unsupported."""
    statement = parse(
        definition.sql,
        default_catalog=definition.catalog,
        default_namespace=definition.namespace,
    )
    if statement.kind != "select":
        raise InvalidRequest("A view is one SELECT.", code=ErrorCode.INVALID_SQL)
    if statement.parameters:
        raise InvalidRequest(
            f"A view has no parameters, and this SELECT has '{statement.parameters[0]}': write "
            "the value there, or filter what is read from the view.",
            code=ErrorCode.INVALID_SQL,
        )
    return statement


def view_schema(
    services: Services, call: Call, view: TableRef, definition: Definition, body: str
) -> pa.Schema:
    """The columns of what a view says, under the names that its maker gave them."""
    sql = f"SELECT * FROM {named_in_from(view, definition, body)}"
    return sql_engine(services, call).sql_schema(SqlRequest(sql))


@functools.lru_cache(maxsize=1024)
def folded(table: TableRef) -> tuple[str, ...]:
    """The name without regard to case."""
    return tuple(part.lower() for part in (table.catalog, table.namespace, table.name))


def view_unreadable(view: TableRef, why: str = "") -> Conflict:
    """The one error for all that can be in the way of reading a view."""
    reason = why or (
        "a table or column below it does not exist, or you may not read it. See what it is made "
        "of, or have it made anew."
    )
    return Conflict(f"The view '{view}' cannot be read: {reason}", code=ErrorCode.VIEW_UNREADABLE)


def unreadable_by(view: TableRef, error: PixelflightError) -> Conflict:
    """The error about a view for one that came from below it, which may name what is hidden."""
    told = error.message if error.code is ErrorCode.VIEW_UNREADABLE else ""
    found = view_unreadable(view, told[:1].lower() + told[1:])
    return found.refusing(*error.refusal) if error.refusal is not None else found


def named_in_from(view: TableRef, definition: Definition, body: str) -> str:
    """What a view says as it stands in FROM, with the names that its maker gave to its columns."""
    names = f" ({_listed(definition.columns)})" if definition.columns else ""
    return f"({body}) AS {quoted(view.name)}{names}"


def _check_way(view: TableRef, through: tuple[TableRef, ...]) -> None:
    if folded(view) in map(folded, through):
        raise view_unreadable(through[0], "it reads itself, by way of others or at once.")
    if len(through) >= DEPTH_MAX:
        raise view_unreadable(through[0], f"there are more than {DEPTH_MAX} views below it.")


_schemas: dict[tuple[Any, ...], pa.Schema] = {}


def _schema(
    services: Services,
    call: Call,
    view: TableRef,
    definition: Definition,
    body: str,
    identity: tuple[Any, ...],
) -> pa.Schema:
    """As `view_schema`, kept for as long as nothing below it has other columns or limits."""
    known = _schemas.get(identity)
    if known is None:
        known = view_schema(services, call, view, definition, body)
        if len(_schemas) >= SCHEMAS_CACHED_MAX:
            _schemas.clear()
        _schemas[identity] = known
    return known


def _scan_sql(source: Source, request: ScanRequest) -> str:
    """The SELECT that a scan of a view means; its columns and its texts have been checked."""
    assert request.columns is not None, "a checked scan names its columns"
    clauses = [
        f"SELECT {_listed(request.columns)} FROM {source.sql}",
        f"WHERE {request.filter}" if request.filter else "",
        f"ORDER BY {request.order_by}" if request.order_by else "",
        f"LIMIT {request.limit}" if request.limit is not None else "",
        f"OFFSET {request.offset}" if request.offset else "",
    ]
    return " ".join(clause for clause in clauses if clause)


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(quoted(name) for name in names)
