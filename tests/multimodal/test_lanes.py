"""Both lanes give the same rows: of every table, view and snapshot, at every version."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.errors import NotFound, Unsupported
from flight_server.model import TableRef
from tests.fix_pixeltable import EVERY_KIND, NUMBERS, PICTURES, read_by

FEW, HALVES, THEN, TILES = (
    TableRef("pixeltable", "views", name) for name in ("few", "halves", "then", "tiles")
)


def rows_of(table: pa.Table) -> list[str]:
    """The rows in an order of their own, since there is none: JSON by what it says."""
    is_json = {field.name for field in table.schema if str(field.type) == "extension<arrow.json>"}
    rows = [
        {name: json.loads(v) if name in is_json and v else v for name, v in row.items()}
        for row in table.to_pylist()
    ]
    return sorted(map(repr, rows))


def check_alike(engine: PixeltableEngine, table: TableRef, **request: Any) -> pa.Table:
    """The rows, which both lanes give alike, in the schema that the table is described with."""
    fast, plain = (read_by(engine, lane, table, **request) for lane in ("fast", "plain"))
    assert fast.schema.equals(plain.schema, check_metadata=True)
    assert rows_of(fast) == rows_of(plain)
    described = engine.resolve(table, request.get("version")).schema
    assert all(field.equals(described.field(field.name), True) for field in fast.schema)
    fast.validate(full=True)
    return fast


@pytest.mark.parametrize("version", [None, 1, 2, 3, 4, 5])
def test_of_a_table_at_its_versions(pixeltable: PixeltableEngine, version: int | None) -> None:
    rows = check_alike(pixeltable, NUMBERS, version=version)
    assert rows.num_rows == {1: 500, 2: 500, None: 500}.get(version, 499 + (version == 5))
    assert ("twice" in rows.schema.names) == (version in (None, 4, 5))


def test_of_every_type(pixeltable: PixeltableEngine) -> None:
    rows = check_alike(pixeltable, EVERY_KIND)
    assert rows.num_rows == 40
    assert all(rows[name].null_count in (0, 7) for name in rows.schema.names)


def test_of_each_column_alone(pixeltable: PixeltableEngine) -> None:
    for name in pixeltable.resolve(EVERY_KIND).schema.names:
        check_alike(pixeltable, EVERY_KIND, columns=[name])


@pytest.mark.parametrize("table", [FEW, HALVES, THEN], ids=str)
def test_of_views_and_snapshots(pixeltable: PixeltableEngine, table: TableRef) -> None:
    rows = check_alike(pixeltable, table)
    assert rows.num_rows == {"few": 49, "halves": 25, "then": 499}[table.name]


def test_of_rows_that_an_iterator_makes(pixeltable: PixeltableEngine) -> None:
    tiles = read_by(pixeltable, "plain", TILES)
    names = [name for name in tiles.schema.names if name not in ("tile", "fleeting")]
    assert check_alike(pixeltable, TILES, columns=names).num_rows == tiles.num_rows >= 4


@pytest.mark.parametrize(
    "request_",
    [
        {"filter": "x > 100 AND name <> ''"},
        {"filter": "twice IS NULL", "columns": ["id"]},
        {"filter": "name LIKE '%\"%' OR name = 'it''s'"},
        {"filter": "id % 7 = 3", "order_by": "name DESC, id", "limit": 9, "offset": 4},
        {"order_by": "x NULLS FIRST, id", "limit": 5, "columns": ["NAME", "id"]},
        {"filter": "false"},
    ],
    ids=repr,
)
def test_of_filters_and_orders(pixeltable: PixeltableEngine, request_: dict[str, Any]) -> None:
    rows = check_alike(pixeltable, NUMBERS, **request_)
    assert rows.num_rows == request_.get("limit", rows.num_rows)
    if "order_by" in request_:
        assert rows.equals(read_by(pixeltable, "plain", NUMBERS, **request_))


@pytest.mark.parametrize(
    "filter",
    [
        "bits[1]",
        "uuid = '00000000-0000-0000-0000-000000000005'",
        "json->>'$' = 'text'",
        "large[3] > 0.5",
        "day < '1000-01-01'",
        "moment < '1950-01-01 00:00:00+00'",
        "bytes IS NOT NULL",
    ],
)
def test_of_filters_on_every_type(pixeltable: PixeltableEngine, filter: str) -> None:
    assert 0 < check_alike(pixeltable, EVERY_KIND, filter=filter).num_rows < 40


def test_media_are_urls_and_what_is_computed_by_no_sql_is_read_by_the_cursor(
    pixeltable: PixeltableEngine,
) -> None:
    stored = ["n", "picture", "width", "kept"]
    rows = check_alike(pixeltable, PICTURES, columns=stored)
    assert rows["picture"][0].as_py().startswith("file:///")
    assert rows["width"].to_pylist().count(None) == 1
    with pytest.raises(Unsupported, match="ExprEvalNode"):
        read_by(pixeltable, "fast", PICTURES)
    whole = read_by(pixeltable, "plain", PICTURES)
    assert whole["fleeting"].null_count == 1
    assert whole["fleeting"].drop_null()[0].as_py().startswith(b"\xff\xd8\xff")


def test_limits_are_met_where_there_is_no_order(pixeltable: PixeltableEngine) -> None:
    for lane in ("fast", "plain"):
        assert read_by(pixeltable, lane, NUMBERS, limit=7, offset=496).num_rows == 4
        assert read_by(pixeltable, lane, NUMBERS, limit=0).num_rows == 0
        assert read_by(pixeltable, lane, NUMBERS, offset=499).num_rows == 1


def test_there_is_no_such_version(pixeltable: PixeltableEngine) -> None:
    with pytest.raises(NotFound, match="no version 99"):
        read_by(pixeltable, "fast", NUMBERS, version=99)
