"""The results as a picture: above, what has to be reached; below, what it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter

from bench.results import Row, number

MET, SHORT, BESIDE = "#3b7dd8", "#d9822b", "#9aa5b1"
AT_LEAST, AIM = "#b3261e", "#1b7f3b"
INCHES_EACH, INCHES_BESIDE = 0.9, 0.36
LEGEND = (
    "red: at least (at most, where less is better)    green: aim    "
    "black: spread of the rounds    orange bar: not there yet"
)


def draw(rows: Sequence[Row], machine: dict[str, str], path: Path) -> None:
    """Writes the picture as PNG; rows that were not measured are left out."""
    measured = [row for row in rows if row.reached is not None]
    limited = [row for row in measured if row.at_least is not None]
    beside = [row for row in measured if row.at_least is None]
    heights = [0.8 + INCHES_EACH * len(limited), 0.8 + INCHES_BESIDE * len(beside)]
    figure = Figure(figsize=(10, sum(heights)), layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    versions = f"duckdb {machine['duckdb']}, pyarrow {machine['pyarrow']}"
    above.suptitle(f"Pixelflight beside its limits, {machine['cores']} cores, {versions}")
    if limited:
        _draw_limited(above, limited)
    if beside:
        _draw_beside(below.subplots(), beside)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _draw_limited(figure: SubFigure, rows: Sequence[Row]) -> None:
    """One bar a row, each on a scale of its own."""
    axes = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for row, place in zip(rows, axes, strict=True):
        _bar(place, row)
    figure.supxlabel(LEGEND, fontsize=9)


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
    _plain(place)


def _draw_beside(place: Axes, rows: Sequence[Row]) -> None:
    """All ratios that have no limit, on one scale."""
    reached = [row.reached or 0.0 for row in rows]
    places = range(len(rows))
    place.barh(places, reached, height=0.6, color=BESIDE)
    place.set_xscale("log")
    place.set_xlim(min(0.5, *reached) / 2, 3 * max(2.0, *reached))
    place.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    place.axvline(1, color="black", linewidth=1)
    for at, row in zip(places, rows, strict=True):
        place.text(row.reached or 0.0, at, f" {number(row.reached, row.unit)}", va="center")
    less = {True: " (less is better)", False: ""}
    names = [f"{row.question}{less[row.less_is_better]}" for row in rows]
    place.set_yticks(places, names, fontsize=7)
    place.invert_yaxis()
    place.set_xlabel("ratio, logarithmic", fontsize=8)
    place.set_title("To compare with", loc="left", fontsize=10)
    _plain(place)


def _plain(place: Axes) -> None:
    place.tick_params(axis="x", labelsize=7)
    for side in ("top", "right", "left"):
        place.spines[side].set_visible(False)
