"""What an action of ours is: JSON in and JSON out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from flight_server.bodies.requests import Body

Answer: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class JsonAction:
    """One action. `run` gets what the body was parsed into.

    One that `takes_bytes` gets the bytes, too, that follow the JSON and a line's end.
    """

    description: str
    body: type[Body]
    run: Callable[..., Answer]
    takes_bytes: bool = False
