"""Several threads at one engine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from flight_server.testing.conformance.handles import (
    EngineCase,
    TableHandle,
    batches_of,
    reader_of,
)


class ConcurrencyTests(EngineCase):
    """Nothing is lost, nothing is seen half."""

    def test_appends_at_once(self, engine: Any) -> None:
        """Four threads, each with its own rows: all of them are there, and counted."""
        table = TableHandle(engine).create()

        def append(start: int) -> None:
            for i in range(start, start + 10):
                assert table.put([{"id": i}]).rows == 1

        _together([partial(append, start) for start in (0, 100, 200, 300)])
        assert table.ids() == [start + i for start in (0, 100, 200, 300) for i in range(10)]

    def test_appends_to_tables_of_their_own(self, engine: Any) -> None:
        """Made by the threads themselves."""

        def work(name: str) -> None:
            table = TableHandle(engine, name)
            for i in range(5):
                table.put([{"id": i}], create_if_missing=True)

        names = ("a", "b", "c", "d")
        _together([partial(work, name) for name in names])
        for name in names:
            assert TableHandle(engine, name).ids() == list(range(5))

    def test_readers_see_whole_commits(self, engine: Any) -> None:
        """While another overwrites: always one generation, never parts of two."""
        table = TableHandle(engine).create()
        table.stream(reader_of(batches_of(range(20), 20)), "overwrite")
        done = threading.Event()
        seen: list[list[int]] = []

        def write() -> None:
            for generation in range(1, 8):
                rows = range(generation * 20, generation * 20 + 20)
                table.stream(reader_of(batches_of(rows, 5)), "overwrite")
            done.set()

        def read() -> None:
            seen.append(table.ids())
            while not done.is_set():
                seen.append(table.ids())

        _together([write, read])
        assert seen
        for ids in seen:
            assert ids == list(range(ids[0], ids[0] + 20))
            assert ids[0] % 20 == 0


def _together(jobs: list[Callable[[], None]]) -> None:
    """Runs them at once and raises what any of them raised."""
    errors: list[Exception] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
