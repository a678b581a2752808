"""Specs of tables and views as the registry's rows hold them, and as DuckLake itself tells them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import duckdb
import pyarrow as pa

from flight_server.engines.lake.instance import CATALOG, METADATA
from flight_server.model import (
    DEFAULT_CATALOG,
    HIDDEN_PREFIX,
    Definition,
    Refresh,
    TableRef,
    TableSpec,
    quoted,
)

# What DuckLake writes in a view's text for the name that the lake is attached under.
_CATALOG = "{DUCKLAKE_CATALOG}"


def encoded(spec: TableSpec) -> list[Any]:
    """The spec as the values of a row."""
    properties: dict[str, Any] = {}
    if spec.definition is not None:
        properties["definition"] = asdict(spec.definition)
    if spec.constraints:
        properties["constraints"] = dict(spec.constraints)
    if spec.checks:
        properties["checks"] = dict(spec.checks)
    return [
        spec.schema.serialize().to_pybytes(),
        json.dumps(spec.key),
        json.dumps(spec.partition_by),
        json.dumps(dict(spec.defaults)),
        spec.comment,
        json.dumps(properties) if properties else None,
    ]


def decoded(row: Any) -> tuple[TableRef, TableSpec]:
    """The table and the spec in a row that begins with the table's namespace and name."""
    namespace, name, schema, key, partition_by, defaults, comment, properties = row
    more = json.loads(properties) if properties else {}
    return TableRef(DEFAULT_CATALOG, namespace, name), TableSpec(
        schema=pa.ipc.read_schema(pa.py_buffer(schema)),
        key=tuple(json.loads(key)),
        partition_by=tuple(json.loads(partition_by)),
        defaults=json.loads(defaults),
        comment=comment,
        definition=_definition(more.get("definition")),
        constraints=more.get("constraints", {}),
        checks=more.get("checks", {}),
    )


def there_is(reader: duckdb.DuckDBPyConnection) -> Iterator[tuple[TableRef, Definition | None]]:
    """The tables of the lake, and its views with what DuckLake says of them."""
    tables = reader.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() "
        "WHERE database_name = ? AND schema_name NOT LIKE ?",
        [CATALOG, f"{HIDDEN_PREFIX}%"],
    ).fetchall()
    for namespace, name in tables:
        yield TableRef(DEFAULT_CATALOG, namespace, name), None
    views = reader.execute(
        f"SELECT s.schema_name, v.view_name, v.sql, v.column_aliases "
        f"FROM {METADATA}.ducklake_view v JOIN {METADATA}.ducklake_schema s USING (schema_id) "
        "WHERE v.end_snapshot IS NULL AND s.end_snapshot IS NULL"
    ).fetchall()
    for namespace, name, sql, names in views:
        text = with_catalog(sql)
        if names:
            text = f"SELECT * FROM ({text}) AS view ({names})"
        yield TableRef(DEFAULT_CATALOG, namespace, name), Definition(text, namespace=namespace)


def with_catalog(sql: str) -> str:
    """A view's text as DuckLake keeps it, with the name that the lake has here."""
    return sql.replace(_CATALOG, quoted(CATALOG))


def derived(
    reader: duckdb.DuckDBPyConnection, table: TableRef, definition: Definition | None
) -> TableSpec:
    """The spec of what was made without us; of a view that DuckDB cannot read, without columns."""
    if definition is None:
        return TableSpec(_columns(reader, table))
    schema = pa.schema([])
    with suppress(duckdb.Error):
        schema = _columns(reader, table)
    return TableSpec(schema, definition=definition)


def _columns(reader: duckdb.DuckDBPyConnection, table: TableRef) -> pa.Schema:
    return reader.execute(f"SELECT * FROM {table.sql} LIMIT 0").to_arrow_table().schema


def _definition(values: Any) -> Definition | None:
    if values is None:
        return None
    refresh = Refresh(values["refresh"]) if values["refresh"] else None
    scopes = tuple(values["scopes"]) if values["scopes"] is not None else None
    columns = tuple(values["columns"])
    return Definition(**{**values, "columns": columns, "refresh": refresh, "scopes": scopes})
