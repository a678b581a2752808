"""The bodies of actions."""

from __future__ import annotations

from typing import Annotated, Any

import pyarrow as pa
from pydantic import Field

from flight_server.arrow_types import field_of, parse_type, schema_from_ipc, schema_of
from flight_server.bodies.requests import AsOf, Body, Int64, OfTable, Version, parsed
from flight_server.errors import InvalidRequest, did_you_mean
from flight_server.model import (
    DEFAULT_CATALOG,
    AddColumn,
    DropColumn,
    RenameColumn,
    RetypeColumn,
    SchemaChange,
    SetComment,
    SetDefault,
    SetKey,
    SetNullable,
    SetPartitioning,
    TableSpec,
)


class Nothing(Body):
    """An action that takes no fields."""


class OfNamespace(Body):
    """Something about one namespace: `[catalog:]namespace`."""

    namespace: str


class ListNamespaces(Body):
    """`list_namespaces`."""

    catalog: str = DEFAULT_CATALOG


class Column(Body):
    """A column of a new table, or a new column of a table."""

    name: str
    type: str
    nullable: bool = True
    metadata: dict[str, str] = Field(default_factory=dict)


class CreateTable(OfTable):
    """`create_table`: the schema as `columns` or as `schema_ipc`."""

    columns: list[Column] | None = None
    schema_ipc: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    key: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    defaults: dict[str, str] = Field(default_factory=dict)
    comment: str = ""

    def spec(self) -> TableSpec:
        """The table that is to be. InvalidRequest."""
        return TableSpec(
            self._schema(), self.key, self.partition_by, dict(self.defaults), self.comment
        )

    def _schema(self) -> pa.Schema:
        if (self.columns is None) == (self.schema_ipc is None):
            raise InvalidRequest("Give the schema as 'columns' or as 'schema_ipc', one of them.")
        if self.schema_ipc is not None:
            return schema_from_ipc(self.schema_ipc)
        columns = [column.model_dump() for column in self.columns or ()]
        return schema_of(columns, self.metadata)


class RenameTable(OfTable):
    """`rename_table`."""

    to: str


class DescribeTable(OfTable):
    """`describe_table`, as it is or was."""

    version: Version | None = None
    as_of: AsOf | None = None


class AlterTable(OfTable):
    """`alter_table`: each change is an object with one key, the kind of change."""

    changes: list[dict[str, dict[str, Any]]]

    def parsed_changes(self) -> list[SchemaChange]:
        """The changes in their order. InvalidRequest."""
        return [_change(change) for change in self.changes]


class ListVersions(OfTable):
    """`list_versions`, newest first."""

    limit: Annotated[int, Field(strict=True, ge=1, lt=2**63)] | None = None


class Restore(OfTable):
    """`restore`: by a version's number, a tag's name, or a time."""

    version: Version | None = None
    as_of: AsOf | None = None


class TagOf(OfTable):
    """`drop_tag`."""

    name: str


class CreateTag(TagOf):
    """`create_tag`; without a version, of the newest."""

    version: Int64 | None = None


class Update(OfTable):
    """`update`: columns to SQL expressions over the row's old values."""

    assignments: Annotated[dict[str, str], Field(alias="set")]
    filter: str | None = None
    all: bool = False


class Delete(OfTable):
    """`delete`."""

    filter: str | None = None
    all: bool = False


class Optimize(Body):
    """`optimize`: one table, or without a table, for admins, the whole lake."""

    table: str | None = None


class _Named(Body):
    name: str


class _Rename(_Named):
    new_name: str


class _Retype(_Named):
    type: str


class _AddColumn(Column):
    default: str | None = None


class _Default(_Named):
    default: str | None


class _Nullable(_Named):
    nullable: bool


class _Key(Body):
    key: tuple[str, ...]


class _Comment(Body):
    comment: str


class _Partitioning(Body):
    partition_by: tuple[str, ...]


_CHANGES: dict[str, tuple[type[Body], Any]] = {
    "add_column": (
        _AddColumn,
        lambda body: AddColumn(field_of(body.model_dump()), body.default),
    ),
    "drop_column": (_Named, lambda body: DropColumn(body.name)),
    "rename_column": (_Rename, lambda body: RenameColumn(body.name, body.new_name)),
    "retype_column": (_Retype, lambda body: RetypeColumn(body.name, parse_type(body.type))),
    "set_default": (_Default, lambda body: SetDefault(body.name, body.default)),
    "set_nullable": (_Nullable, lambda body: SetNullable(body.name, body.nullable)),
    "set_key": (_Key, lambda body: SetKey(body.key)),
    "set_comment": (_Comment, lambda body: SetComment(body.comment)),
    "set_partitioning": (_Partitioning, lambda body: SetPartitioning(body.partition_by)),
}


def _change(given: dict[str, dict[str, Any]]) -> SchemaChange:
    kind = next(iter(given), "")
    if len(given) != 1 or kind not in _CHANGES:
        known = ", ".join(_CHANGES)
        raise InvalidRequest(
            f"A change is an object with one key of {known}; this one has {list(given)}."
            f"{did_you_mean(kind, _CHANGES)}"
        )
    body, make = _CHANGES[kind]
    change: SchemaChange = make(parsed(body, given[kind], f"change '{kind}'"))
    return change
