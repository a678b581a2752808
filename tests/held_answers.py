"""Every answer that a test gets over HTTP is held to what the OpenAPI document says of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, TypeAlias

import jsonschema
from fastapi.routing import iter_route_contexts

JSON = "application/json"
# Of each route so many answers are looked into, and none that is larger.
ANSWERS_MAX = 50
BYTES_MAX = 2**20
# No route gives it: the method has none.
OF_NO_ROUTE = 405
# Nobody gets it: the client has gone.
TO_NOBODY = 499
UNTOLD = frozenset({OF_NO_ROUTE, TO_NOBODY})
# What tests of chance meet today, they may not meet tomorrow.
BY_CHANCE = ("test_schemathesis.py", "test_rows_properties.py")
# An operation and a status of it.
Pairs: TypeAlias = set[tuple[str, int]]


class Held:
    """The application, and what it was seen to answer."""

    def __init__(self, app: Any) -> None:
        self._app = app
        # As it is before a test adds routes of its own.
        self._document = app.openapi()
        self._routes = {
            one["operationId"]: one
            for methods in self._document["paths"].values()
            for one in methods.values()
        }
        self._given: set[tuple[str, int, str]] = set()
        self.met: Pairs = set()
        self._bodies: dict[tuple[str, int], dict[bytes, None]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request, or whatever else ASGI brings."""
        # What the layers within note of the request is seen here as well.
        state = scope.setdefault("state", {})
        answer = _Answer(send)
        await self._app(scope, receive, answer.send)
        if answer.status and "served" in state:
            self._note(self._operation(scope, state["served"].operation), answer)

    @property
    def told(self) -> Pairs:
        """What the document tells of."""
        return {
            (name, int(status)) for name, one in self._routes.items() for status in one["responses"]
        }

    def untold(self) -> list[str]:
        """What was answered, and is not in the document."""
        # Routes that a test has added are in no document.
        given = [one for one in sorted(self._given) if one[0] in self._routes]
        found = list(_undocumented(self._document, self._routes, given))
        return found or list(self._misshapen())

    def _misshapen(self) -> Iterator[str]:
        """Answers that have not the shape that is told of them."""
        schemas = self._document["components"]["schemas"]
        for (name, status), bodies in self._bodies.items():
            if name not in self._routes or status in UNTOLD:
                continue
            response = _followed(self._document, self._routes[name]["responses"][str(status)])
            schema = {**response["content"][JSON]["schema"], "components": {"schemas": schemas}}
            # What is told beside an error is not told of in its schema.
            checker = jsonschema.Draft202012Validator(closed(schema) if status < 400 else schema)
            for body in bodies:
                for error in checker.iter_errors(json.loads(body)):
                    at = "/".join(map(str, error.absolute_path))
                    yield f"{name} {status} at '{at}': {error.message[:300]}"

    def _operation(self, scope: Any, operation: str) -> str:
        """The route's, even where a layer around the routes refused the request."""
        if operation in self._routes:
            return operation
        for route in iter_route_contexts(self._app.routes):
            if scope["method"] in (route.methods or ()) and route.path_regex.match(scope["path"]):
                return getattr(route.endpoint, "__name__", operation)
        return operation

    def _note(self, operation: str, answer: _Answer) -> None:
        if not any(name in os.environ.get("PYTEST_CURRENT_TEST", "") for name in BY_CHANCE):
            self.met.add((operation, answer.status))
        self._given.add((operation, answer.status, answer.media_type))
        if answer.media_type == JSON and answer.body is not None:
            bodies = self._bodies.setdefault((operation, answer.status), {})
            if len(bodies) < ANSWERS_MAX:
                bodies[answer.body] = None


class _Answer:
    """What of an answer goes by. `body` is None where it is not plain, not whole, or too large."""

    def __init__(self, send: Any) -> None:
        self._send = send
        self._parts: list[bytes] = []
        self._size = 0
        self._is_whole = False
        self._is_plain = True
        self.status = 0
        self.media_type = ""

    @property
    def body(self) -> bytes | None:
        kept = self._is_whole and self._is_plain and 0 < self._size <= BYTES_MAX
        return b"".join(self._parts) if kept else None

    async def send(self, message: Any) -> None:
        """Passes a message on."""
        if message["type"] == "http.response.start":
            headers = {name.lower(): value for name, value in message["headers"]}
            self.status = message["status"]
            self.media_type = headers.get(b"content-type", b"").partition(b";")[0].decode()
            self._is_plain = b"content-encoding" not in headers
        elif message["type"] == "http.response.body":
            part = bytes(message.get("body", b""))
            self._size += len(part)
            if self._size <= BYTES_MAX:
                self._parts.append(part)
            self._is_whole = not message.get("more_body", False)
        await self._send(message)


def closed(schema: Any) -> Any:
    """The schema with every object that lists its members having no other."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(one) for name, one in schema.items()}
    if isinstance(found.get("properties"), dict) and found.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


def _undocumented(
    document: dict[str, Any], routes: dict[str, Any], given: list[tuple[str, int, str]]
) -> Iterator[str]:
    """Statuses, and forms of them, that are not told of."""
    for name, status, media_type in given:
        told = routes[name]["responses"].get(str(status))
        if told is None:
            if status not in UNTOLD:
                yield f"{name} answers {status}"
        elif media_type:
            content = _followed(document, told).get("content", {})
            if media_type not in content:
                yield f"{name} answers {status} as {media_type}, which is not in {list(content)}"


def _followed(document: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    """The response itself, or the component that it refers to."""
    name = response.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["responses"][name] if name else response
    return found
