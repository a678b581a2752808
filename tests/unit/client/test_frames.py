"""What can be put: everything that holds rows, and nothing else."""

from __future__ import annotations

import sys
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pytest

from flight_server.client.frames import as_reader, to_pandas, to_polars
from flight_server.errors import InvalidRequest, Unsupported

ROWS = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
TABLE = pa.Table.from_pylist(ROWS)


@pytest.mark.parametrize(
    "data",
    [
        TABLE,
        TABLE.to_batches()[0],
        TABLE.to_reader(),
        iter(TABLE.to_batches()),
        iter([TABLE, TABLE.slice(0, 0)]),
        pl.DataFrame(ROWS),
        pl.LazyFrame(ROWS),
        pd.DataFrame(ROWS, dtype=object),
        pa.dataset.dataset(TABLE),
        ROWS,
        TABLE.to_pydict(),
    ],
    ids=lambda data: f"{type(data).__module__}.{type(data).__name__}",
)
def test_rows_of_any_kind_become_batches(data: Any) -> None:
    assert as_reader(data).read_all().to_pylist() == ROWS


def test_a_named_index_of_pandas_becomes_a_column() -> None:
    frame = pd.DataFrame({"b": [1]}, index=pd.Index([7], name="a"))
    table = as_reader(frame).read_all()
    assert table.to_pylist() == [{"b": 1, "a": 7}]
    assert table.schema.metadata is None
    assert as_reader(pd.DataFrame({"b": [1]}, index=[7])).read_all().to_pylist() == [{"b": 1}]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (7, "A int cannot be put into a table."),
        ("x", "A str cannot be put into a table."),
        (iter([]), "The iterable is empty; it must give record batches."),
        (iter([7]), "The iterable begins with a int"),
        ([], "The iterable is empty"),
    ],
)
def test_what_holds_no_rows_is_told(data: Any, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        as_reader(data)


def test_frames_come_out() -> None:
    assert to_polars(TABLE).to_dicts() == ROWS
    assert list(to_pandas(TABLE)["a"]) == [1, 2]


def test_a_library_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(Unsupported, match="needs polars, which is not installed: pip install"):
        to_polars(TABLE)
