"""The types that samples seem to have, and rows that fit the tables they were a sample of."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server.errors import InvalidRequest
from flight_server.formats import inference
from flight_server.formats.fitting import Fitting
from flight_server.formats.inference import from_csv, from_lines, from_rows
from flight_server.formats.json_lines import loaded_json, read_json_lines, row_batches

DECIMAL = pa.decimal128(38, 0)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, -5], pa.int64()),
        ([2**63 - 1], pa.int64()),
        ([2**63], DECIMAL),
        ([10**40], pa.float64()),
        ([1, 2.5], pa.float64()),
        ([True, None], pa.bool_()),
        ([True, 1], pa.json_()),
        (["a", "2024-01-01"], pa.string()),
        (["2024-01-01", "1969-12-31"], pa.date32()),
        (["2024-02-30"], pa.string()),
        (["2024-01-01T10:00:00Z", "2024-01-01 10:00:00.5+02:00"], pa.timestamp("us", "UTC")),
        (["2024-01-01T10:00", "2024-01-01 10:00:00"], pa.timestamp("us")),
        (["2024-01-01T10:00:00", "2024-01-01T10:00:00Z"], pa.string()),
        (["2024-01-01T25:00:00"], pa.string()),
        (["0b7f0f2e-9f6f-4f4e-8d5a-1c2d3e4f5a6b"], pa.uuid()),
        (["1", "2"], pa.string()),
        ([None], pa.string()),
        ([[1], [], None], pa.list_(pa.int64())),
        ([[]], pa.list_(pa.string())),
        ([[1], ["a"]], pa.list_(pa.json_())),
        ([{"a": 1}, {"b": [True]}], pa.struct([("a", pa.int64()), ("b", pa.list_(pa.bool_()))])),
        ([{}], pa.json_()),
        ([{"a": 1, "A": 2}], pa.json_()),
        ([{"a": 1}, [1]], pa.json_()),
    ],
)
def test_values_of_json(values: list[Any], kind: pa.DataType) -> None:
    found = from_rows([{"v": value} for value in values])
    assert found.schema.field("v").type == kind
    assert (found.rows, found.nulls["v"]) == (len(values), values.count(None))


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "", "-20"], pa.int64()),
        (["007", "8"], pa.string()),
        (["12345678901234567890"], DECIMAL),
        (["1.5", "2", "-3e5", ".5"], pa.float64()),
        (["true", "false"], pa.bool_()),
        (["true", "1"], pa.string()),
        (["2024-01-01"], pa.date32()),
        (["2024-01-01T10:00:00Z"], pa.timestamp("us", "UTC")),
        (["", ""], pa.string()),
        (['"a, ""b""\nc"'], pa.string()),
    ],
)
def test_fields_of_csv(texts: list[str], kind: pa.DataType) -> None:
    text = "\n".join(["k,v", *(f"1,{one}" for one in texts)])
    found = from_csv(io.BytesIO(text.encode()))
    assert (found.schema.field("v").type, found.rows) == (kind, len(texts))


def test_lines() -> None:
    found = from_lines(io.BytesIO(b'{"a": 1}\n\n{"b": 2.5}\n'))
    assert found.schema == pa.schema([("a", pa.int64()), ("b", pa.float64())])
    assert found.nulls == {"a": 1, "b": 1}


def test_only_whole_lines_of_a_large_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "SAMPLE_BYTES_MAX", 20)
    assert from_lines(io.BytesIO(b'{"a": 1}\n{"a": 2}\n{"a": "text"}\n')).rows == 2
    assert from_csv(io.BytesIO(b"a,b\n1,2\n3,4\n5,text,too,long\n")).rows >= 2
    with pytest.raises(InvalidRequest, match="too long"):
        from_lines(io.BytesIO(b'{"a": "%s"}\n' % (b"x" * 30)))


@pytest.mark.parametrize(
    ("read", "body", "says"),
    [
        (from_lines, b"", "no row"),
        (from_lines, b"[1]\n", "Row 1"),
        (from_lines, b'{"a": 1}\n{', "Line 2"),
        (from_lines, b'{"a": "\\ud800"}', "surrogate"),
        (from_csv, b"", "CSV"),
        (from_csv, b"a,a\n1,2\n", "twice"),
        (from_csv, b"a\n\xff\n", "CSV"),
        (from_lines, b"{}", "no row"),
    ],
)
def test_what_is_no_sample(read: Any, body: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        read(io.BytesIO(body))


def test_values_nest_deeply() -> None:
    value: Any = 1
    for _ in range(100):
        value = [value]
    assert "json" in str(from_rows([{"v": value}]).schema.field("v").type)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.dates().map(str)
    | st.datetimes().map(str)
    | st.uuids().map(str),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from("xyz"), VALUES), min_size=1, max_size=5))
def test_a_sample_fits_its_table(rows: list[dict[str, Any]]) -> None:
    if not any(rows):
        return
    sent = loaded_json(json.dumps(rows).encode(), "The sample")
    schema = from_rows(sent).schema
    _, batches = row_batches(sent, Fitting(schema))
    assert sum(batch.num_rows for batch in batches) == len(rows)
    text = "\n".join(json.dumps(row) for row in rows).encode()
    assert from_lines(io.BytesIO(text)).schema == schema
    _, batches = read_json_lines(io.BytesIO(text), Fitting(schema))
    assert sum(batch.num_rows for batch in batches) == len(rows)
