"""What Pixeltable's public names are here: the table of docs/pixeltable-parity.md.

Its data stand in `parity.toml`; tests/multimodal/test_parity.py holds them to what there is.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.tidy.sources import ROOT

SOURCE = ROOT / "tests" / "tidy" / "parity.toml"
SHOWN_BELOW = ROOT / "tests" / "multimodal"


@dataclass(frozen=True)
class Row:
    """What one name is here, or several that go together.

    `flight` are actions, reads, calls and statements, `http` routes, `tests` what shows them.
    """

    names: tuple[str, ...]
    flight: tuple[str, ...]
    http: tuple[str, ...]
    tests: tuple[str, ...]
    note: str
    absent: str
    missing: str

    @property
    def remark(self) -> str:
        """What is told of it in words."""
        if self.absent:
            return f"No meaning over a wire: {self.absent}."
        if self.missing:
            return f"**Not yet**: {self.missing}."
        return self.note


@dataclass(frozen=True)
class Family:
    """Names that belong to one class or module of Pixeltable's, `of`, but for those of `beside`.

    `what` they are: `functions`, `classes` or `everything`.
    """

    title: str
    of: str
    beside: str
    what: str
    rows: tuple[Row, ...]


def families() -> list[Family]:
    """All of them, as the file has them."""
    read = tomllib.loads(SOURCE.read_text("utf-8"))["families"]
    return [
        Family(
            one["title"],
            one["of"],
            one.get("beside", ""),
            one["what"],
            tuple(_row(names, row) for names, row in one["rows"].items()),
        )
        for one in read
    ]


def sections() -> Iterator[tuple[str, str, list[tuple[str, ...]]]]:
    """Each family's title, what it is of, and its rows as cells."""
    for family in families():
        yield family.title, family.of, [_cells(row) for row in family.rows]


def _row(names: str, row: dict[str, Any]) -> Row:
    assert row.keys() <= {"flight", "http", "tests", "note", "absent", "missing"}, names
    return Row(
        tuple(names.split(", ")),
        tuple(row.get("flight", ())),
        tuple(row.get("http", ())),
        tuple(row.get("tests", ())),
        row.get("note", ""),
        row.get("absent", ""),
        row.get("missing", ""),
    )


def _cells(row: Row) -> tuple[str, ...]:
    tests = (f"{file}.py::{name}" for file, name in (one.split("::") for one in row.tests))
    return (
        _codes(row.names),
        _codes(row.flight),
        _codes(row.http),
        row.remark or "–",
        _codes(tests),
    )


def _codes(texts: Iterable[str]) -> str:
    return ", ".join(f"`{text}`" for text in texts) or "–"
