"""Rows from a pipe: whole ones, as they come, and in the end all of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from flight_server.cli.formats.pipes import LiveRows


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(writing)


def read_all(rows: LiveRows, size: int) -> bytes:
    return b"".join(iter(lambda: rows.read(size) or b"", b""))


@pytest.mark.parametrize(
    ("written", "given", "held"),
    [
        (b"a,b\n1,2\n3", b"a,b\n1,", b"2\n"),
        (b'a\n"x\ny"\n', b'a\n"x\ny', b'"\n'),
        (b"a\r\n1\r\n", b"a\r\n1", b"\r\n"),
    ],
)
def test_what_is_there_is_given_without_a_wait_for_more(
    pipe: tuple[int, int], written: bytes, given: bytes, held: bytes
) -> None:
    with open(pipe[0], "rb") as raw:
        rows = LiveRows(raw, is_csv=True)
        os.write(pipe[1], written)
        assert rows.read(1000) == given
        assert rows.held == held
        assert rows.read(1000) == held


def test_a_row_that_is_not_whole_is_waited_for(pipe: tuple[int, int]) -> None:
    with open(pipe[0], "rb") as raw:
        rows = LiveRows(raw, is_csv=True)
        os.write(pipe[1], b'a\n"x\n')
        later = threading.Timer(1, os.write, (pipe[1], b'y"\n'))
        later.start()
        assert rows.read(1000) == b'a\n"x\ny'
        later.join()


@pytest.mark.parametrize("size", [7, 1000, 1_000_000])
def test_all_bytes_come_in_their_order(size: int) -> None:
    content = b"".join(b'%d,"a\nb"\n' % number for number in range(20_000))
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb") as target:
            target.write(content)

    with open(reading, "rb") as raw:
        writer = threading.Thread(target=write)
        writer.start()
        assert read_all(LiveRows(raw, is_csv=True), size) == content
        writer.join()
