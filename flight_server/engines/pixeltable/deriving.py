"""What the engine asks of its process to alter tables, and to make others of them."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.pixeltable.asking import Asking
from flight_server.errors import Unsupported
from flight_server.model import (
    PIXELTABLE_CATALOG,
    AddColumn,
    Author,
    Commit,
    Derivation,
    Derived,
    DropColumn,
    Kind,
    NamedSnapshot,
    RenameColumn,
    SchemaChange,
    SetComment,
    SetNullable,
    TableRef,
)


class Deriving(Asking):
    """Views, snapshots and altered tables: a part of the engine."""

    def alter_table(
        self, table: TableRef, changes: Sequence[SchemaChange], author: Author
    ) -> Commit:
        """All changes in one commit, in order; columns are added apart from other changes."""
        told = self._of(table, "alter_table", changes=[_told(change) for change in changes])
        return Commit(told["snapshot"])

    def create_derived(
        self,
        table: TableRef,
        derivation: Derivation,
        author: Author,
        replace: bool = False,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsDerivedTables`. Who gives up waiting may find it made later."""
        base = derivation.base
        more = {
            "replace": replace,
            "base": {"namespace": base.namespace, "name": base.name, "version": derivation.version},
            "is_snapshot": derivation.is_snapshot,
            "columns": None if derivation.columns is None else list(derivation.columns),
            "filter": derivation.filter,
            "iterator": derivation.iterator,
            "arguments": dict(derivation.arguments),
            "comment": derivation.comment,
        }
        return self._changed("create_derived", table, more, cancellation)

    def kept_snapshots(self) -> list[NamedSnapshot]:
        """See `SupportsDerivedTables`."""
        return [
            NamedSnapshot(
                TableRef(self.name, *told["names"]),
                TableRef(self.name, *told["base"]),
                told["version"],
                dt.datetime.fromisoformat(told["created_at"]),
            )
            for told in self._asked("snapshots")["snapshots"]
        ]

    def dependents(self, table: TableRef) -> list[TableRef]:
        """See `SupportsDerivedTables`."""
        found = self._of(table, "dependents")["tables"]
        return [TableRef(self.name, *names) for names in found]

    def drop_with_dependents(
        self, table: TableRef, dependents: Sequence[TableRef], author: Author
    ) -> Commit:
        """See `SupportsDerivedTables`."""
        names = [[one.namespace, one.name] for one in dependents]
        told = self._of(table, "drop_with_dependents", dependents=names)
        return Commit(told["snapshot"])


def derived(told: Mapping[str, Any] | None) -> Derived | None:
    """What the process tells of a view or a snapshot; None of a table."""
    if told is None:
        return None
    return Derived(
        Kind.SNAPSHOT if told["is_snapshot"] else Kind.MATERIALIZED_VIEW,
        TableRef(PIXELTABLE_CATALOG, *told["base"]),
        told["version"],
        told["filter"],
        told["iterator"],
    )


def _told(change: SchemaChange) -> dict[str, Any]:
    """A change as the process is told of it. Unsupported."""
    match change:
        case AddColumn(field, None):
            return {"add": base64.b64encode(pa.schema([field]).serialize()).decode()}
        case DropColumn(name):
            return {"drop": [name]}
        case RenameColumn(name, new_name):
            return {"rename": [name, new_name]}
        case SetNullable(name, True):
            return {"allow_nulls": [name]}
        case SetComment(comment):
            return {"comment": comment}
    raise Unsupported(
        "Of Pixeltable's tables columns are added without a default, dropped and renamed, nulls "
        "are allowed in them, and the table's comment is set: nothing else is altered."
    )
