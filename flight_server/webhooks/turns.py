"""How threads that work in the background let those go first who serve a call."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

# Of what takes some 50 µs each.
ITEMS_EACH = 4

Item = TypeVar("Item")


def giving_way(items: Iterable[Item]) -> Iterator[Item]:
    """The items, with Python's lock let go after every few of them.

    Whoever waits for the lock gets it then, instead of after the 5 ms that Python lets a thread
    keep it: each call waits for it several times.
    """
    for number, item in enumerate(items, 1):
        yield item
        if number % ITEMS_EACH == 0:
            time.sleep(0)
