"""What can be put: everything that holds rows, and nothing else."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pytest

from flight_server.client.frames import as_reader, to_pandas, to_polars
from flight_server.errors import ErrorCode, InvalidRequest, Unsupported

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
    assert as_reader(pd.DataFrame({"b": [1, 2]})[1:]).read_all().to_pylist() == [{"b": 2}]


def test_an_index_of_pandas_without_a_name_is_not_dropped_in_silence() -> None:
    frame = pd.DataFrame({"b": [1]}, index=["seven"])
    with pytest.raises(InvalidRequest, match=r"rename_axis.*reset_index\(drop=True\)"):
        as_reader(frame)
    with pytest.raises(InvalidRequest, match="rename_axis"):
        as_reader(frame.set_index([["x"], pd.Index([1], name="n")]))
    with pytest.raises(InvalidRequest, match="'b' is the name of a column and of the index"):
        as_reader(frame.rename_axis("b"))


def test_rows_have_all_columns_that_any_of_them_has() -> None:
    table = as_reader([{"a": 1}, {"b": "x", "a": 2}]).read_all()
    assert table.to_pylist() == [{"a": 1, "b": None}, {"a": 2, "b": "x"}]


def test_columns_may_be_of_any_library() -> None:
    columns = {"a": pl.Series([1]), "b": pd.Series(["x"]), "c": np.array([1.5]), "d": (None,)}
    rows = as_reader(columns).read_all().to_pylist()
    assert rows == [{"a": 1, "b": "x", "c": 1.5, "d": None}]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"a": 1}, "The column 'a' is a 'int'; give a list of its values."),
        ({"a": "xy"}, "The column 'a' is a 'str'; give a list of its values."),
        ({"a": {"b": 1}}, "The column 'a' is a 'dict'; give a list of its values."),
        ({1: [1]}, "The name 1 of a column is a 'int'; make it a text."),
        (
            {"a": [1], "b": [1, 2]},
            r"The lengths of the columns differ: 1 \('a'\) and 2 \('b'\)",
        ),
        ([{"a": 1}, {"a": "x"}], "The column 'a' holds values of the types 'int' and 'str'"),
        ({"a": [object()]}, "The column 'a' of the type 'object' cannot be made Arrow's"),
        ({"a": [[1], ["x"]]}, "The column 'a' of the type 'list' cannot be made Arrow's"),
        ([{"a": 1}, 7], "Row 2 is a 'int', where a dict is needed."),
        (pd.DataFrame({"a": [1, "x"]}), "The column 'a' holds values of the types 'int' and 'str'"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "The frame has two columns 'a'; rename one."),
        (pl.Series("a", [1]), r"A Series is one column, not a table. .*to_frame\('NAME'\)"),
        (pd.Series([1]), r"A Series is one column, not a table. .*to_frame\('NAME'\)"),
        (pa.chunked_array([[1]]), "A ChunkedArray gives no rows:"),
        (iter([TABLE, 7]), "Item 2 of the iterable is a 'int'; it must give record batches."),
    ],
    # The data's own text may hold its address, which differs from process to process.
    ids=lambda value: value[:40] if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_table_is_told_by_column_and_type(data: Any, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        as_reader(data).read_all()


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"a": pl.Series([object()], dtype=pl.Object)}),
        pl.DataFrame({"a": pl.Series([1], dtype=pl.Int128)}),
        pl.DataFrame({"a": pl.Series([[1]], dtype=pl.List(pl.Int128))}),
        pl.DataFrame({"a": pl.Series([{"b": 1}], dtype=pl.Struct({"b": pl.Int128}))}),
    ],
    ids=lambda frame: str(frame.dtypes[0]),
)
def test_types_that_polars_alone_has_are_refused(frame: pl.DataFrame) -> None:
    with pytest.raises(InvalidRequest, match="The column 'a' is of polars' type") as caught:
        as_reader(frame)
    assert caught.value.code is ErrorCode.UNSUPPORTED_TYPE
    with pytest.raises(InvalidRequest, match="The column 'a' is of polars' type"):
        as_reader({"a": frame["a"]})


def test_batches_of_an_iterable_have_one_schema() -> None:
    other = pa.table({"a": ["x"], "c": [1]})
    with pytest.raises(InvalidRequest, match="Item 2 of the iterable has the columns") as caught:
        as_reader(iter([TABLE, other])).read_all()
    assert caught.value.code is ErrorCode.SCHEMA_MISMATCH
    assert "'a' string, 'c' int64" in caught.value.message


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
