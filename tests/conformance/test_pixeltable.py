"""The Pixeltable engine keeps the contract of engines, but for what it has no meaning for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal

import pyarrow as pa
import pytest

from flight_server.engines.base import abilities
from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.errors import InvalidRequest
from flight_server.model import DEFAULT_NAMESPACE, NamespaceRef
from flight_server.testing.conformance import EngineTests
from flight_server.testing.conformance.handles import AUTHOR, table_of_its_own
from tests.fix_pixeltable import read_by


@pytest.fixture(scope="module")
def engine_of_the_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PixeltableEngine]:
    """An engine over a home that nobody had before."""
    with closing(PixeltableEngine.at(tmp_path_factory.mktemp("conformance"))) as engine:
        yield engine


class TestPixeltable(EngineTests, engine_type=PixeltableEngine):
    """One home for all: who needs an engine to himself gets it emptied."""

    shared_by = "engine_of_the_module"

    @pytest.fixture
    def engine(self, engine_of_the_module: PixeltableEngine) -> PixeltableEngine:
        empty(engine_of_the_module)
        return engine_of_the_module

    def test_abilities(self, engine_of_the_module: PixeltableEngine) -> None:
        assert abilities(engine_of_the_module) == [
            "namespaces",
            "tables",
            "derivedtables",
            "schemachange",
            "ingest",
            "update",
            "values",
            "versions",
            "changes",
            "indexes",
            "search",
            "functions",
            "computedcolumns",
            "media",
        ]


def test_exceptions_are_of_cases(unmet: list[str]) -> None:
    assert unmet == []


def test_filters_and_expressions_see_what_was_declared(
    engine_of_the_module: PixeltableEngine,
) -> None:
    schema = pa.schema(
        [
            pa.field("id", pa.int8()),
            pa.field("price", pa.decimal128(8, 2), metadata={"unit": "EUR"}),
            pa.field("moment", pa.timestamp("s")),
            pa.field("time", pa.time32("s")),
            pa.field("half", pa.float16()),
            pa.field("tags", pa.list_(pa.dictionary(pa.int8(), pa.string()))),
        ]
    )
    table = table_of_its_own(engine_of_the_module).create(schema)
    noon = dt.datetime(2020, 1, 1, 12)
    prices = [Decimal("9.50"), Decimal("10.25"), None]
    rows = pa.table(
        {
            "id": pa.array([1, 2, 3], pa.int8()),
            "price": pa.array(prices, schema.field("price").type),
            "moment": pa.array([noon, dt.datetime(2021, 1, 1), None], pa.timestamp("s")),
            "time": pa.array([dt.time(9), dt.time(13), None], pa.time32("s")),
            "half": pa.array([0.5, 2.0, None], pa.float32()).cast(pa.float16()),
            "tags": pa.array([["a", "b"], [], None]),
        }
    )
    table.put(rows)
    fast, plain = (
        read_by(engine_of_the_module, lane, table.ref, order_by="id") for lane in ("fast", "plain")
    )
    assert fast.equals(plain)
    assert fast.schema.equals(schema, check_metadata=True)
    for condition in (
        "price > 9.75",
        "moment > '2020-06-01'",
        "time BETWEEN TIME '12:00' AND TIME '14:00'",
        "half > 1",
        "len(tags) = 0",
        "id = 2",
    ):
        assert table.scan(filter=condition)["id"].to_pylist() == [2], condition
    ordered = table.scan(order_by="price DESC NULLS LAST")
    assert ordered["id"].to_pylist() == [2, 1, 3]
    set_ = {
        "price": "price * 2",
        "moment": "moment + INTERVAL 1 DAY",
        "tags": "list_append(tags, 'c')",
    }
    assert table.update(set_, "id = 1").rows == 1
    [row] = table.scan(filter="id = 1").to_pylist()
    assert (row["price"], row["moment"].day, row["tags"]) == (Decimal("19.00"), 2, ["a", "b", "c"])


def test_no_error_quotes_a_value(engine_of_the_module: PixeltableEngine) -> None:
    schema = pa.schema([("id", pa.string()), ("n", pa.int8()), ("of", pa.list_(pa.float64()))])
    table = table_of_its_own(engine_of_the_module).create(schema, key=("id",))
    secret = pa.table({"id": ["secret"], "n": [1]})
    table.put(secret)
    acts: tuple[Callable[[], object], ...] = (
        lambda: table.put(secret),
        lambda: table.put(pa.concat_tables([secret, secret]), "upsert"),
        lambda: table.put(pa.table({"id": ["x"], "n": [4242]})),
        lambda: table.put(pa.table({"id": ["x"], "of": [[float("nan"), 4242.0]]})),
        lambda: table.update({"n": "4242 * n"}),
        lambda: table.update({"n": "id::int"}),
        lambda: table.scan(filter="id::int = 3"),
        lambda: table.scan(filter="strptime(id, '%Y') IS NULL"),
    )
    for act in acts:
        with pytest.raises(InvalidRequest) as told:
            act()
        assert "secret" not in told.value.message
        assert "4242" not in told.value.message
    assert table.scan().to_pylist() == [{"id": "secret", "n": 1, "of": None}]


def empty(engine: PixeltableEngine) -> None:
    """Drops all tables and directories."""
    namespaces = engine.namespaces()
    for namespace in namespaces:
        for table in engine.tables(namespace):
            engine.drop_table(table, AUTHOR)
    for namespace in sorted(namespaces, reverse=True):
        if namespace != DEFAULT_NAMESPACE:
            engine.drop_namespace(NamespaceRef(engine.name, namespace), AUTHOR)
