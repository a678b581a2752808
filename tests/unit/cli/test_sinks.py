"""Values as text: what CSV and JSON say of each Arrow type."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import json
import uuid
from typing import Any

import pyarrow as pa
import pytest

from flight_server.cli.formats import open_sink


def text(format: str, array: pa.Array) -> str:
    batch = pa.record_batch([array], names=["v"])
    stream = io.BytesIO()
    with open_sink(stream, format, batch.schema) as sink:
        sink.write_batch(batch)
    return stream.getvalue().decode()


MOMENT = dt.datetime(2024, 1, 2, 3, 4, 5, 6, dt.UTC)
CASES: list[tuple[pa.Array, Any, str]] = [
    (pa.array([1], pa.int8()), 1, "1"),
    (pa.array([1.5], pa.float16()), 1.5, "1.5"),
    (pa.array([float("nan")]), None, "nan"),
    (pa.array([True]), True, "true"),
    (pa.array(["ü"]), "ü", '"ü"'),
    (pa.array(["x"], pa.string_view()), "x", '"x"'),
    (pa.array(['a"\\\n'], pa.large_string()), 'a"\\\n', '"a""\\'),
    (pa.array(["x"]).dictionary_encode(), "x", '"x"'),
    (pa.array([b"\x00\xff"]), "AP8=", '"AP8="'),
    (pa.array([decimal.Decimal("1.10")]), "1.10", "1.10"),
    (pa.array([MOMENT], pa.timestamp("us", "UTC")), "2024-01-02T03:04:05.000006Z", "2024-01-02 03"),
    (pa.array([1], pa.timestamp("ns")), "1970-01-01T00:00:00.000000001", "1970-01-01 00:00:00.00"),
    (pa.array([dt.date(2024, 1, 2)]), "2024-01-02", "2024-01-02"),
    (pa.array([dt.time(3, 4)], pa.time64("us")), "03:04:00.000000", "03:04:00"),
    (pa.array([5], pa.duration("ms")), 5, "5"),
    (pa.array([[1, None]]), [1, None], '"[1, null]"'),
    (pa.array([{"a": float("inf")}]), {"a": None}, '"{""a"": null}"'),
    (pa.array([uuid.UUID(int=1).bytes], pa.uuid()), str(uuid.UUID(int=1)), '"00000000-'),
]


@pytest.mark.parametrize(
    ("array", "value", "csv"), CASES, ids=[str(case[0].type) for case in CASES]
)
def test_every_type_has_a_form(array: pa.Array, value: Any, csv: str) -> None:
    assert json.loads(text("json", array)) == {"v": value}
    assert text("csv", array).splitlines()[1].startswith(csv)


def test_null_is_null() -> None:
    array = pa.array([None, "x"])
    assert text("json", array) == '{"v": null}\n{"v": "x"}\n'
    assert text("csv", array) == '"v"\n\n"x"\n'


def test_tabs_stand_between_the_values_of_a_tsv() -> None:
    batch = pa.record_batch([pa.array([1]), pa.array(["a\tb"])], names=["n", "s"])
    stream = io.BytesIO()
    with open_sink(stream, "tsv", batch.schema) as sink:
        sink.write_batch(batch)
    assert stream.getvalue() == b'"n"\t"s"\n1\t"a\tb"\n'
