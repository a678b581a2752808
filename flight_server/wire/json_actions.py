"""What an action of ours is: JSON in and JSON out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from flight_server.bodies.requests import Body
from flight_server.operations import Call, Services

Answer: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class JsonAction:
    """One action. `run` gets what the body was parsed into."""

    description: str
    body: type[Body]
    run: Callable[[Services, Call, Any], Answer]
