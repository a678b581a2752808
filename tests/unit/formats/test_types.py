"""What goes out as JSON, CSV or Arrow comes back in as it was, for every Arrow type."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from flight_server.engines.stream import Batches
from flight_server.formats import json_rows, json_texts
from flight_server.formats.arrow_streams import ArrowWriter, read_arrow
from flight_server.formats.csv_lines import read_csv_lines
from flight_server.formats.csv_rows import CsvWriter
from flight_server.formats.fitting import Fitting
from flight_server.formats.json_lines import read_json_lines, row_batches
from flight_server.formats.json_rows import JsonWriter
from flight_server.formats.text_values import MisfitError, times
from flight_server.testing.types import CASES, TypeCase

WITHOUT_UNIONS = [case for case in CASES if "union" not in case.name]
EACH = pytest.mark.parametrize("case", WITHOUT_UNIONS, ids=lambda case: case.name)


def batch_of(case: TypeCase) -> pa.RecordBatch:
    return case.table(case.values).combine_chunks().to_batches()[0]


def loaded(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def json_sent(batch: pa.RecordBatch) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    data = b"".join(JsonWriter(batch.schema).rows(batch))
    return read_json_lines(io.BytesIO(data), Fitting(batch.schema))


def list_sent(batch: pa.RecordBatch) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    rows = [loaded(text) for text in json_texts.lines(batch)]
    return row_batches(rows, Fitting(batch.schema))


def csv_sent(batch: pa.RecordBatch) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    data = b"".join(CsvWriter(batch.schema).rows(batch))
    return read_csv_lines(io.BytesIO(data), Fitting(batch.schema))


WAYS = {"json lines": json_sent, "list": list_sent, "csv": csv_sent}


@EACH
@pytest.mark.parametrize("way", WAYS)
def test_what_comes_out_goes_in_again(case: TypeCase, way: str) -> None:
    batch = batch_of(case)
    send: Callable[[pa.RecordBatch], tuple[pa.Schema, Iterator[pa.RecordBatch]]] = WAYS[way]
    schema, batches = send(batch)
    found = pa.Table.from_batches(list(batches), schema).combine_chunks()
    found.validate(full=True)
    come = [loaded(text) for text in json_texts.texts(found["v"].combine_chunks())]
    sent = [loaded(text) for text in json_texts.texts(batch["v"])]
    assert come == sent


@EACH
def test_arrow_comes_back_as_it_was(case: TypeCase) -> None:
    found = arrow_sent(batch_of(case)).read_all()
    assert found.schema.equals(case.schema, check_metadata=True)
    assert json_texts.texts(found["v"].combine_chunks()) == json_texts.texts(case.values)


def arrow_sent(batch: pa.RecordBatch) -> Batches:
    writer = ArrowWriter(batch.schema)
    pieces = [*writer.begin(), *writer.rows(batch), *writer.end()]
    return read_arrow(io.BytesIO(b"".join(pieces)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_duckdb_writes_the_same_json(case: TypeCase, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = batch_of(case)
    one_by_one = [loaded(text) for text in json_texts.lines(batch)]
    monkeypatch.setattr(json_rows, "FEW_VALUES", 0)
    pieces = JsonWriter(batch.schema).rows(batch)
    assert [loaded(line) for line in b"".join(pieces).decode().splitlines()] == one_by_one
    part = batch.slice(1, 1)
    assert loaded(b"".join(JsonWriter(batch.schema).rows(part)).decode()) == one_by_one[1]


def test_most_types_are_written_by_duckdb() -> None:
    without = {case.name for case in CASES if json_rows.layout_of(case.schema) is None}
    assert without == {
        "decimal128(38, 38)",
        "decimal256(76, 10)",
        "dense_union<number: int32=0, text: string=1>",
        "large_list_view<item: int32>",
        "list<item: list_view<item: string_view>>",
        "list_view<item: int32>",
        "month_day_nano_interval",
        "sparse_union<number: int32=0, text: string=1>",
        "struct<>",
    }


@pytest.mark.parametrize("kind", [pa.time32("s"), pa.time64("ns")], ids=str)
def test_what_is_no_time_is_named(kind: pa.DataType) -> None:
    with pytest.raises(MisfitError, match=r'"soon" is not a time'):
        times(pa.array(["01:02:03", None, "soon"]), kind)


def test_texts_within_json_keep_their_quotes() -> None:
    """Also beside a column that DuckDB cannot write."""
    values = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['"text"', None, "{}"]))
    others = pa.array([[1], None, []], pa.list_view(pa.int8()))
    batch = pa.RecordBatch.from_arrays([values, others], ["j", "o"])
    written = b"".join(CsvWriter(batch.schema).rows(batch))
    schema, batches = read_csv_lines(io.BytesIO(written), Fitting(batch.schema))
    found = pa.Table.from_batches(list(batches), schema)
    assert found["j"].combine_chunks().storage.to_pylist() == values.storage.to_pylist()
