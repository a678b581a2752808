"""Lists of tables, with and without what is known of each."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import pyarrow as pa

from flight_server.auth import Action
from flight_server.engines.base import Engine, SupportsListings
from flight_server.errors import Conflict, Forbidden, NotFound
from flight_server.model import Kind, NamespaceRef, TableInfo, TableRef, TableSpec
from flight_server.operations.authorise import Permitted, check_in_view, known, visible_tables
from flight_server.operations.services import Call, Services, engine_of
from flight_server.operations.tables import (
    as_far_as_permitted,
    describe_table,
    list_namespaces,
)


def list_tables(
    services: Services,
    call: Call,
    catalog: str | None = None,
    namespace: str | None = None,
    pattern: str | None = None,
) -> list[TableRef]:
    """The tables that the principal may know of, sorted; everywhere, or in one place. NotFound.

    `pattern` is a glob over names, with their namespace or without.
    """
    catalogs = [catalog] if catalog else list(services.engines)
    if namespace is not None:
        catalogs = _holding(services, call, catalogs, namespace)
    found: list[TableRef] = []
    for name in catalogs:
        spaces = [namespace] if namespace else engine_of(services, call, name).namespaces()
        for space in spaces:
            found += visible_tables(services, call, name, space)
    return sorted(table for table in found if pattern is None or _matches(table, pattern))


def _holding(services: Services, call: Call, catalogs: Sequence[str], namespace: str) -> list[str]:
    """The catalogs that have the namespace in view. NotFound where none of them has."""
    missing: NotFound | None = None
    held = []
    for name in catalogs:
        try:
            check_in_view(services, call, NamespaceRef(name, namespace))
            held.append(name)
        except NotFound as error:
            missing = missing or error
    if missing is not None and not held:
        raise missing
    return held


def namespace_content(
    services: Services, call: Call, namespace: NamespaceRef
) -> tuple[list[NamespaceRef], list[TableRef]]:
    """The namespaces within a namespace, and its tables, as far as they may be known.

    NotFound (namespace_not_found).
    """
    check_in_view(services, call, namespace)
    below = f"{namespace.name.lower()}/"
    listed = list_namespaces(services, call, namespace.catalog)
    inside = [one for one in listed if one.name.lower().startswith(below)]
    return inside, list_tables(services, call, namespace.catalog, namespace.name)


def page_of_tables(
    tables: Sequence[TableRef], limit: int, after: TableRef | None = None
) -> tuple[list[TableRef], TableRef | None]:
    """So many tables behind one of them, and the last of these where there are more."""
    rest = [table for table in tables if after is None or table > after]
    page = list(rest[:limit])
    return page, page[-1] if page and len(rest) > limit else None


def describe_tables(services: Services, call: Call, tables: Sequence[TableRef]) -> list[TableInfo]:
    """As `describe_table` tells of each; those that are missing or not readable are left out.

    A view that cannot be read has no columns.
    """
    plain: dict[TableRef, Permitted] = {}
    told: list[TableInfo] = []
    for table in tables:
        with suppress(NotFound, Forbidden):
            found = known(services, call, table, Action.READ)
            if found.version.spec.kind is Kind.TABLE:
                plain[found.table] = found
            else:
                told.append(_view(services, call, found))
    for catalog in dict.fromkeys(table.catalog for table in plain):
        engine = engine_of(services, call, catalog)
        for info in _described(engine, [table for table in plain if table.catalog == catalog]):
            allowed = plain[info.table]
            if info.spec == allowed.version.spec:
                told.append(as_far_as_permitted(allowed, info))
                continue
            # It was altered since it was looked at: both looks have to be taken anew.
            with suppress(NotFound, Forbidden):
                told.append(describe_table(services, call, info.table))
    return sorted(told, key=lambda info: info.table)


def _view(services: Services, call: Call, found: Permitted) -> TableInfo:
    try:
        return describe_table(services, call, found.table)
    except Conflict:
        info = found.engine.describe(found.table)
        spec = TableSpec(pa.schema([]), comment=info.spec.comment)
        return replace(info, spec=spec, rows=-1, bytes=-1, files=-1)


def _described(engine: Engine, tables: list[TableRef]) -> list[TableInfo]:
    if isinstance(engine, SupportsListings):
        return engine.describe_all(tables)
    infos = []
    for table in tables:
        with suppress(NotFound):
            infos.append(engine.describe(table))
    return infos


def _matches(table: TableRef, pattern: str) -> bool:
    """Whether the glob fits the table's own name or its full one, whatever their case."""
    names = (table.name, f"{table.namespace}.{table.name}", str(table))
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for name in names)
