"""Every Arrow type goes into a real DuckLake table and comes out as it was, or is refused."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from duckdb_extensions import import_extension
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flight_server.engines.lake.inbound import Inbound
from flight_server.engines.lake.types import select_expression, storage_field, storage_type
from flight_server.engines.outbound import Outbound
from flight_server.errors import ErrorCode, InvalidRequest
from tests.fix_arrow_types import REFUSED_TYPES, ROUND_TRIP_TYPES, nested_types, random_array


@pytest.fixture(scope="module", params=[0, 1000], ids=["parquet", "inlined"])
def lake(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckLake that keeps small commits in Parquet files, and one that inlines them."""
    directory: Path = tmp_path_factory.mktemp("lake")
    (directory / "files").mkdir()
    import_extension("ducklake")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        # Of a few hundred rows there is nothing to share.
        connection.execute("SET threads = 1")
        connection.execute("LOAD ducklake")
        connection.execute(
            f"ATTACH 'ducklake:{directory}/catalog.duckdb' AS lake "
            f"(DATA_PATH '{directory}/files/', DATA_INLINING_ROW_LIMIT {request.param})"
        )
        yield connection


def through_the_lake(
    lake: duckdb.DuckDBPyConnection, field: pa.Field, arrays: list[pa.Array]
) -> pa.Table:
    """What a table with this one column answers after the arrays were put into it."""
    schema = pa.schema([field], metadata={"owner": "me"})
    inbound = Inbound(schema, schema)
    batches = [inbound.convert(pa.record_batch([array], schema=schema)) for array in arrays]
    lake.register("r", pa.RecordBatchReader.from_batches(inbound.schema, batches))
    lake.execute("BEGIN TRANSACTION")
    lake.execute(f"CREATE OR REPLACE TABLE lake.t (c {storage_type(field)})")
    lake.execute("INSERT INTO lake.t SELECT * FROM r")
    lake.execute("COMMIT")
    query = f"SELECT {select_expression(field, 'c')} FROM lake.t"
    reader = lake.sql(query).to_arrow_reader(100_000)
    outbound = Outbound(schema, reader.schema)
    table = pa.Table.from_batches(
        [part for batch in reader for part in outbound.convert(batch)], schema
    )
    table.validate(full=True)
    return table


def check_round_trip(
    lake: duckdb.DuckDBPyConnection, field: pa.Field, arrays: list[pa.Array]
) -> None:
    table = through_the_lake(lake, field, arrays)
    assert table.schema.equals(pa.schema([field], metadata={"owner": "me"}), check_metadata=True)
    for chunk in table.column(0).chunks:
        assert chunk.type.equals(field.type, check_metadata=True)
    # repr, because no NaN equals another; sorted, because threads insert the batches in any order.
    sent = sorted(repr(value) for array in arrays for value in array.to_pylist())
    assert sorted(repr(value) for value in table.column(0).to_pylist()) == sent


@pytest.mark.parametrize("data_type", ROUND_TRIP_TYPES, ids=str)
def test_a_type_comes_out_as_it_went_in(
    lake: duckdb.DuckDBPyConnection, data_type: pa.DataType
) -> None:
    rng = random.Random(str(data_type))
    field = pa.field("c", data_type, metadata={"comment": "kept"})
    arrays = [random_array(data_type, length, rng) for length in (0, 1, 40, 7, 300)]
    check_round_trip(lake, field, arrays)


@pytest.mark.parametrize("data_type", ROUND_TRIP_TYPES, ids=str)
def test_a_required_column_of_any_type_comes_out(
    lake: duckdb.DuckDBPyConnection, data_type: pa.DataType
) -> None:
    rng = random.Random(str(data_type))
    field = pa.field("c", data_type, nullable=pa.types.is_null(data_type))
    check_round_trip(lake, field, [random_array(data_type, 50, rng, nullable=False)])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data_type=nested_types(), seed=st.integers(0, 2**32))
def test_types_nested_at_will_come_out(
    lake: duckdb.DuckDBPyConnection, data_type: pa.DataType, seed: int
) -> None:
    rng = random.Random(seed)
    field = pa.field("c", data_type)
    check_round_trip(lake, field, [random_array(data_type, rng.randint(0, 30), rng)])


@pytest.mark.parametrize(("path", "data_type"), REFUSED_TYPES, ids=str)
def test_a_type_without_storage_is_refused_by_name(path: str, data_type: pa.DataType) -> None:
    with pytest.raises(InvalidRequest, match="cannot hold") as caught:
        storage_type(pa.field("c", data_type))
    assert caught.value.code is ErrorCode.UNSUPPORTED_TYPE
    assert f"'{path}'" in caught.value.message


@pytest.mark.parametrize("data_type", ROUND_TRIP_TYPES, ids=str)
def test_the_storage_field_is_what_equal_types_are_made_into(data_type: pa.DataType) -> None:
    field = pa.field("c", data_type)
    inbound = Inbound(pa.schema([field]), pa.schema([field]))
    stored = storage_field(field).type
    made = inbound.schema.field("c").type
    assert _without_names(made) == _without_names(stored)


def _without_names(data_type: Any) -> Any:
    """A type's shape: lists differ by the name of their items and by what may be null."""
    if pa.types.is_map(data_type):
        return "map", _without_names(data_type.key_type), _without_names(data_type.item_type)
    if pa.types.is_nested(data_type):
        parts = [data_type.field(index).type for index in range(data_type.num_fields)]
        return data_type.id, *(_without_names(part) for part in parts)
    return data_type


def test_fixed_size_bytes_hidden_under_null_structs_shift_no_row(
    lake: duckdb.DuckDBPyConnection,
) -> None:
    hidden = pa.array([number.to_bytes(2, "big") for number in range(300)], pa.binary(2))
    mask = pa.array([number % 3 == 0 for number in range(300)])
    array = pa.StructArray.from_arrays([hidden], names=["b"], mask=mask)
    check_round_trip(lake, pa.field("c", array.type), [array])


def test_a_slice_of_structs_in_structs_is_not_misread(lake: duckdb.DuckDBPyConnection) -> None:
    inner = pa.array([{"s": {"n": number}} for number in range(300)])
    check_round_trip(lake, pa.field("c", inner.type), [inner.slice(100, 50)])


def test_uuids_and_json_are_what_they_are_in_sql(lake: duckdb.DuckDBPyConnection) -> None:
    identity = "12345678-9abc-4def-8123-456789abcdef"
    field = pa.field("c", pa.uuid())
    through_the_lake(lake, field, [pa.array([bytes.fromhex(identity.replace("-", ""))], pa.uuid())])
    found = lake.execute(f"SELECT count(*) FROM lake.t WHERE c = '{identity}'").fetchall()
    assert found == [(1,)]
    field = pa.field("c", pa.json_())
    text = pa.array(['{"a": 7}'])
    through_the_lake(lake, field, [pa.ExtensionArray.from_storage(pa.json_(), text)])
    assert lake.execute("SELECT c->>'a' FROM lake.t").fetchall() == [("7",)]
