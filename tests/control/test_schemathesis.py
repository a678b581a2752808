"""Every operation of the OpenAPI document, asked with what its schemas allow and what they do not.

`PIXELFLIGHT_TEST_PROFILE=long` asks more of each.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fix_http import TwoDoors

EXAMPLES = 60 if os.environ.get("PIXELFLIGHT_TEST_PROFILE") == "long" else 4
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


RULES = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)
# These take away the very credential that the others are asked with.
LEFT_OUT = {"revoke_key", "rotate_key"}


@pytest.mark.timeout(3000 if EXAMPLES > 10 else 120)
def test_no_request_breaks_the_server_or_its_word(start_doors: Callable[..., TwoDoors]) -> None:
    doors = start_doors()
    schema = schemathesis.openapi.from_url(f"{doors.url}/openapi.json")
    wrong: list[str] = []
    asked = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if operation.definition.raw["operationId"] in LEFT_OUT:
            continue
        asked += 1
        try:
            ask(operation, doors.key)
        except Exception as error:
            wrong.append(f"{operation.label}: {str(error)[:1500]}")
    assert asked > 30
    assert not wrong, "\n\n".join(wrong)


def ask(operation: Any, key: str) -> None:
    """Several requests of one operation."""

    @RULES
    @given(case=operation.as_strategy())
    def some(case: Any) -> None:
        # Too short a time is told as the server's fault, which it is not.
        (case.headers or {}).pop("x-timeout-seconds", None)
        response = case.call(headers={"authorization": f"Bearer {key}"})
        case.validate_response(response, checks=CHECKS)

    some()
