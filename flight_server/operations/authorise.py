"""May this principal do that? Everything hidden is told like everything missing.

The one place where a decision of the policy becomes an error. What does not exist and what may
not be seen raise the same NotFound with the same words; only somebody who may see a thing is told
that something else with it is forbidden.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from flight_server.auth import Action, Decision, Permit, folded
from flight_server.engines.base import Engine
from flight_server.errors import (
    ErrorCode,
    Forbidden,
    InvalidRequest,
    NotFound,
    Unsupported,
    did_you_mean,
)
from flight_server.model import (
    HIDDEN_PREFIX,
    TEMPORARY_CATALOG,
    Kind,
    NamespaceRef,
    TableRef,
    TableVersion,
    resource_name,
    table_not_found,
)
from flight_server.operations.services import Call, Services, engine_of
from flight_server.query import Source, columns_named, fits

_WRITES = frozenset({Action.INSERT, Action.UPDATE, Action.DELETE})


@dataclass(frozen=True)
class Below:
    """What a view is to one reader: what is read in its place, and how much of what is below.

    `is_part` says that something of it is withheld; `bytes` is what it holds, where that is
    limited; `identity` is what the types of the view's columns hang on; `tables` are those whose
    newest rows it reads.
    """

    source: Source
    is_part: bool
    bytes: int
    identity: tuple[Any, ...]
    tables: frozenset[TableRef] = frozenset()


@dataclass(frozen=True)
class Permitted:
    """A table that the principal may do the asked action with, and how much of it.

    `columns` are the permitted ones in the schema's order; `row_filter` is a SQL predicate that
    rows must meet, or None. `below` is there where it is a view that is to be read.
    """

    engine: Engine
    version: TableVersion
    columns: tuple[str, ...]
    row_filter: str | None
    below: Below | None = None

    @property
    def table(self) -> TableRef:
        """The canonical name."""
        return self.version.table

    @property
    def whole(self) -> bool:
        """Whether nothing of the table is withheld."""
        return self.row_filter is None and len(self.columns) == len(self.version.schema)

    @property
    def schema(self) -> pa.Schema:
        """The permitted columns' schema."""
        schema = self.version.schema
        if len(self.columns) == len(schema):
            return schema
        # What is noted of the whole may name any of its columns, as pandas' notes do.
        return pa.schema([schema.field(name) for name in self.columns])


def permitted(
    services: Services,
    call: Call,
    table: TableRef,
    action: Action,
    version: int | None = None,
    through: tuple[TableRef, ...] = (),
) -> Permitted:
    """The table, resolved, and what of it the principal may `action`.

    NotFound where it is missing or hidden; Forbidden where it is visible but the action is not
    allowed. A view that is read is looked through (Conflict, view_unreadable); rows are not
    written to one (Unsupported). `through` are the views on the way to the table.
    """
    found = known(services, call, table, action, version)
    kind = found.version.spec.kind
    if kind is not Kind.TABLE and action in _WRITES:
        what = "snapshot" if kind is Kind.SNAPSHOT else "view"
        raise Unsupported(
            f"'{found.table}' is a {what}, whose rows cannot be written: write to the tables that "
            "it reads."
        )
    if kind is not Kind.VIEW or action is not Action.READ:
        return found
    # Imported here, since a view is made of tables that are authorised here.
    from flight_server.operations.seen_through import seen_through

    return seen_through(services, call, found, version, through)


def known(
    services: Services, call: Call, table: TableRef, action: Action, version: int | None = None
) -> Permitted:
    """As `permitted`, of a view whatever is below it: it has the columns that it was made with."""
    engine = engine_of(services, call, table.catalog)
    hide_internal(table)
    call.attempt.asked = (action.value, table)
    try:
        resolved = engine.resolve(table, version)
    except NotFound as error:
        if error.code is not ErrorCode.VERSION_NOT_FOUND or not _visible(services, call, table):
            if error.code is ErrorCode.VERSION_NOT_FOUND:
                raise _missing(services, call, table).refusing(*_refusal(action, table)) from None
            raise _missing(services, call, table) from None
        raise
    decision = _decision(services, call, resolved.table, action)
    if not decision.allowed:
        refusal = _refusal(action, resolved.table)
        if not decision.visible:
            raise _missing(services, call, table).refusing(*refusal)
        message = f"You may not {action.value} the table '{resolved.table}'."
        raise Forbidden(message).refusing(*refusal)
    decision = _fitting(resolved, decision)
    return Permitted(engine, resolved, _columns(resolved, decision), decision.row_filter)


