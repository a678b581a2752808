"""Results: what a question found beside what has to be reached, as a table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.timing import Ratio

HEADINGS = ("question", "at least", "aim", "reached", "spread")


@dataclass(frozen=True)
class Row:
    """One answer. `reached` is None where `missing` says why it was not measured.

    Where less is better, `at_least` is the most that is allowed. A row without `at_least` and
    `aim` is there to compare with.
    """

    question: str
    reached: float | None
    least: float | None = None
    greatest: float | None = None
    at_least: float | None = None
    aim: float | None = None
    unit: str = "×"
    less_is_better: bool = False
    detail: str = ""
    missing: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether it reached what it must; None where that cannot be said."""
        if self.reached is None or self.at_least is None:
            return None
        if self.less_is_better:
            return self.reached <= self.at_least
        return self.reached >= self.at_least


def row(
    question: str,
    ratio: Ratio,
    at_least: float | None = None,
    aim: float | None = None,
    less_is_better: bool = False,
    detail: str = "",
) -> Row:
    """A row of a ratio."""
    return Row(
        question,
        ratio.value,
        ratio.least,
        ratio.greatest,
        at_least,
        aim,
        less_is_better=less_is_better,
        detail=detail,
    )


def not_measured(
    question: str, missing: str, at_least: float | None = None, aim: float | None = None
) -> Row:
    """A row without a number, and why."""
    return Row(question, None, at_least=at_least, aim=aim, missing=missing)


def table(rows: Sequence[Row]) -> str:
    """The rows as a table in Markdown: first what has to be reached, then what is beside it."""
    first = [r for r in rows if r.at_least is not None]
    lines = [_cells(r) for r in (*first, *(r for r in rows if r.at_least is None))]
    cells = [HEADINGS, *lines]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    padded = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in cells
    ]
    return "\n".join([padded[0], "| " + " | ".join("-" * w for w in widths) + " |", *padded[1:]])


def details(rows: Sequence[Row]) -> str:
    """What the ratios were made of."""
    return "\n".join(f"{r.question}: {r.detail}" for r in rows if r.detail)


def save(rows: Sequence[Row], machine: dict[str, str], path: Path) -> None:
    """Everything that was found, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {"machine": machine, "rows": [asdict(r) | {"is_met": r.is_met} for r in rows]}
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")


def number(value: float | None, unit: str) -> str:
    """A number with as many digits as mean something."""
    if value is None:
        return ""
    before = math.floor(math.log10(abs(value))) if value else 2
    # Three digits, but two behind the point are enough from a tenth on.
    digits = max(0, 2 - before) if before >= 0 else 1 - before
    return f"{value:,.{digits}f}{'' if unit == '×' else ' '}{unit}"


def limit(value: float | None, r: Row) -> str:
    """A limit, with its direction where less is better."""
    sign = "≤ " if r.less_is_better and value is not None else ""
    return sign + number(value, r.unit)


def _cells(r: Row) -> tuple[str, ...]:
    if r.reached is None:
        return r.question, limit(r.at_least, r), limit(r.aim, r), r.missing, ""
    spread = ""
    if r.least is not None:
        spread = f"{number(r.least, r.unit)} to {number(r.greatest, r.unit)}"
    mark = {True: "", False: "  (short)", None: ""}[r.is_met]
    reached = number(r.reached, r.unit) + mark
    return r.question, limit(r.at_least, r), limit(r.aim, r), reached, spread
