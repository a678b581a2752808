"""Limits of a workspace, as they are given."""

from __future__ import annotations

from typing import Any

import pytest

from flight_server.errors import InvalidRequest
from flight_server.operations.workspace_limits import NO_LIMITS, parse_workspace_limits


def test_limits_are_read() -> None:
    found = parse_workspace_limits(
        {"read": "5/minute;100/hour", "streams_max": 3, "quotas": {"rows_in_per_day": 7}}
    )
    assert (found.read, found.streams_max, found.quotas.rows_in_per_day) == (
        "5/minute;100/hour",
        3,
        7,
    )
    assert parse_workspace_limits({}) == NO_LIMITS


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"reads": "5/minute"}, "There is no limit 'reads'. Did you mean 'read'?"),
        ({"quotas": {"rows_in_day": 1}}, "Did you mean 'rows_in_per_day'?"),
        ({"read": "often"}, "The limit 'read' = \"often\""),
        ({"streams_max": -1}, "The limit 'streams_max' = -1"),
        ({"quotas": {"bytes_in_per_day": "much"}}, "'quotas.bytes_in_per_day' = \"much\""),
    ],
)
def test_wrong_limits_are_told(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_workspace_limits(given)
    assert says in str(caught.value)
