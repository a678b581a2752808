"""Which cases of the contract Pixeltable's engine is held to, and which of them `make test` runs.

`PIXELFLIGHT_TEST_CONFORMANCE=long` (`make test-conformance`) runs all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

from tests.conformance.pixeltable_exceptions import EXCEPTIONS, SHORT

IS_LONG = os.environ.get("PIXELFLIGHT_TEST_CONFORMANCE") == "long"
# Exceptions of tests that were collected, of cases that were not.
UNMET = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks what is expected to fail, and leaves out what the short form does."""
    cases = [item for item in items if "conformance/test_pixeltable.py::Test" in item.nodeid]
    reasons = {name: reason for reason, names in EXCEPTIONS for name in names}
    config.stash[UNMET] = _unmet(reasons, cases)
    for case in cases:
        reason = reasons.get(case.name) or reasons.get(_test(case.name))
        if reason is not None:
            case.add_marker(pytest.mark.xfail(strict=True, reason=reason))
    if not IS_LONG:
        left_out = [case for case in cases if not SHORT.intersection((case.name, _test(case.name)))]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def unmet(pytestconfig: pytest.Config) -> list[str]:
    """Exceptions that no case has."""
    return pytestconfig.stash[UNMET]


def _unmet(names: Iterable[str], cases: Iterable[pytest.Item]) -> list[str]:
    known = {case.name for case in cases}
    tests = {_test(name) for name in known}
    return sorted(n for n in names if _test(n) in tests and n not in known | tests)


def _test(name: str) -> str:
    """The name of the test that a case is of."""
    return name.partition("[")[0]
