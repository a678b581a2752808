"""Asks how much longer a GROUP BY of the large table takes through Flight than in process."""

from __future__ import annotations

from bench import sample
from bench.answers import measure_select
from bench.results import Row
from bench.sizes import Sizes


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question."""
    select = "SELECT bucket, count(*) AS rows, sum(value) AS total FROM {} GROUP BY bucket"
    return measure_select(sizes, "GROUP BY", select, sample.BUCKETS, at_most=1.3, aim=1.1)