def is_there(services: Services, call: Call, table: TableRef, action: Action) -> bool:
    """Whether there is one that the principal can see; Forbidden where it may not `action` it."""
    try:
        known(services, call, table, action)
    except NotFound:
        return False
    return True


def known_table(services: Services, call: Call, table: TableRef) -> TableRef:
    """The table in its true case, for whoever may know of it. NotFound."""
    engine = engine_of(services, call, table.catalog)
    hide_internal(table)
    try:
        found = engine.resolve(table).table
    except NotFound:
        raise _missing(services, call, table) from None
    if not _visible(services, call, found):
        raise _missing(services, call, table)
    return found


def may_on_namespace(
    services: Services, call: Call, namespace: NamespaceRef, action: Action
) -> None:
    """Forbidden unless the principal may do this in the namespace."""
    refusal = _refusal(action, namespace)
    if namespace.name.lower().startswith(HIDDEN_PREFIX):
        raise Forbidden(f"The namespace '{namespace}' is the server's own.").refusing(*refusal)
    if namespace.catalog == TEMPORARY_CATALOG:
        return
    if not services.access.may(call.principal, action, namespace).allowed:
        message = f"You may not {action.value} in the namespace '{namespace}'."
        raise Forbidden(message).refusing(*refusal)


def may_in_namespace(
    services: Services, call: Call, namespace: NamespaceRef, action: Action
) -> None:
    """As `may_on_namespace`, of one that has to be there. NotFound where it is not in view."""
    if not namespace.name.lower().startswith(HIDDEN_PREFIX):
        check_in_view(services, call, namespace)
    may_on_namespace(services, call, namespace, action)


def check_in_view(services: Services, call: Call, namespace: NamespaceRef) -> None:
    """NotFound (namespace_not_found) where it is missing, and alike where it is hidden."""
    seen = [one.name for one in visible_namespaces(services, call, namespace.catalog)]
    if folded(namespace.name) not in map(folded, seen):
        raise namespace_not_found(namespace.name, seen)


def visible_namespaces(services: Services, call: Call, catalog: str) -> list[NamespaceRef]:
    """The namespaces of a catalog that the principal may know of, sorted."""
    names = engine_of(services, call, catalog).namespaces()
    return [NamespaceRef(catalog, n) for n in names if _may_know(services, call, catalog, n)]


def namespace_not_found(name: str, known: Iterable[str]) -> NotFound:
    """There is no such namespace, or it is hidden; with the nearest of those that are known."""
    return NotFound(
        f"There is no namespace '{name}'.{did_you_mean(name, known)}",
        code=ErrorCode.NAMESPACE_NOT_FOUND,
    )


def narrow(allowed: Permitted, names: tuple[str, ...] | None) -> tuple[str, ...]:
    """The columns asked for in their true case, or all permitted ones.

    InvalidRequest (column_not_found), alike for hidden and missing columns.
    """
    if names is None:
        return allowed.columns
    if not names:
        raise InvalidRequest("'columns' is empty: name at least one column, or leave it out.")
    known = {name.lower(): name for name in allowed.columns}
    for name in names:
        if name.lower() not in known:
            raise InvalidRequest(
                f"The table '{allowed.table}' has no column '{name}'."
                f"{did_you_mean(name, allowed.columns)}",
                code=ErrorCode.COLUMN_NOT_FOUND,
            )
    return tuple(known[name.lower()] for name in names)


def known_columns(services: Services, call: Call, allowed: Permitted) -> tuple[str, ...]:
    """The columns that the principal may know of: to read them, or to write them."""
    schema = allowed.version.schema
    if len(allowed.columns) == len(schema):
        return allowed.columns
    actions = (Action.READ, Action.INSERT, Action.UPDATE)
    decisions = [_decision(services, call, allowed.table, action) for action in actions]
    found = {name for one in decisions for name in _columns(allowed.version, one)}
    return tuple(name for name in schema.names if name in found)


def check_columns(
    services: Services, call: Call, allowed: Permitted, action: Action, names: Collection[str]
) -> None:
    """Forbidden where one of the columns is not the principal's to write.

    Those that are hidden pass, to be told like missing ones.
    """
    known = {name.lower() for name in known_columns(services, call, allowed)}
    mine = {name.lower() for name in allowed.columns}
    for name in names:
        if name.lower() in known - mine:
            refusal = _refusal(action, allowed.table)
            raise Forbidden(f"You may not {action.value} the column '{name}'.").refusing(*refusal)


