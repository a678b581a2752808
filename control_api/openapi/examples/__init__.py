"""An example of every route: what is sent, and what comes back.

In JSON files, one a tag, and one for what ends that which others need. A test sends each of them,
in the order in which they stand, and looks whether what comes back has the shape that is shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

REQUEST_ID = "5f24d5b223c8-7"
# The files, in the order in which one needs what another has made.
FILES = (
    "namespaces",
    "tables",
    "rows",
    "query",
    "batch",
    "jobs",
    "history",
    "indexes",
    "views",
    "functions",
    "providers",
    "snapshots",
    "webhooks",
    "workspaces",
    "auth",
    "audit",
    "usage",
    "imports",
    "operations",
    "farewell",
)


@dataclass(frozen=True)
class Example:
    """One request. `parameters` are those of the path and of the query, by their names."""

    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    request: Any = None
    answer: Any = None


@cache
def examples() -> Mapping[str, Example]:
    """The examples by the operationIds of their routes, in the order in which they work."""
    found = {}
    for name in FILES:
        text = resources.files(__name__).joinpath(f"{name}.json").read_text("utf-8")
        for values in json.loads(text):
            example = Example(**values)
            found[example.operation] = example
    return found
