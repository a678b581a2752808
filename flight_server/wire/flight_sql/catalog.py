"""What there is: catalogs, schemas and tables, as far as the principal may know of them.

A catalog of Flight SQL is a mounted engine, a schema a namespace. The temporary tables of a
session are in a catalog of their own, `temp`, as DuckDB has it. What may be known is decided by
`operations`; here it is searched by patterns and laid out as the protocol has it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress

import pyarrow as pa

from flight_server.errors import NotFound
from flight_server.model import TEMPORARY_CATALOG, Kind, NamespaceRef, TableRef
from flight_server.operations import Call, Services, kind_of_table, list_namespaces, list_tables
from flight_server.operations.tables import list_catalogs, table_specs
from flight_server.wire.flight_sql.columns import with_column_metadata
from flight_server.wire.flight_sql.patterns import matches, same

CATALOGS_SCHEMA = pa.schema([pa.field("catalog_name", pa.string(), nullable=False)])
SCHEMAS_SCHEMA = pa.schema(
    [
        pa.field("catalog_name", pa.string()),
        pa.field("db_schema_name", pa.string(), nullable=False),
    ]
)
TABLES_SCHEMA = pa.schema(
    [
        pa.field("catalog_name", pa.string()),
        pa.field("db_schema_name", pa.string()),
        pa.field("table_name", pa.string(), nullable=False),
        pa.field("table_type", pa.string(), nullable=False),
    ]
)
TABLES_WITH_SCHEMA_SCHEMA = TABLES_SCHEMA.append(
    pa.field("table_schema", pa.binary(), nullable=False)
)
TABLE_TYPES_SCHEMA = pa.schema([pa.field("table_type", pa.string(), nullable=False)])

# JDBC's words, which all tools on it look for: DuckDB's own is BASE TABLE.
TABLE = "TABLE"
VIEW = "VIEW"
TEMPORARY = "LOCAL TEMPORARY"


def catalogs(services: Services, call: Call) -> pa.Table:
    """CommandGetCatalogs."""
    return pa.table([pa.array(list_catalogs(services, call), pa.string())], schema=CATALOGS_SCHEMA)


def schemas(
    services: Services, call: Call, catalog: str | None = None, schema_pattern: str | None = None
) -> pa.Table:
    """CommandGetDbSchemas."""
    found = namespaces(services, call, catalog, schema_pattern)
    rows = [{"catalog_name": ref.catalog, "db_schema_name": ref.name} for ref in found]
    return pa.Table.from_pylist(rows, SCHEMAS_SCHEMA)


def tables(
    services: Services,
    call: Call,
    catalog: str | None = None,
    schema_pattern: str | None = None,
    table_pattern: str | None = None,
    table_types: Collection[str] = (),
    include_schema: bool = False,
) -> pa.Table:
    """CommandGetTables. No types means any; schemas hold the columns that may be read."""
    wanted, is_wanted = {kind.upper() for kind in table_types}, matches(table_pattern)
    rows: list[dict[str, object]] = []
    for namespace in namespaces(services, call, catalog, schema_pattern):
        if not wanted or wanted & _types_in(namespace.catalog):
            found = _tables(services, call, namespace, is_wanted, include_schema)
            rows += (row for row in found if not wanted or row["table_type"] in wanted)
    schema = TABLES_WITH_SCHEMA_SCHEMA if include_schema else TABLES_SCHEMA
    return pa.Table.from_pylist(rows, schema)


def table_types() -> pa.Table:
    """CommandGetTableTypes."""
    return pa.table([pa.array([TEMPORARY, TABLE, VIEW])], schema=TABLE_TYPES_SCHEMA)


def namespaces(
    services: Services, call: Call, catalog: str | None, schema_pattern: str | None
) -> Iterator[NamespaceRef]:
    """The namespaces that are looked for, sorted. There are none without a catalog."""
    in_catalog, is_wanted = same(catalog), matches(schema_pattern)
    for name in filter(in_catalog, list_catalogs(services, call)):
        for namespace in list_namespaces(services, call, name):
            if is_wanted(namespace.name):
                yield namespace


def _tables(
    services: Services,
    call: Call,
    namespace: NamespaceRef,
    wanted: Callable[[str], bool],
    include_schema: bool,
) -> Iterator[dict[str, object]]:
    if not include_schema:
        # Somebody may have dropped it since it was listed.
        with suppress(NotFound):
            listed = list_tables(services, call, namespace.catalog, namespace.name)
            yield from (_row(services, call, table) for table in listed if wanted(table.name))
        return
    for table, spec in table_specs(services, call, namespace, wanted):
        schema = with_column_metadata(spec.schema, table)
        yield _row(services, call, table) | {"table_schema": schema.serialize().to_pybytes()}


def _row(services: Services, call: Call, table: TableRef) -> dict[str, object]:
    return {
        "catalog_name": table.catalog,
        "db_schema_name": table.namespace,
        "table_name": table.name,
        "table_type": _type_of(services, call, table),
    }


def _type_of(services: Services, call: Call, table: TableRef) -> str:
    if table.catalog == TEMPORARY_CATALOG:
        return TEMPORARY
    return TABLE if kind_of_table(services, call, table) is Kind.TABLE else VIEW


def _types_in(catalog: str) -> set[str]:
    return {TEMPORARY} if catalog == TEMPORARY_CATALOG else {TABLE, VIEW}
