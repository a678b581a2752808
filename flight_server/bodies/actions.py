"""The bodies of actions."""

from __future__ import annotations

from typing import Annotated, Any

import pyarrow as pa
from pydantic import Field

from flight_server.arrow_types import parse_type, schema_from_ipc
from flight_server.bodies.requests import AsOf, Body, Int64, OfTable, Version, parsed
from flight_server.errors import InvalidRequest, did_you_mean
from flight_server.formats.inference import Inferred, from_rows
from flight_server.model import (
    COLUMN_COMMENT,
    AddColumn,
    DropCheck,
    DropColumn,
    RenameColumn,
    RetypeColumn,
    SchemaChange,
    SetCheck,
    SetColumnComment,
    SetComment,
    SetConstraint,
    SetDefault,
    SetKey,
    SetNullable,
    SetPartitioning,
    TableSpec,
)

COMMENT = COLUMN_COMMENT.decode()


class Nothing(Body):
    """An action that takes no fields."""


class OfNamespace(Body):
    """Something about one namespace: `[catalog:]namespace`."""

    namespace: str


class CreateNamespace(OfNamespace):
    """`create_namespace`; with `if_not_exists` nothing is done where there is one."""

    if_not_exists: bool = False


class DropNamespace(OfNamespace):
    """`drop_namespace`; with `if_exists` nothing is done where there is none."""

    if_exists: bool = False


class ListNamespaces(Body):
    """`list_namespaces`, of all catalogs or of one."""

    catalog: str | None = None


class Column(Body):
    """A column of a new table, or a new column of a table; `constraints` are JSON Schema."""

    name: str
    type: str
    nullable: bool = True
    default: str | None = None
    comment: str = ""
    constraints: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, str] = Field(default_factory=dict)

    def field(self) -> pa.Field:
        """The column in a schema. InvalidRequest."""
        noted = self.metadata | ({COMMENT: self.comment} if self.comment else {})
        return pa.field(
            self.name, parse_type(self.type), nullable=self.nullable, metadata=noted or None
        )


class CreateTable(OfTable):
    """`create_table`: the schema as `columns`, as `schema_ipc`, or as sample `rows` show it.

    With `if_not_exists` nothing is done where there is a table. The rows are not inserted.
    """

    columns: list[Column] | None = None
    schema_ipc: str | None = None
    rows: list[dict[str, Any]] | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    key: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    defaults: dict[str, str] = Field(default_factory=dict)
    constraints: dict[str, dict[str, Any]] = Field(default_factory=dict)
    checks: dict[str, str] = Field(default_factory=dict)
    comment: str = ""
    if_not_exists: bool = False

    def spec(self) -> TableSpec:
        """The table that is to be. InvalidRequest."""
        columns = self.columns or ()
        said = {one.name: one.default for one in columns if one.default is not None}
        ruled = {one.name: one.constraints for one in columns if one.constraints}
        for what, apart, beside in (
            ("default", self.defaults, said),
            ("constraints", self.constraints, ruled),
        ):
            for name in apart.keys() & beside.keys():
                raise InvalidRequest(f"The {what} of the column '{name}' is there twice.")
        return TableSpec(
            self._schema(),
            self.key,
            self.partition_by,
            self.defaults | said,
            self.comment,
            constraints=self.constraints | ruled,
            checks=self.checks,
        )

    def inferred(self) -> Inferred | None:
        """What the sample rows say, where there are some. InvalidRequest."""
        return None if self.rows is None else from_rows(self.rows)

    def _schema(self) -> pa.Schema:
        given = [one for one in (self.columns, self.schema_ipc, self.rows) if one is not None]
        if len(given) != 1:
            raise InvalidRequest(
                "Give the schema as 'columns', as 'schema_ipc' or as sample 'rows', one of them."
            )
        if (sample := self.inferred()) is not None:
            return sample.schema.with_metadata(self.metadata or None)
        if self.schema_ipc is not None:
            return schema_from_ipc(self.schema_ipc)
        columns = [column.field() for column in self.columns or ()]
        return pa.schema(columns, metadata=self.metadata or None)