def check_left_out(
    services: Services, call: Call, allowed: Permitted, names: Collection[str]
) -> None:
    """Forbidden where new rows with these columns only would lack a hidden one."""
    spec, known = allowed.version.spec, known_columns(services, call, allowed)
    given = {name.lower() for name in (*names, *known, *spec.defaults)}
    if any(not field.nullable and field.name.lower() not in given for field in spec.schema):
        raise Forbidden(
            f"You may insert some columns of '{allowed.table}' only, and another one needs a value."
        )


def check_in_sight(names: Collection[str], *limits: Permitted) -> None:
    """Forbidden where a column is set that says which rows are the principal's.

    A row could be moved out of what the grants allow by it, and others could be moved there.
    """
    for allowed in limits:
        judged = columns_named(allowed.row_filter) if allowed.row_filter is not None else ()
        for name in names:
            if name.lower() in judged:
                raise Forbidden(
                    f"You may not set the column '{name}' of '{allowed.table}': it decides which "
                    "of its rows are yours."
                )


def refuse_views(allowed: Permitted, why: str) -> None:
    """Unsupported where it is a view, which holds no rows."""
    if allowed.version.spec.kind is Kind.VIEW:
        raise Unsupported(f"'{allowed.table}' is a view and {why}: ask that of its tables.")


def hide_internal(table: TableRef) -> None:
    """NotFound for the server's own tables, whoever asks."""
    if table.namespace.lower().startswith(HIDDEN_PREFIX):
        raise table_not_found(table).refusing(*_refusal(Action.READ, table))


def visible_tables(services: Services, call: Call, catalog: str, namespace: str) -> list[TableRef]:
    """The tables of a namespace that the principal may know of."""
    tables = engine_of(services, call, catalog).tables(namespace)
    return [table for table in tables if _visible(services, call, table)]


def without_hidden(spec: Any, columns: tuple[str, ...]) -> Any:
    """A table's spec without the columns that are not in `columns`."""
    kept = pa.schema([field for field in spec.schema if field.name in columns])
    seen = {name.lower() for name in columns}
    return replace(
        spec,
        schema=kept,
        key=spec.key if set(spec.key) <= set(columns) else (),
        partition_by=tuple(one for one in spec.partition_by if columns_named(one) <= seen),
        defaults={name: text for name, text in spec.defaults.items() if name in columns},
        constraints={name: one for name, one in spec.constraints.items() if name in columns},
        checks={name: text for name, text in spec.checks.items() if columns_named(text) <= seen},
    )


def _refusal(action: Action, of: TableRef | NamespaceRef) -> tuple[str, str]:
    """What the audit trail is told of a refusal."""
    return action.value, resource_name(of)


def _may_know(services: Services, call: Call, catalog: str, name: str) -> bool:
    if catalog == TEMPORARY_CATALOG:
        return True
    return services.access.may(call.principal, Action.READ, NamespaceRef(catalog, name)).visible


def _visible(services: Services, call: Call, table: TableRef) -> bool:
    return _decision(services, call, table, Action.READ).visible


def _decision(services: Services, call: Call, table: TableRef, action: Action) -> Decision:
    if table.catalog == TEMPORARY_CATALOG:
        # Only the session that made it gets so far, and may do with it what it likes.
        return Decision(True, (Permit(),))
    return services.access.may(call.principal, action, table)


def _fitting(version: TableVersion, decision: Decision) -> Decision:
    """Without the permits whose filter names a column that this version has not: nothing meets it.

    It was granted while the table had that column, or for all tables of a namespace.
    """
    text = decision.row_filter
    if text is None or fits(text, names := tuple(version.schema.names)):
        return decision
    kept = (one for one in decision.permits if one.rows is None or fits(one.rows, names))
    return replace(decision, permits=tuple(kept))


def _columns(version: TableVersion, decision: Decision) -> tuple[str, ...]:
    names = version.schema.names
    return tuple(name for name in names if decision.permits_column(name))


def _missing(services: Services, call: Call, table: TableRef) -> NotFound:
    """NotFound with the nearest name among those the principal may see."""
    try:
        names = [str(t) for t in visible_tables(services, call, table.catalog, table.namespace)]
    except NotFound:
        names = []
    return table_not_found(table, did_you_mean(str(table), names))
