"""Directories and tables that are made, renamed and dropped."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pixeltable as pxt
import pyarrow as pa
from pixeltable import type_system as types
from pixeltable.catalog.table_metadata import TableMetadata

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.worker import declared, names
from flight_server.engines.pixeltable.worker.columns import COMMENT, TYPE
from flight_server.engines.pixeltable.worker.home import Home
from flight_server.engines.pixeltable.worker.listings import opened
from flight_server.engines.safe_casts import is_bytes, is_text
from flight_server.errors import AlreadyExists, Conflict, ErrorCode, InvalidRequest
from flight_server.model import PIXELTABLE_CATALOG, NamespaceRef, TableRef, check_schema

# Under what a table's own metadata say whom it was made for.
MARK = "pixelflight.made_for"

_MEDIA: Mapping[bytes, type[types.ColumnType]] = {
    b"Image": types.ImageType,
    b"Video": types.VideoType,
    b"Audio": types.AudioType,
    b"Document": types.DocumentType,
}
_PLAIN: Sequence[tuple[Callable[[pa.DataType], bool], type[types.ColumnType]]] = (
    (pa.types.is_boolean, types.BoolType),
    (pa.types.is_integer, types.IntType),
    (pa.types.is_floating, types.FloatType),
    (is_text, types.StringType),
    (is_bytes, types.BinaryType),
    (pa.types.is_timestamp, types.TimestampType),
    (pa.types.is_date, types.DateType),
    (pa.types.is_nested, types.JsonType),
)

_IN_KEYS = (
    types.BoolType,
    types.IntType,
    types.FloatType,
    types.StringType,
    types.TimestampType,
    types.DateType,
    types.UUIDType,
)


def create_namespace(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """A directory, within one that is there."""
    for part in arguments["namespace"].lstrip("/").split("/"):
        names.check_new(part, "namespace")
    directory = names.directory_of(arguments["namespace"])
    above = directory.rpartition("/")[0]
    if above:
        check_directory(above)
    if not directory or directory in pxt.list_dirs("", recursive=True):
        named = NamespaceRef(PIXELTABLE_CATALOG, arguments["namespace"])
        raise AlreadyExists(f"There is a namespace '{named}' already.")
    pxt.create_dir(directory)
    return {}


def drop_namespace(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """An empty directory. Conflict where it is not."""
    directory = names.directory_of(arguments["namespace"])
    if not directory:
        raise InvalidRequest("The namespace 'main' is the root, and cannot be dropped.")
    if directory not in pxt.list_dirs("", recursive=True):
        raise names.namespace_not_found(arguments["namespace"])
    held = pxt.get_dir_contents(directory, recursive=False)
    if held["tables"] or held["dirs"]:
        named = NamespaceRef(PIXELTABLE_CATALOG, arguments["namespace"])
        raise Conflict(f"The namespace '{named}' is not empty: drop what is in it first.")
    pxt.drop_dir(directory)
    return {}


def create_table(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """A table of the columns of an Arrow schema."""
    schema = pa.ipc.read_schema(pa.BufferReader(base64.b64decode(arguments["schema"])))
    table = table_of(arguments, schema, arguments["key"], arguments["comment"])
    return {"snapshot": table.get_metadata()["version"]}


def rename_table(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """Another name, or another place."""
    table = opened({**arguments, "version": None})
    to = {"namespace": arguments["to_namespace"], "name": arguments["to_name"]}
    check_directory(to["namespace"])
    names.check_new(to["name"])
    path = names.path_of(to["namespace"], to["name"])
    was = names.path_of(arguments["namespace"], arguments["name"])
    # Names that differ by case are one name.
    if path != was:
        if pxt.get_table(path, if_not_exists="ignore") is not None:
            raise already_exists(to)
        pxt.move(was, path)
    return {"snapshot": table.get_metadata()["version"]}


def drop_table(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """A table, view or snapshot that no other one is made of."""
    table = opened({**arguments, "version": None})
    version = table.get_metadata()["version"]
    check_unused(table)
    pxt.drop_table(table)
    return {"snapshot": version}


def table_of(
    arguments: Mapping[str, Any],
    schema: pa.Schema,
    key: Sequence[str],
    comment: str,
    made_for: str | None = None,
) -> pxt.Table:
    """A new table. InvalidRequest (unsupported_type, invalid_name); AlreadyExists; NotFound.

    `made_for` is kept with it, for who asks `was_made_for`.
    """
    namespace, name = arguments["namespace"], arguments["name"]
    check_directory(namespace)
    check_schema(schema)
    names.check_new(name)
    for column in schema.names:
        names.check_new(column, "column")
    path = names.path_of(namespace, name)
    if pxt.get_table(path, if_not_exists="ignore") is not None:
        raise already_exists(arguments)
    columns = {field.name: column_of(field, field.name in key) for field in schema}
    for name in key:
        _check_key(name, columns)
    custom: dict[str, Any] = {} if made_for is None else {MARK: made_for}
    if schema.metadata:
        custom |= declared.metadata_of(pa.schema([], metadata=schema.metadata))
    return pxt.create_table(
        path,
        columns,
        primary_key=list(key) or None,
        comment=comment,
        custom_metadata=custom or None,
    )


def was_made_for(told: TableMetadata, what: str) -> bool:
    """Whether a table was made for this, and nothing has happened to it since."""
    mark = told["custom_metadata"]
    is_ours = isinstance(mark, Mapping) and mark.get(MARK) == what
    return is_ours and told["version"] == 0


def drop_unused(table: pxt.Table) -> None:
    """Drops a table that was just made, unless something was written to it already."""
    if table.get_metadata()["version"] == 0:
        pxt.drop_table(table, if_not_exists="ignore")


def check_directory(namespace: str) -> None:
    """NotFound (namespace_not_found)."""
    directory = names.directory_of(namespace)
    if directory and directory not in pxt.list_dirs("", recursive=True):
        raise names.namespace_not_found(namespace)


def check_unused(table: pxt.Table) -> None:
    """Conflict where something is made of it. What that is not everybody may know."""
    if table.list_views(recursive=False):
        raise Conflict("Other views or snapshots are made of it: drop them first.")


def already_exists(arguments: Mapping[str, Any]) -> AlreadyExists:
    """There is one of the name, which Pixeltable keeps in lower case."""
    named = TableRef(PIXELTABLE_CATALOG, arguments["namespace"], arguments["name"].lower())
    return AlreadyExists(f"There is a table '{named}' already.")


def column_of(field: pa.Field, is_key: bool = False) -> dict[str, Any]:
    """A column as Pixeltable is told of it. InvalidRequest (unsupported_type)."""
    kind = type_of(field)
    column: dict[str, Any] = {"type": kind.copy(nullable=field.nullable and not is_key)}
    if comment := (field.metadata or {}).get(COMMENT, b"").decode():
        column["comment"] = comment
    if not kind.is_media_type():
        kept = declared.declared_field(field)
        column["custom_metadata"] = declared.metadata_of(pa.schema([kept]))
    return column


def _check_key(name: str, columns: Mapping[str, Any]) -> None:
    if name in columns and not isinstance(columns[name]["type"], _IN_KEYS):
        raise InvalidRequest(
            f"Pixeltable finds no row by the column '{name}': a key holds numbers, texts, moments, "
            "UUIDs or truth values.",
            code=ErrorCode.UNSUPPORTED_TYPE,
        )


def type_of(field: pa.Field) -> types.ColumnType:
    """The type that holds a field's values. InvalidRequest (unsupported_type)."""
    arrow = field.type
    if (named := _MEDIA.get((field.metadata or {}).get(TYPE, b""))) is not None:
        return named()
    try:
        stored = declared.storage_of(arrow, top=True)
    except declared.Unkept as error:
        raise _unsupported(field) from error
    if isinstance(arrow, pa.UuidType):
        return types.UUIDType()
    if isinstance(arrow, pa.JsonType):
        return types.JsonType()
    if isinstance(arrow, pa.FixedShapeTensorType):
        return _array(field, tuple(arrow.shape), arrow.value_type)
    if pa.types.is_fixed_size_list(arrow) and pa.types.is_primitive(stored.value_type):
        return _array(field, (arrow.list_size,), arrow.value_type)
    return next(kind() for fits, kind in _PLAIN if fits(stored))


def _array(field: pa.Field, shape: tuple[int, ...], item: pa.DataType) -> types.ColumnType:
    if not (pa.types.is_integer(item) or pa.types.is_floating(item) or pa.types.is_boolean(item)):
        raise _unsupported(field)
    try:
        return types.ArrayType(shape, np.dtype(item.to_pandas_dtype()))
    except ValueError as error:
        raise _unsupported(field) from error


def _unsupported(field: pa.Field) -> InvalidRequest:
    return InvalidRequest(
        f"Pixeltable has no type for the column '{field.name}' of Arrow's {field.type}.",
        code=ErrorCode.UNSUPPORTED_TYPE,
    )
