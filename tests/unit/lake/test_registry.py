"""What DuckLake does not keep of a table, at every version and over restarts."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from flight_server.engines.lake.catalog import written_tables
from flight_server.engines.lake.engine import LakeEngine
from flight_server.engines.lake.registry import VERSIONS_CACHED_MAX
from flight_server.errors import ErrorCode, NotFound
from flight_server.model import AddColumn, SetComment, SetKey, TableSpec
from flight_server.testing.conformance.handles import AUTHOR, SCHEMA, TableHandle, refused
from tests.fix_lake import OpenLake

RICH = TableSpec(
    pa.schema(
        [
            pa.field("id", pa.uint16(), nullable=False, metadata={"unit": "piece", "ß": "😀"}),
            pa.field("kind", pa.dictionary(pa.int8(), pa.utf8(), ordered=True)),
            pa.field("size", pa.list_(pa.field("half", pa.float16(), nullable=False), 3)),
        ],
        metadata={"origin": "a\nb"},
    ),
    key=("id",),
    partition_by=("kind",),
    defaults={"kind": "'it''s'"},
    comment="a comment with 'quotes' and 😀",
)


def same(one: TableSpec, other: TableSpec) -> bool:
    parts = (
        (one.key, one.partition_by, dict(one.defaults), one.comment),
        (other.key, other.partition_by, dict(other.defaults), other.comment),
    )
    return parts[0] == parts[1] and one.schema.equals(other.schema, check_metadata=True)


def test_a_spec_outlives_the_process(open_lake: OpenLake) -> None:
    engine = open_lake()
    table = TableHandle(engine)
    engine.create_table(table.ref, RICH, AUTHOR)
    assert same(table.spec(), RICH)
    engine.close()
    assert same(TableHandle(open_lake()).spec(), RICH)


def test_every_version_has_its_spec(open_lake: OpenLake) -> None:
    engine = open_lake()
    table = TableHandle(engine).create()
    specs = {engine.snapshot(): table.spec()}
    for change in (SetKey(("id",)), SetComment("x"), AddColumn(pa.field("n", pa.int8()))):
        table.alter(change)
        specs[engine.snapshot()] = table.spec()
    engine.close()
    table = TableHandle(open_lake())
    # Twice: read, and then remembered.
    for version, spec in [*specs.items(), *specs.items()]:
        assert same(table.spec(version), spec)


def test_versions_that_are_none(lake: LakeEngine) -> None:
    table = TableHandle(lake)
    before = lake.snapshot()
    table.create()
    with refused(
        ErrorCode.VERSION_NOT_FOUND, f"'t' did not exist at version {before}", error=NotFound
    ):
        table.spec(before)
    for version in (-1, lake.snapshot() + 1, 10**12):
        with refused(ErrorCode.VERSION_NOT_FOUND, str(version), error=NotFound):
            table.spec(version)


def test_little_is_remembered(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    first = lake.snapshot()
    lake._registry._older.update(
        {(("main", f"x{number}"), 0): (table.ref, table.spec()) for number in range(2_000)}
    )
    table.put([{"id": 1}])
    assert same(table.spec(first), TableSpec(SCHEMA))
    assert len(lake._registry._older) == VERSIONS_CACHED_MAX


def test_a_table_made_without_us(open_lake: OpenLake) -> None:
    """By DuckDB on the same folder: it is there with the columns it has."""
    engine = open_lake()
    folder = engine._instance.folder
    engine.close()
    with duckdb.connect() as connection:
        connection.execute("LOAD ducklake")
        connection.execute(f"ATTACH 'ducklake:{folder}/catalog.duckdb' AS lake")
        connection.execute("CREATE SCHEMA lake.other")
        connection.execute("CREATE TABLE lake.other.made AS SELECT 1 AS a, 'x' AS b")
    engine = open_lake()
    assert engine.namespaces() == ["main", "other"]
    table = TableHandle(engine, "made", "other")
    assert table.schema().names == ["a", "b"]
    table.put({"a": [2], "b": ["y"]})
    assert table.rows() == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_only_our_tables_that_ever_had_rows_are_read(open_lake: OpenLake) -> None:
    """And all of those, for what they hold is known again when the lake is opened anew."""
    engine = open_lake()

    def written() -> frozenset[str]:
        return written_tables(engine._instance, "_pixelflight")

    assert written() == frozenset()
    table = TableHandle(engine).create()
    assert written() == {"tables"}
    engine.create_tag(table.ref, "kept", None, AUTHOR)
    assert written() == {"tables", "tags"}
    sent = table.put([{"id": 1}], token="a")
    assert written() == {"tables", "tags", "ingest"}
    engine.close()
    engine = open_lake()
    table = TableHandle(engine)
    assert table.ids() == [1]
    assert engine.tagged(table.ref, "kept") < sent.snapshot
    assert table.put([{"id": 1}], token="a").duplicate
    engine.drop_table(table.ref, AUTHOR)
    assert written() == {"tables", "tags", "ingest"}


def test_what_is_ours_is_hidden(lake: LakeEngine) -> None:
    assert lake.namespaces() == ["main"]
    assert lake.tables("main") == []
    with pytest.raises(NotFound):
        lake.tables("_pixelflight")
