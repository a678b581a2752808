"""The clients that write while the server is killed, and what each of them knows.

A client sends one put at a time, under a token, again and again until it is acknowledged. So at
any moment it knows exactly what must be in the table, and the one thing more that may be.
"""

from __future__ import annotations

import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from tests.end_to_end.crash.wire import GONE, LATER, Line, said

ROWS = "crash.rows"
STATE = "crash.state"
ROWS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("put", pa.int64(), nullable=False),
        pa.field("text", pa.string()),
    ]
)
STATE_SCHEMA = pa.schema(
    [pa.field("key", pa.int64(), nullable=False), pa.field("written", pa.int64())]
)
STREAM_BATCH_ROWS = 50
STREAM_COMMIT_ROWS = 170
IDS_EACH = 10**9
KEYS = 400


class Writer(ABC, threading.Thread):
    """A client with a number; `acknowledged` counts the commits that it was told of."""

    def __init__(self, number: int, url: str, key: str, stop: threading.Event, seed: int) -> None:
        super().__init__(name=f"writer-{number}")
        self.number = number
        self.random = random.Random(f"{seed}/{number}")
        self.acknowledged = 0
        self.attempts = 0
        self.duplicates = 0
        self.broken: BaseException | None = None
        self.lock = threading.Lock()
        self._url, self._key, self._stop_asked = url, key, stop
        # Closed while somebody looks at what the last life of the server has left.
        self.gate = threading.Event()

    def run(self) -> None:
        """Puts until it is asked to stop, and ends with nothing open."""
        try:
            count = 0
            while not self._stop_asked.is_set():
                self._put_until_acknowledged(f"w{self.number}-{count}")
                count += 1
        except BaseException as error:
            self.broken = error

    def _put_until_acknowledged(self, token: str) -> None:
        self.gate.wait()
        with self.lock:
            self.plan()
        while not self.is_done():
            self.gate.wait()
            line = Line(self._url, self._key)
            self.attempts += 1
            try:
                ingest = {**self.command(), "token": token}
                line.put(ingest, self.schema, self.batches(), self._heard)
            except GONE as error:
                if said(error) not in (None, *LATER):
                    raise
                # The server is away, or on its way back.
                time.sleep(0.05)
            finally:
                line.close()

    def _heard(self, answer: dict[str, Any]) -> None:
        with self.lock:
            self.acknowledged += not answer.get("duplicate", False)
            self.duplicates += answer.get("duplicate", False)
            self.note(answer)

    schema: pa.Schema

    @abstractmethod
    def plan(self) -> None:
        """Decides on the next put."""

    @abstractmethod
    def command(self) -> dict[str, Any]:
        """How it is sent."""

    @abstractmethod
    def batches(self) -> Iterator[pa.RecordBatch]:
        """What is sent: the same each time until it is acknowledged."""

    @abstractmethod
    def note(self, answer: dict[str, Any]) -> None:
        """Takes an acknowledgement down."""

    @abstractmethod
    def possible(self) -> list[Any]:
        """Every state in which the table may be now, as far as this client wrote it."""

    @abstractmethod
    def is_done(self) -> bool:
        """Whether all of it is acknowledged."""


class Appender(Writer):
    """Appends rows with ids of its own, counted from zero. `safe` of them are acknowledged.

    `marks` holds, for each acknowledged commit, its snapshot and how many rows were safe then.
    """

    schema = ROWS_SCHEMA

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.safe = 0
        self.marks: list[tuple[int, int]] = []
        self.size = 0
        self.puts = 0
        self.begun = 0

    @property
    def sent(self) -> int:
        """How many rows may be there at most."""
        return self.begun + self.size

    def plan(self) -> None:
        self.puts += 1
        self.begun = self.safe
        self.size = self.random.choices([1, 100, 20_000], [6, 5, 1])[0]

    def command(self) -> dict[str, Any]:
        return {"table": ROWS, "mode": "append"}

    def batches(self) -> Iterator[pa.RecordBatch]:
        yield from rows_of(self, self.begun, self.begun + self.size, 5_000)

    def note(self, answer: dict[str, Any]) -> None:
        safe = self.begun + answer["offset"]
        assert self.safe <= safe <= self.sent, f"{answer} after {self.safe} of {self.sent} rows"
        if safe > self.safe:
            self.safe = safe
            self.marks.append((answer["commit"], safe))

    def is_done(self) -> bool:
        return self.safe == self.sent

    def possible(self) -> list[int]:
        """How many of this client's rows there may be: whole puts only."""
        return [self.safe, self.sent]


class Streamer(Appender):
    """One long stream after the other, committed every so many rows."""

    def plan(self) -> None:
        super().plan()
        self.size = self.random.randrange(500, 3_000)

    def command(self) -> dict[str, Any]:
        return {**super().command(), "commit_every": {"rows": STREAM_COMMIT_ROWS}}

    def batches(self) -> Iterator[pa.RecordBatch]:
        yield from rows_of(self, self.begun, self.begun + self.size, STREAM_BATCH_ROWS)

    def possible(self) -> list[int]:
        """Whole commits beyond the last one acknowledged."""
        return [*range(self.safe, self.sent, STREAM_COMMIT_ROWS), self.sent]


class Upserter(Writer):
    """Writes the number of its put under some keys. `state` is what was acknowledged."""

    schema = STATE_SCHEMA

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.state: dict[int, int] = {}
        self.open: dict[int, int] = {}
        self.puts = 0

    def plan(self) -> None:
        self.puts += 1
        keys = self.random.sample(range(KEYS), self.random.choice([1, 20, 200]))
        self.open = dict.fromkeys(keys, self.puts)

    def command(self) -> dict[str, Any]:
        return {"table": STATE, "mode": "upsert", "key": ["key"]}

    def batches(self) -> Iterator[pa.RecordBatch]:
        columns = {"key": list(self.open), "written": list(self.open.values())}
        yield from pa.table(columns, STATE_SCHEMA).to_batches()

    def note(self, answer: dict[str, Any]) -> None:
        new = len(self.open.keys() - self.state.keys())
        told = (answer["rows"], answer["rows_inserted"], answer["rows_updated"])
        assert told == (len(self.open), new, len(self.open) - new), f"{answer}, {new} are new"
        self.state |= self.open
        self.open = {}

    def is_done(self) -> bool:
        return not self.open

    def possible(self) -> list[dict[int, int]]:
        """What was acknowledged, or that and all of the open put."""
        return [dict(self.state), self.state | self.open]


def rows_of(writer: Appender, start: int, stop: int, each: int) -> Iterator[pa.RecordBatch]:
    """The client's rows from one number to another. The text follows from the id."""
    for first in range(start, stop, each):
        numbers = range(first, min(first + each, stop))
        ids = [writer.number * IDS_EACH + number for number in numbers]
        columns = [ids, [writer.puts] * len(ids), [text_of(one) for one in ids]]
        arrays = [pa.array(c, f.type) for c, f in zip(columns, ROWS_SCHEMA, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=ROWS_SCHEMA)


def text_of(row: int) -> str:
    """The text that belongs to an id."""
    return f"row {row * 2654435761 % 4294967296:08x}"
