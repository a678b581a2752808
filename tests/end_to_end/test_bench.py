"""Every bench is asked its question with tiny sizes: what it says must be whole, not fast."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest

from bench import sample
from bench.__main__ import QUESTIONS, main
from bench.peers import install
from bench.results import Row, not_measured, number, table
from bench.sizes import TINY
from bench.timing import Lap, Timing, alternate, speed_ratio, time_ratio

# The rows with a limit that each question answers, and how many it sets beside them.
LIMITED: dict[str, dict[str, float]] = {
    "scan": {"raw Flight": 0.65, "Quack": 4, "ROAPI": 1.7},
    "put": {"Quack insert": 12, "DuckLake in process": 0.8},
    "small_puts": {"1 writer": 4},
    "group_by": {"DuckLake in process": 1.3},
    "point_read": {"DuckLake in process": 1.6},
    "memory": {"streams in": 600, "streams out": 600, "Python client": 600},
    "clients": {},
    "flight_sql_latency": {
        "p50 of the time ÷ a server that answers at once": 2,
        "8 connections ÷ 1": 1.5,
    },
    "flight_sql_scan": {"from a server's memory": 0.6, "scanned by ADBC": 600},
    "flight_sql_ingest": {"our own DoPut": 0.7},
    "authorisation": {
        "decided before": 0.3,
        "decided anew": 0.3,
        "under a rate limit": 0.02,
    },
    "http_latency": {
        "one row read, p50 of the time over HTTP ÷ over Flight": 2,
        "one row inserted, p50 of the time over HTTP ÷ over Flight": 2,
    },
    "http_scan": {"÷ Flight": 0.7, "÷ Pixeltable's own route": 5, "stream out": 300},
    "http_load": {
        "requests that failed": 0,
        "capacity: p99": 1000,
        "p99 of refusals": 1000,
        "served ÷ capacity": 0.5,
        "neither served nor refused": 0,
    },
    "webhooks": {"events a second from commits to a receiver": 1_000, "with webhooks ÷ without": 3},
    "jobs": {"through one worker": 2_000},
    "multimodal": {
        "of Pixeltable's rows of 4 scalars by Flight ÷ its own collect()": 25,
        "of Pixeltable's rows of 384 floats by Flight ÷ its own collect()": 6,
        "rows inserted through Flight ÷ by Pixeltable in process": 0.9,
        "rows copied through Flight ÷ inserted by Pixeltable in process": 8,
        "scans of the lake beside 200 rows on their way through a slow function ÷ alone": 0.8,
        "p99 of SELECT 1 beside 200 rows on their way through a slow function ÷ alone": 3,
    },
    "exports": {
        "as csv ÷ COPY … TO from DuckLake in process": 0.7,
        "as parquet ÷ COPY … TO from DuckLake in process": 0.8,
        "exports as csv": 800,
        "exports as parquet": 800,
    },
    "imports": {
        "rows of csv ÷ COPY … FROM into DuckLake in process": 0.7,
        "rows of parquet ÷ COPY … FROM into DuckLake in process": 0.8,
        "while it imports csv": 800,
        "while it imports parquet": 800,
        "p99 of SELECT 1 beside an import ÷ on an idle server": 3.0,
    },
}
BESIDE = {"scan": 7, "put": 2, "small_puts": 5, "group_by": 1, "point_read": 1, "memory": 0}
BESIDE["clients"] = len(TINY.clients)
BESIDE |= {"exports": 0, "imports": 1}
BESIDE |= {"authorisation": 1, "http_latency": 0, "http_scan": 0, "http_load": 0}
BESIDE |= {"webhooks": 1, "jobs": 1, "multimodal": 0}
BESIDE |= {"flight_sql_latency": 2, "flight_sql_scan": 1, "flight_sql_ingest": 2}
PEERS = {"Quack": "quack", "ROAPI": "roapi", "Pixeltable": "pixeltable"}


@pytest.fixture(autouse=True, scope="module")
def little_to_collect() -> None:
    """What other tests have left is not looked at before each lap, which would take the longest."""
    gc.collect()
    gc.freeze()


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_in_full(
    question: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sample, "DATA", tmp_path / "data")
    assert main([question, "--tiny", "--results", str(tmp_path)]) == 0
    assert list((tmp_path / "data").iterdir()) == [], "something was left behind"

    found = json.loads((tmp_path / "latest.json").read_text("utf-8"))
    assert int(found["machine"]["cores"]) > 0
    limited = [row for row in found["rows"] if row["at_least"] is not None]
    assert [row["at_least"] for row in limited] == list(LIMITED[question].values())
    for row, name in zip(limited, LIMITED[question], strict=True):
        assert row["question"].endswith(name)
    assert len(found["rows"]) - len(limited) == BESIDE[question]
    for row in found["rows"]:
        check_row(row)
    printed = capsys.readouterr().out
    assert all(f"| {row['question']} " in printed for row in found["rows"])
    assert (tmp_path / "latest.png").read_bytes().startswith(b"\x89PNG")


def check_row(row: dict[str, object]) -> None:
    """A row has a number, unless it is about a peer that is not there."""
    peers = [peer for name, peer in PEERS.items() if f"÷ {name}" in str(row["question"])]
    if all(install.is_installed(peer) for peer in peers):
        assert isinstance(row["reached"], float)
        assert row["reached"] > 0 or row["unit"] in ("MB", "requests", "ms")
        assert row["detail"]
        assert not row["missing"]
    else:
        assert row["reached"] is None
        assert row["is_met"] is None
        assert row["missing"] == "not measured: run make bench-peers"


def test_an_unknown_question_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scna"]) == 2
    assert "'scna'" in capsys.readouterr().out


def test_the_sample_is_what_the_issue_of_speed_is_about() -> None:
    rows = sample.sample(1_000)
    assert [str(field.type) for field in rows.schema] == ["int64", "double", "int64", "string"]
    assert 34 < rows.nbytes / rows.num_rows < 36
    assert rows.equals(sample.sample(1_000))


def test_everybody_has_a_turn_in_every_round() -> None:
    order: list[str] = []

    def contestant(name: str, seconds: float) -> Lap:
        order.append(name)
        return Lap(seconds, 7)

    timings = alternate(
        {"a": lambda: contestant("a", 2.0), "b": lambda: contestant("b", 1.0)}, rounds=2, rows=7
    )
    # The first round warms up and is not counted.
    assert order == ["b", "a", "a", "b", "b", "a"]
    assert timings == {"a": Timing((2.0, 2.0)), "b": Timing((1.0, 1.0))}


def test_who_does_not_do_the_work_ends_the_bench() -> None:
    with pytest.raises(RuntimeError, match="lazy gave 6 rows instead of 7"):
        alternate({"lazy": lambda: Lap(1.0, 6)}, rounds=1, rows=7)


def test_ratios_are_of_medians_and_say_how_far_the_rounds_lie_apart() -> None:
    ours, theirs = Timing((1.0, 2.0, 9.0)), Timing((4.0, 4.0, 3.0))
    speed, time = speed_ratio(ours, theirs), time_ratio(ours, theirs)
    assert (speed.value, speed.least, speed.greatest) == (2.0, 3.0 / 9.0, 4.0)
    assert (time.value, time.least, time.greatest) == (0.5, 0.25, 3.0)


def test_the_table_says_what_falls_short_and_what_was_not_measured() -> None:
    rows = [
        Row("beside", 0.001234),
        Row("fast", 2.0, at_least=1.0, aim=3.0),
        Row("slow", 2.0, at_least=1.0, aim=0.5, less_is_better=True),
        not_measured("peer", "not measured: run make bench-peers", 4, 7),
    ]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table(rows).splitlines()]
    assert cells[0] == ["question", "at least", "aim", "reached", "spread"]
    assert cells[2] == ["fast", "1.00×", "3.00×", "2.00×", ""]
    assert cells[3] == ["slow", "≤ 1.00×", "≤ 0.50×", "2.00×  (short)", ""]
    assert cells[4] == ["peer", "4.00×", "7.00×", "not measured: run make bench-peers", ""]
    assert cells[5][0] == "beside"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "0.012×"), (0.5, "0.50×"), (12.345, "12.3×"), (1234.5, "1,234×"), (0.0, "0×")],
)
def test_numbers_have_the_digits_that_mean_something(value: float, text: str) -> None:
    assert number(value, "×") == text
