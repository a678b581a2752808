"""A release of Pixeltable that was not tried: it is read by the public way, and not written to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from flight_server.client import Client, connect
from flight_server.errors import Unsupported
from flight_server.testing.server import local_server
from tests.fix_pixeltable import copy_of

# Python runs this before anything else, and Pixeltable then says that it is another one.
OTHER_RELEASE = """
import sys, types
version = types.ModuleType("pixeltable._version")
version.__version__ = "0.8.0"
sys.modules[version.__name__] = version
"""


@pytest.fixture
def untried(made_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of a server whose Pixeltable is of another release."""
    (tmp_path / "sitecustomize.py").write_text(OTHER_RELEASE)
    path = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{path}" if path else str(tmp_path))
    home = str(copy_of(made_home, tmp_path))
    with (
        local_server(tmp_path / "data", durability="none", pixeltable=home) as server,
        connect(server.url, server.key) as client,
    ):
        yield client


def test_it_is_read_and_not_written_and_everybody_is_told(
    untried: Client, caplog: pytest.LogCaptureFixture
) -> None:
    asleep = untried.health()["catalogs"]["pixeltable"]
    assert (asleep["awake"], asleep["notice"]) == (False, "")
    numbers = untried.scan("pixeltable:numbers", ["id", "x"], filter="id < 5", order_by="id")
    assert [row["id"] for row in numbers.to_pylist()] == [0, 1, 2, 4]
    assert untried.scan("pixeltable:kinds.every").to_arrow().num_rows == 40
    assert untried.describe("pixeltable:numbers").rows == 500
    row = pa.table({"id": [1000], "x": [1.0], "name": ["n"], "even": [True]})
    writes: list[Callable[[], object]] = [
        lambda: untried.put("pixeltable:numbers", row),
        lambda: untried.update("pixeltable:numbers", {"x": "1"}, filter="id = 1"),
        lambda: untried.delete("pixeltable:numbers", filter="id = 1"),
    ]
    for write in writes:
        with pytest.raises(Unsupported, match="was tried"):
            write()
    assert untried.scan("pixeltable:numbers").to_arrow().num_rows == 500
    told = "not written: this is Pixeltable 0.8.0, and 0.7.21 was tried"
    awake = untried.health()["catalogs"]["pixeltable"]
    assert awake["awake"]
    assert told in awake["notice"]
    assert told in caplog.text
