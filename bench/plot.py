"""The results as a picture: one bar a row, each on a scale of its own, with what it must reach."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.results import Row, number

MET, SHORT, BESIDE = "#3b7dd8", "#d9822b", "#9aa5b1"
AT_LEAST, AIM = "#b3261e", "#1b7f3b"
INCHES_EACH = 0.85


def draw(rows: Sequence[Row], machine: dict[str, str], path: Path) -> None:
    """Writes the picture as PNG; rows that were not measured are left out."""
    measured = [row for row in rows if row.reached is not None]
    ordered = sorted(measured, key=lambda row: row.at_least is None)
    figure = Figure(figsize=(10, 1.6 + INCHES_EACH * len(ordered)), layout="constrained")
    title = f"{machine['cores']} cores, duckdb {machine['duckdb']}, pyarrow {machine['pyarrow']}"
    figure.suptitle(f"Pixelflight beside its limits and peers ({title})", fontsize=13)
    axes = figure.subplots(len(ordered), 1, squeeze=False)[:, 0]
    for row, place in zip(ordered, axes, strict=True):
        _bar(place, row)
    figure.supxlabel(
        "red: at least (at most, where less is better)   green: aim   black: spread of the rounds",
        fontsize=9,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _bar(place: Axes, row: Row) -> None:
    assert row.reached is not None, "only what was measured is drawn"
    color = {True: MET, False: SHORT, None: BESIDE}[row.is_met]
    place.barh([0], [row.reached], height=0.6, color=color)
    if row.least is not None and row.greatest is not None:
        place.hlines(0, row.least, row.greatest, color="black", linewidth=1)
    for limit, line in ((row.at_least, AT_LEAST), (row.aim, AIM)):
        if limit is not None:
            place.axvline(limit, color=line, linewidth=2)
    marks = [mark for mark in (row.reached, row.greatest, row.at_least, row.aim) if mark]
    place.set_xlim(0, 1.15 * max(marks, default=1))
    less = ", less is better" if row.less_is_better else ""
    reached = number(row.reached, row.unit)
    place.set_title(f"{row.question}: {reached}{less}", loc="left", fontsize=9)
    place.set_xlabel("MB" if row.unit == "MB" else "ratio", fontsize=7, labelpad=0)
    place.set_yticks([])
    place.tick_params(axis="x", labelsize=7)
    for side in ("top", "right", "left"):
        place.spines[side].set_visible(False)
