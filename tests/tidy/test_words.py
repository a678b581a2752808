"""Nothing is left lying about: no promises in comments, no skipped tests, no machine's paths."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.sources import ROOT, python_files, short, text_files, tree

# Written apart, so that this file does not find itself.
PROMISES = re.compile(
    r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]) + r")\b"
)
SKIPS = re.compile(
    r"pytest\.mark\.sk" + r"ip|pytest\.sk" + r"ip|import" + r"orskip|unittest\.sk" + "ip"
)
# `path` → why a test in it may be skipped.
MAY_SKIP: dict[str, str] = {}
# `path:function` → why it may wait for a fixed time: never in the hope that something is done.
MAY_SLEEP = {
    "tests/end_to_end/test_job_crash.py:kill_workers": "lets jobs run until they are killed",
    "tests/end_to_end/test_import_crash.py:kill_a_worker": "lets an import run until it is killed",
    "tests/end_to_end/test_webhook_crash.py:kill": "lets events be delivered until it kills",
    "tests/unit/worker/test_process.py:slowly": "holds an end back while others look at it",
    "tests/unit/query/test_admission.py:work": "holds its place for others to meet it there",
    "tests/wire/test_broken_streams.py:test_a_client_that_is_killed": "lets a stream get going",
    "tests/wire/test_broken_streams.py:test_a_client_that_cancels": "lets a deadline pass",
    "tests/wire/test_tickets.py:test_a_ticket_expires": "lets a ticket expire",
    "tests/wire/test_tickets.py:test_a_ticket_holds_its_snapshot_against_housekeeping": "likewise",
    "tests/wire/test_tickets.py:test_a_stream_holds_its_snapshot_against_housekeeping": "likewise",
    "tests/wire/test_tickets.py:test_a_renewed_ticket_for_a_part_holds_the_files": "likewise",
    "tests/wire/test_cancellation.py:test_what_was_cancelled_is_not_renewed": "likewise",
    "tests/unit/lake/test_housekeeping.py:test_small_files_are_sliced_until_a_round_has_to_wait": (
        "lets the tickets of the slices expire"
    ),
    "tests/control/test_limits.py:test_a_rate_is_told_before_and_when_it_is_used_up": (
        "waits exactly as long as it was told to"
    ),
    "tests/control/test_limits.py:test_a_client_of_flight_that_was_limited_can_go_on": "likewise",
    "tests/fix_webhooks.py:do_POST": "is a receiver that is as slow as a test wants it",
    "tests/wire/test_puts.py:test_puts_during_a_scan_are_not_seen_by_it": "lets a put do harm",
}


def found(pattern: re.Pattern[str]) -> set[str]:
    """The files and lines where a pattern is found."""
    return {
        f"{short(path)}:{number}"
        for path in text_files()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if pattern.search(line)
    }


def test_no_promises() -> None:
    assert found(PROMISES) == set()


def test_no_paths_of_a_machine() -> None:
    assert found(re.compile(rf"{re.escape(str(ROOT))}\b|(?<![\w.)])/wo" + "rk/")) == set()


def test_no_test_is_skipped() -> None:
    files = {place.partition(":")[0] for place in found(SKIPS)}
    assert files == set(MAY_SKIP)


def test_an_expected_failure_says_why() -> None:
    silent = [
        f"{short(path)}:{node.lineno}"
        for path in python_files("tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and node.attr == "xfail"
        and node not in explained_failures(path)
    ]
    assert silent == []


def explained_failures(path: Path) -> list[ast.expr]:
    """The `xfail` marks of a file that are called with a reason."""
    return [
        node.func
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and any(word.arg == "reason" for word in node.keywords)
    ]


def test_no_test_hopes_that_a_fixed_time_is_enough() -> None:
    files = python_files("tests")
    places = {f"{short(path)}:{name}" for path in files for name in sleeps(tree(path), "", False)}
    assert places == set(MAY_SLEEP)


def sleeps(node: ast.AST, name: str, in_loop: bool) -> Iterator[str]:
    """The functions that sleep outside a loop: in one they wait for something that they ask for."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and ast.unparse(child.func) == "time.sleep" and not in_loop:
            yield name
        inner = child.name if isinstance(child, ast.FunctionDef | ast.ClassDef) else name
        yield from sleeps(child, inner, in_loop or isinstance(child, ast.For | ast.While))
