"""Every status that the OpenAPI document tells of is met by a test, or the run fails.

That answers are not other than told is seen where they are given: in `held_answers.py`. Here is the
other direction, which can be told only once all tests of the HTTP door have run: in one process, or
in several that hand over what they met.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.met_statuses import OUTPUT, STATUSES

CONTROL = Path(__file__).parent / "control"


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Only some tests are run."""
    if any(CONTROL in item.path.parents for item in items):
        STATUSES.is_whole = False


def pytest_collection_finish(session: pytest.Session) -> None:
    """Whether all tests of the HTTP door are to be run."""
    if hasattr(session.config, "workerinput") or not _has_workers(session.config):
        run = {item.path for item in session.items}
        is_named = any("::" in argument for argument in session.config.args)
        STATUSES.is_whole &= not is_named and run >= set(CONTROL.glob("test_*.py"))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: Any) -> None:
    """A process of xdist's has ended."""
    STATUSES.take(getattr(node, "workeroutput", {}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hands over what was met, or fails the run where something was not."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output[OUTPUT] = STATUSES.handed_over()
        return
    # A test that failed may have been the one that meets them.
    STATUSES.is_whole &= session.exitstatus == pytest.ExitCode.OK
    if STATUSES.unmet():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Names what was not met."""
    if not STATUSES.is_whole:
        return
    if unmet := STATUSES.unmet():
        terminalreporter.section("documented statuses that no test met", red=True)
        terminalreporter.line("\n".join(unmet))
    terminalreporter.line(STATUSES.summary())


def _has_workers(config: pytest.Config) -> bool:
    return bool(config.getoption("numprocesses", None))
