"""Making and changing tables: names, columns and properties, never rows by their values.

Each function writes into a draft; what it refuses leaves no trace, since the draft is dropped.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from flight_server.errors import (
    AlreadyExists,
    Conflict,
    ErrorCode,
    InvalidRequest,
    NotFound,
    Unsupported,
)
from flight_server.model import (
    CHANGE_COLUMNS,
    DEFAULT_NAMESPACE,
    NamespaceRef,
    TableRef,
    TableSpec,
    check_name,
)
from flight_server.testing.memory.checks import checked_rules
from flight_server.testing.memory.columns import no_rows
from flight_server.testing.memory.commits import CommitLog, Draft
from flight_server.testing.memory.expressions import constant
from flight_server.testing.memory.state import TableState, column_position, numbers

RESERVED = frozenset(field.name for field in CHANGE_COLUMNS)
PARTITION = re.compile(r"(?:(?:year|month|day|hour)\((?P<inner>.+)\)|(?P<plain>.+))")


def create_namespace(draft: Draft, namespace: NamespaceRef) -> None:
    """ALREADY_EXISTS."""
    folded = namespace.name.casefold()
    if folded in draft.state.namespaces:
        raise AlreadyExists(f"The namespace '{namespace}' exists already.")
    namespaces = {**draft.state.namespaces, folded: namespace.name}
    draft.state = replace(draft.state, namespaces=namespaces)


def drop_namespace(draft: Draft, namespace: NamespaceRef) -> None:
    """NAMESPACE_NOT_FOUND; Conflict while tables are in it."""
    name, folded = draft.state.namespace(namespace.name), namespace.name.casefold()
    if folded == DEFAULT_NAMESPACE:
        raise InvalidRequest(f"The namespace '{name}' is always there and cannot be dropped.")
    inside = [str(t.ref) for (where, _), t in draft.state.tables.items() if where == folded]
    if inside:
        raise Conflict(
            f"The namespace '{namespace}' still has tables: {', '.join(sorted(inside))}.",
            code=ErrorCode.CONFLICT,
        )
    namespaces = {k: v for k, v in draft.state.namespaces.items() if k != folded}
    draft.state = replace(draft.state, namespaces=namespaces)


def create_table(draft: Draft, ref: TableRef, spec: TableSpec) -> TableState:
    """An empty table. ALREADY_EXISTS, NAMESPACE_NOT_FOUND, and what a spec may have wrong."""
    ref = replace(ref, namespace=draft.state.namespace(ref.namespace))
    _refuse_taken(draft, ref)
    spec = checked_spec(spec)
    ids = draft.new_ids(1 + len(spec.schema))
    table = TableState(
        ids[0],
        ref,
        spec,
        dt.datetime.now(dt.UTC),
        tuple(ids[1:]),
        no_rows(spec.schema),
        numbers(range(0)),
        numbers(range(0)),
    )
    draft.put(table, "created")
    return table


def rename_table(draft: Draft, ref: TableRef, to: TableRef) -> None:
    """TABLE_NOT_FOUND, ALREADY_EXISTS; Unsupported across namespaces."""
    table = draft.state.table(ref)
    if to.namespace.casefold() != table.ref.namespace.casefold():
        raise Unsupported(
            f"The table '{ref}' cannot move to the namespace '{to.namespace}': "
            f"a rename stays within '{table.ref.namespace}'."
        )
    found = draft.state.find(to)
    if found is not None and found.id != table.id:
        _refuse_taken(draft, to)
    draft.put(replace(table, ref=replace(table.ref, name=to.name)), "altered")


def undrop_table(draft: Draft, log: CommitLog, ref: TableRef) -> None:
    """The table as it was before it was dropped. TABLE_NOT_FOUND, ALREADY_EXISTS."""
    _refuse_taken(draft, ref)
    draft.state.namespace(ref.namespace)
    for snapshot in reversed(log.snapshots):
        table = snapshot.state.find(ref)
        # A table that was renamed away from this name is not a dropped one.
        if table is not None and draft.state.find_id(table.id) is None:
            draft.put(table, "created")
            return
    raise NotFound(f"No table '{ref}' was dropped.", code=ErrorCode.TABLE_NOT_FOUND)


def checked_spec(spec: TableSpec) -> TableSpec:
    """The spec with its columns spelled as in the schema, or InvalidRequest."""
    if not len(spec.schema):
        raise InvalidRequest("A table needs at least one column.", code=ErrorCode.SCHEMA_MISMATCH)
    check_columns(spec.schema)
    defaults = {_true_name(spec.schema, name): text for name, text in spec.defaults.items()}
    check_defaults(spec.schema, defaults)
    return checked_rules(
        replace(
            spec,
            key=tuple(_true_name(spec.schema, name) for name in spec.key),
            partition_by=checked_partitioning(spec.schema, spec.partition_by),
            defaults=defaults,
        )
    )


def check_columns(schema: pa.Schema) -> None:
    """INVALID_NAME where a name cannot be one; SCHEMA_MISMATCH where there are two of it."""
    seen: set[str] = set()
    for field in schema:
        check_name(field.name, "column name")
        folded = field.name.casefold()
        if folded in seen:
            raise InvalidRequest(
                f"There are two columns '{field.name}'; case makes no difference.",
                code=ErrorCode.SCHEMA_MISMATCH,
            )
        if folded in RESERVED:
            raise InvalidRequest(
                f"A column cannot be named '{field.name}': change feeds use that name.",
                code=ErrorCode.INVALID_NAME,
            )
        seen.add(folded)


def check_defaults(schema: pa.Schema, defaults: Mapping[str, str]) -> None:
    """INVALID_SQL, SCHEMA_MISMATCH or INVALID_DATA where a default is no value of its column."""
    for name, text in defaults.items():
        constant(text, schema.field(name), 1)


def checked_partitioning(schema: pa.Schema, partition_by: Sequence[str]) -> tuple[str, ...]:
    """The terms with columns spelled as in the schema. COLUMN_NOT_FOUND."""
    terms = []
    for term in partition_by:
        names = [name.casefold() for name in schema.names]
        found = PARTITION.fullmatch(term)
        if found is None or found["inner"] is None or term.casefold() in names:
            terms.append(_true_name(schema, term))
        else:
            true = _true_name(schema, found["inner"])
            terms.append(f"{term[: term.index('(')]}({true})")
    return tuple(terms)


def partition_column(term: str) -> str:
    """The column that a term of a checked partitioning names."""
    found = PARTITION.fullmatch(term)
    assert found is not None, "the partitioning was checked"
    return found["inner"] or found["plain"]


def _true_name(schema: pa.Schema, name: str) -> str:
    return str(schema.names[column_position(schema, name)])


def _refuse_taken(draft: Draft, ref: TableRef) -> None:
    found = draft.state.find(ref)
    if found is not None:
        raise AlreadyExists(f"The table '{found.ref}' exists already.")
