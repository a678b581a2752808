"""What documents tell of the HTTP door: its routes and its errors, as OpenAPI has them."""

from __future__ import annotations

import functools
from typing import Any

from control_api.app import create_app
from flight_server.errors import ErrorCode
from flight_server.testing.server import local_server

Row = tuple[str, ...]


@functools.cache
def openapi() -> dict[str, Any]:
    """The OpenAPI document as the code has it now."""
    settings: dict[str, Any] = {"housekeeping_seconds": 0, "durability": "none"}
    with local_server(**settings) as server:
        return create_app(server.services).openapi()


def routes() -> list[tuple[str, str, list[Row]]]:
    """The tags with their descriptions and routes: what each does, and what it is asked with."""
    document = openapi()
    listed: dict[str, list[Row]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            row = (f"`{method.upper()} {path}`", _first_sentence(operation), _query(operation))
            listed[operation["tags"][0]].append(row)
    return [(tag["name"], tag["description"], listed[tag["name"]]) for tag in document["tags"]]


def statuses() -> list[Row]:
    """The statuses of errors with their codes."""
    by_status: dict[int, list[str]] = {}
    for code in ErrorCode:
        by_status.setdefault(code.http, []).append(f"`{code.text}`")
    assert len(by_status) == len(openapi()["components"]["responses"]), "each is a component"
    return [(str(status), ", ".join(codes)) for status, codes in sorted(by_status.items())]


def _first_sentence(operation: dict[str, Any]) -> str:
    text: str = operation["description"].partition("\n\n")[0]
    return text.replace("\n", " ").replace("|", "\\|")


def _query(operation: dict[str, Any]) -> str:
    """The parameters behind the question mark; those that must be given are marked."""
    names = [
        f"`{one['name']}`{' (needed)' if one.get('required') else ''}"
        for one in operation.get("parameters", ())
        if one["in"] == "query"
    ]
    return ", ".join(names) or "–"
