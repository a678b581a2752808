"""What the journals say must be in the tables: each acknowledged write once, and nothing else.

A write that was neither acknowledged nor refused, since its client was killed or cut off, is there
as a whole or not at all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tests.end_to_end.load.client import text_of

Write = tuple[int, int]


@dataclass
class Journal:
    """Everything that all clients have told, put together."""

    begun: dict[Write, int] = field(default_factory=dict)
    kinds: dict[Write, str] = field(default_factory=dict)
    acknowledged: set[Write] = field(default_factory=set)
    gone: set[Write] = field(default_factory=set)
    events: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, line: dict[str, Any]) -> None:
        """One line of a journal."""
        if "failure" in line:
            self.failures.append(line["failure"])
            return
        self.events[line["event"]] += 1
        write = (line.get("client", 0), line.get("number", 0))
        match line["event"]:
            case "begin":
                self.begun[write] = line["rows"]
                self.kinds[write] = line["kind"]
            case "acknowledged":
                self.acknowledged.add(write)
                self.events[line["event"] + " " + self.kinds[write]] += 1
            case "gone":
                self.gone.add(write)
                self.events[line["event"] + " " + self.kinds[write]] += 1

    def check(self, rows: pa.Table) -> None:
        """The table holds what was acknowledged, each row once, with what was written into it."""
        found = self._found(rows)
        lost = {write for write in self.acknowledged if found.get(write, 0) != self.begun[write]}
        assert not lost, f"acknowledged, and not there as written: {self._shown(lost, found)}"
        back = self.gone & found.keys()
        assert not back, f"rolled back or refused, and there: {self._shown(back, found)}"
        strange = found.keys() - self.begun.keys()
        assert not strange, f"nobody wrote these: {self._shown(strange, found)}"
        halves = {write for write, count in found.items() if count != self.begun[write]}
        assert not halves, f"there in part: {self._shown(halves, found)}"

    def _found(self, rows: pa.Table) -> dict[Write, int]:
        """How many rows of each write are there; none twice, and none with another's text."""
        columns = [rows.column(name).to_pylist() for name in ("client", "number", "part", "text")]
        keys = list(zip(*columns[:3], strict=True))
        assert len(set(keys)) == len(keys), "a row is there twice"
        texts = pa.array([text_of(*key) for key in keys], pa.string())
        same = pc.all(pc.equal(pa.chunked_array([texts]), rows.column("text"))).as_py()
        assert same in (True, None), "a row holds another's text"
        return Counter((client, number) for client, number, _ in keys)

    def _shown(self, writes: set[Write], found: dict[Write, int]) -> str:
        some = sorted(writes)[:5]
        return f"{len(writes)}, as " + ", ".join(
            f"{write} ({self.kinds.get(write)}, {found.get(write, 0)} of "
            f"{self.begun.get(write)} rows)"
            for write in some
        )
