"""Asks how much longer reading one row takes through Flight than in process."""

from __future__ import annotations

from bench.answers import measure_select
from bench.results import Row
from bench.sizes import Sizes


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question."""
    select = f"SELECT * FROM {{}} WHERE id = {sizes.rows // 2}"
    return measure_select(sizes, "point read", select, 1, at_most=1.6, aim=1.0)
