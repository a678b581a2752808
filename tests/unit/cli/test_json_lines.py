"""JSON lines in: types, and errors that name the line."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from flight_server.cli.formats import Hints, InputFile, open_source
from flight_server.errors import InvalidRequest


def read(path: Path, text: str, hints: Hints | None = None) -> pa.Table:
    path.write_text(text)
    return open_source([InputFile(str(path), "json", None)], hints or Hints()).reader().read_all()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.jsonl"


def test_objects_become_rows(path: Path) -> None:
    table = read(path, '{"a":1,"l":[1,2],"o":{"x":"y"}}\n{"a":2,"b":null}\n')
    assert table.to_pylist() == [
        {"a": 1, "l": [1, 2], "o": {"x": "y"}, "b": None},
        {"a": 2, "l": None, "o": None, "b": None},
    ]
    assert table.schema.field("b").type == pa.string()


def test_the_table_that_exists_gives_the_types(path: Path) -> None:
    assert read(path, '{"a":1}\n', Hints(types={"a": pa.int8()})).schema.types == [pa.int8()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a":1}\n{"a":\n', "line 2: this is not a JSON object."),
        ('{"a":1}\n7\n', "line 2: this is not a JSON object."),
        ('[{"a":1}]', "holds one JSON array. Write one object a line: jq -c '.[]'"),
        ("  \n", "is empty; nothing tells its columns."),
        ('{"a":1}\n{"a":"x"}\n', "Column(/a) changed from number to string"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(path, text)
    assert message in caught.value.message


def test_a_field_that_comes_late_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flight_server.cli.formats.json_lines.SAMPLE_BYTES", 8)
    with pytest.raises(InvalidRequest, match="line 2: a field that the first lines do not have"):
        read(path, '{"a":1}\n{"a":2,"b":3}\n')
