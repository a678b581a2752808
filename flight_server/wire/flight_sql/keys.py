"""Keys of tables: the columns that upserts match by, as primary keys; there are no foreign ones.

The implementations of the protocol agree on the order of the columns of primary keys, and its
text has another; here it is theirs, since they compare.
"""

from __future__ import annotations

import pyarrow as pa

from flight_server.model import (
    DEFAULT_CATALOG,
    DEFAULT_NAMESPACE,
    TableRef,
    TableSpec,
    table_not_found,
)
from flight_server.operations import Call, Services, list_namespaces
from flight_server.operations.tables import list_catalogs, table_specs
from flight_server.wire.flight_sql.patterns import same

PRIMARY_KEYS_SCHEMA = pa.schema(
    [
        pa.field("catalog_name", pa.string()),
        pa.field("db_schema_name", pa.string()),
        pa.field("table_name", pa.string(), nullable=False),
        pa.field("column_name", pa.string(), nullable=False),
        pa.field("key_sequence", pa.int32(), nullable=False),
        pa.field("key_name", pa.string()),
    ]
)
FOREIGN_KEYS_SCHEMA = pa.schema(
    [
        pa.field("pk_catalog_name", pa.string()),
        pa.field("pk_db_schema_name", pa.string()),
        pa.field("pk_table_name", pa.string(), nullable=False),
        pa.field("pk_column_name", pa.string(), nullable=False),
        pa.field("fk_catalog_name", pa.string()),
        pa.field("fk_db_schema_name", pa.string()),
        pa.field("fk_table_name", pa.string(), nullable=False),
        pa.field("fk_column_name", pa.string(), nullable=False),
        pa.field("key_sequence", pa.int32(), nullable=False),
        pa.field("fk_key_name", pa.string()),
        pa.field("pk_key_name", pa.string()),
        pa.field("update_rule", pa.uint8(), nullable=False),
        pa.field("delete_rule", pa.uint8(), nullable=False),
    ]
)


def primary_keys(
    services: Services, call: Call, catalog: str | None, schema: str | None, table: str
) -> pa.Table:
    """CommandGetPrimaryKeys: the keys of the tables of that name. NotFound.

    A key is shown to those who may read all of its columns.
    """
    rows = [
        {
            "catalog_name": ref.catalog,
            "db_schema_name": ref.namespace,
            "table_name": ref.name,
            "column_name": column,
            "key_sequence": number,
        }
        for ref, spec in _named(services, call, catalog, schema, table)
        for number, column in enumerate(spec.key, 1)
    ]
    return pa.Table.from_pylist(rows, PRIMARY_KEYS_SCHEMA)


def foreign_keys(
    services: Services, call: Call, catalog: str | None, schema: str | None, table: str
) -> pa.Table:
    """CommandGetImportedKeys and CommandGetExportedKeys: none, of a table that is. NotFound."""
    _named(services, call, catalog, schema, table)
    return FOREIGN_KEYS_SCHEMA.empty_table()


def cross_reference(
    services: Services,
    call: Call,
    primary: tuple[str | None, str | None, str],
    foreign: tuple[str | None, str | None, str],
) -> pa.Table:
    """CommandGetCrossReference: none, between two tables that are. NotFound.

    Each table is given as catalog, schema and name.
    """
    _named(services, call, *primary)
    _named(services, call, *foreign)
    return FOREIGN_KEYS_SCHEMA.empty_table()


def _named(
    services: Services, call: Call, catalog: str | None, schema: str | None, table: str
) -> list[tuple[TableRef, TableSpec]]:
    """The tables of that name, wherever catalog and schema do not say. NotFound."""
    in_catalog, in_schema, is_wanted = same(catalog), same(schema), same(table)
    found = [
        (ref, spec)
        for name in filter(in_catalog, list_catalogs(services, call))
        for namespace in list_namespaces(services, call, name)
        if in_schema(namespace.name)
        for ref, spec in table_specs(services, call, namespace, is_wanted)
    ]
    if not found:
        raise table_not_found(
            TableRef(catalog or DEFAULT_CATALOG, schema or DEFAULT_NAMESPACE, table)
        )
    return found
