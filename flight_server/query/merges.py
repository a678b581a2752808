"""MERGE INTO: taken apart, and put together again from what was checked."""

from __future__ import annotations

from flight_server.query.row_writes import Context
from flight_server.query.words import Words
from flight_server.query.writes import Merge


def merge(words: Words, context: Context) -> Merge:
    """`MERGE INTO t [AS a] USING s [AS b] {ON … | USING (…)} WHEN …`."""
    words.refuse()
