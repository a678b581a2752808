"""What a table's schema was: each version that wrote it anew, with what its columns are."""

from __future__ import annotations

import pyarrow as pa

from flight_server.model import (
    AddColumn,
    DropColumn,
    RenameColumn,
    RetypeColumn,
    SchemaVersion,
    SetCheck,
    SetComment,
    TableRef,
)
from flight_server.testing.conformance.handles import (
    AUTHOR,
    SCHEMA,
    EngineCase,
    TableHandle,
)


class SchemaVersionTests(EngineCase):
    """Old schemas."""

    def test_schemas_newest_first(self, table: TableHandle) -> None:
        """Each alteration is there, and what the table began with."""
        table.alter(AddColumn(pa.field("n", pa.int32())), RenameColumn("name", "title"))
        table.put({"id": [9]})
        table.alter(SetComment("x"), SetCheck("few", "id < 99"))
        found = told(table)
        assert [one.spec.comment for one in found if one.spec] == ["x", "", ""]
        assert found[0].spec is not None
        assert dict(found[0].spec.checks) == {"few": "id < 99"}
        assert found[1].version.author == AUTHOR.principal
        assert found[-1].spec is not None
        assert found[-1].spec.schema.equals(SCHEMA, check_metadata=True)
        assert found[-1].version.changes[0] == "created"

    def test_columns_are_known_by_numbers(self, table: TableHandle) -> None:
        """Which stay when they are renamed, and are new where another column takes the name."""
        table.alter(RenameColumn("name", "title"))
        table.alter(DropColumn("amount"), AddColumn(pa.field("amount", pa.float64())))
        table.alter(AddColumn(pa.field("n", pa.int32())))
        table.alter(RetypeColumn("n", pa.int64()))
        newest, retyped, anew, renamed, first = (one.columns for one in told(table))
        assert renamed["title"] == first["name"]
        assert anew["title"] == renamed["title"]
        assert anew["amount"] != renamed["amount"]
        assert retyped["n"] == newest["n"]

    def test_a_table_under_another_name(self, table: TableHandle) -> None:
        """Is the same table, which had the name of then."""
        to = TableRef(table.engine.name, "main", "renamed")
        table.engine.rename_table(table.ref, to, AUTHOR)
        found = told(TableHandle(table.engine, "renamed"))
        assert [one.table.name for one in found] == ["renamed", "t"]
        assert len({one.identity for one in found}) == 1


def told(table: TableHandle) -> list[SchemaVersion]:
    """The versions that changed the schema, and the oldest one."""
    found: list[SchemaVersion] = table.engine.schema_versions(table.ref)
    return [
        one
        for at, one in enumerate(found)
        if at == len(found) - 1
        or (one.spec, one.table, one.columns)
        != (found[at + 1].spec, found[at + 1].table, found[at + 1].columns)
    ]
