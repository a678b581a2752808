"""Functions of an operator's own, as the setting pixeltable_functions admits them."""

from __future__ import annotations

import pixeltable as pxt


@pxt.udf  # type: ignore[untyped-decorator]
def doubled(x: float) -> float:
    """Twice as much."""
    return x * 2


@pxt.udf  # type: ignore[untyped-decorator]
def picky(n: int) -> int:
    """What it is given, where that is even."""
    if n % 2:
        raise ValueError(f"{n} is odd")
    return n