class DropTable(OfTable):
    """`drop_table`; with `if_exists` nothing is done where there is none.

    With `cascade` the views and snapshots that its engine keeps of it go with it.
    """

    if_exists: bool = False
    cascade: bool = False


class RenameTable(OfTable):
    """`rename_table`."""

    to: str


class ChangeTable(Body):
    """What PATCH makes of a table, in one commit: another name, a comment, changes of columns."""

    rename_to: str | None = None
    comment: str | None = None
    changes: list[dict[str, dict[str, Any]]] = Field(default_factory=list)

    def parsed_changes(self) -> list[SchemaChange]:
        """The changes in their order, the comment first. InvalidRequest."""
        comment = [] if self.comment is None else [SetComment(self.comment)]
        return [*comment, *parsed_changes(self.changes)]


class DescribeTable(OfTable):
    """`describe_table`, as it is or was."""

    version: Version | None = None
    as_of: AsOf | None = None


class AlterTable(OfTable):
    """`alter_table`: each change is an object with one key, the kind of change."""

    changes: list[dict[str, dict[str, Any]]]

    def parsed_changes(self) -> list[SchemaChange]:
        """The changes in their order. InvalidRequest."""
        return parsed_changes(self.changes)


def parsed_changes(changes: list[dict[str, dict[str, Any]]]) -> list[SchemaChange]:
    """Changes in their order. InvalidRequest."""
    return [change for given in changes for change in _changes(given)]


class ListVersions(OfTable):
    """`list_versions`, newest first."""

    limit: Annotated[int, Field(strict=True, ge=1, lt=2**63)] | None = None


class SchemaHistory(OfTable):
    """`schema_history`, newest first."""

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


class _Constraint(_Named):
    constraints: dict[str, Any] | None


class _Check(_Named):
    expression: str


class _ColumnComment(_Named):
    comment: str


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
    "add_column": (Column, lambda body: AddColumn(body.field(), body.default)),
    "drop_column": (_Named, lambda body: DropColumn(body.name)),
    "rename_column": (_Rename, lambda body: RenameColumn(body.name, body.new_name)),
    "retype_column": (_Retype, lambda body: RetypeColumn(body.name, parse_type(body.type))),
    "set_default": (_Default, lambda body: SetDefault(body.name, body.default)),
    "set_nullable": (_Nullable, lambda body: SetNullable(body.name, body.nullable)),
    "set_key": (_Key, lambda body: SetKey(body.key)),
    "set_comment": (_Comment, lambda body: SetComment(body.comment)),
    "set_constraint": (_Constraint, lambda body: SetConstraint(body.name, body.constraints)),
    "set_check": (_Check, lambda body: SetCheck(body.name, body.expression)),
    "drop_check": (_Named, lambda body: DropCheck(body.name)),
    "set_column_comment": (_ColumnComment, lambda body: SetColumnComment(body.name, body.comment)),
    "set_partitioning": (_Partitioning, lambda body: SetPartitioning(body.partition_by)),
}


def _changes(given: dict[str, dict[str, Any]]) -> list[SchemaChange]:
    kind = next(iter(given), "")
    if len(given) != 1 or kind not in _CHANGES:
        known = ", ".join(_CHANGES)
        raise InvalidRequest(
            f"A change is an object with one key of {known}; this one has {list(given)}."
            f"{did_you_mean(kind, _CHANGES)}"
        )
    body, make = _CHANGES[kind]
    read = parsed(body, given[kind], f"change '{kind}'")
    changes: list[SchemaChange] = [make(read)]
    if isinstance(read, Column) and read.constraints:
        changes.append(SetConstraint(read.name, read.constraints))
    return changes
