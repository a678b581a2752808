"""Work of one thread that goes on while another waits for something else."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")
_END = object()


@contextmanager
def read_ahead(items: Iterator[Item], ahead: int = 2) -> Iterator[Iterator[Item]]:
    """The items, of which a few are made before they are asked for, for a block.

    An error of theirs is raised where the item would have been given.
    """
    made: queue.Queue[Any] = queue.Queue(ahead)
    is_over = threading.Event()

    def make() -> None:
        try:
            for item in items:
                if not _put(made, (item, None), is_over):
                    return
            _put(made, (_END, None), is_over)
        except BaseException as error:
            _put(made, (_END, error), is_over)

    thread = threading.Thread(target=make, name="pixelflight-read-ahead", daemon=True)
    thread.start()
    try:
        yield _given(made)
    finally:
        is_over.set()
        thread.join()


def _put(made: queue.Queue[Any], item: Any, is_over: threading.Event) -> bool:
    """Whether the item was taken before it was over."""
    while not is_over.is_set():
        try:
            made.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False


def _given(made: queue.Queue[Any]) -> Iterator[Any]:
    while True:
        item, error = made.get()
        if error is not None:
            raise error
        if item is _END:
            return
        yield item
