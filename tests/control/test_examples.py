"""The examples of the OpenAPI document work: each is sent, and what comes back has its shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow as pa
import pytest

from control_api.openapi.examples import Example, examples
from flight_server.engines.models import Called
from flight_server.model import Author, IngestMode, IngestRequest, NamespaceRef, TableRef
from flight_server.operations.providers import ModelCalls
from flight_server.worker.process import Worker
from tests.fix_computing import computing
from tests.fix_http import TwoDoors

# Whole numbers under these names differ from server to server, as texts do under any name.
COUNTED = {"commit", "version", "snapshot", "_snapshot", "_row_id", "deletion", "from", "to", "id"}
# What a call needs beside the examples before it: the namespaces of a workspace are its own.
BEFORE: dict[str, tuple[str, str, Any]] = {
    "drop_namespace": ("PATCH", "/api/v1/workspaces/sales", {"namespaces": []}),
}
# Lists that hold nothing in a fresh server, or more than the example's.
MAY_DIFFER = {"quotas"}


@pytest.fixture(scope="module", autouse=True)
def other_catalog(doors: TwoDoors) -> Iterator[None]:
    """A catalog whose tables have computed columns and indexes, and one of them embeddings."""
    with computing(doors.services) as engine:
        table = TableRef(engine.name, "films", "frames")
        rows = pa.table(
            {
                "film": ["Metropolis", "Metropolis", "Nosferatu"],
                "second": [7, 12, 3],
                "embedding": pa.array([[9, 2, 1], [1, 9, 1], [0, 9, 2]], pa.list_(pa.float32(), 3)),
            }
        )
        engine.create_namespace(NamespaceRef(engine.name, "films"), Author("test"))
        engine.ingest(table, IngestRequest(IngestMode.CREATE), rows.to_reader(), Author("test"))
        called = Called("default", "openai", "chat_completions", "gpt-4o-mini", calls=1)
        ModelCalls(doors.services.metastore).count([called])
        yield


@pytest.fixture(scope="module")
def operations(api: httpx.Client) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Method, path and description of each route by its operationId."""
    paths = api.get("/openapi.json").json()["paths"]
    return {
        operation["operationId"]: (method, path, operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def test_every_route_has_an_example(operations: dict[str, Any]) -> None:
    """A route without one: add it to control_api/openapi/examples."""
    assert set(operations) - set(examples()) == set()
    assert set(examples()) - set(operations) == set()


def test_the_document_shows_them(operations: dict[str, Any]) -> None:
    bare = []
    for name, (method, path, operation) in operations.items():
        example = examples()[name]
        bodies = operation.get("requestBody", {}).get("content", {}).values()
        if bodies and not any("example" in content for content in bodies):
            bare.append(f"{method} {path}: the body")
        if example.answer is not None and f"'example': {example.answer}" not in str(operation):
            bare.append(f"{method} {path}: the answer")
        for parameter in operation.get("parameters", ()):
            is_needed = parameter.get("required", False)
            if is_needed and not ({"example", "examples"} & set(parameter)):
                bare.append(f"{method} {path}: {parameter['name']}")
    assert bare == []


class Replay:
    """Sends examples, with what the server made in place of what the examples show."""

    def __init__(self, api: httpx.Client, operations: dict[str, Any]) -> None:
        self._api = api
        self._operations = operations
        self._real: dict[tuple[str, Any], Any] = {}

    def send(self, example: Example) -> httpx.Response:
        method, path, _ = self._operations[example.operation]
        query = {}
        for name, value in example.parameters.items():
            value = self._replaced(name, value)
            if f"{{{name}}}" in path:
                path = path.replace(f"{{{name}}}", str(value))
            else:
                query[name] = str(value).lower() if isinstance(value, bool) else value
        body = self._replaced("", example.request)
        options: dict[str, Any] = {} if body is None else {"json": body}
        if isinstance(body, str):
            options = {"content": body.encode()}
        return self._api.request(method.upper(), path, params=query, **options)

    def learn(self, name: str, shown: Any, real: Any) -> Iterator[str]:
        """What the answer has in other shape than its example; remembers what is its own."""
        if isinstance(shown, dict):
            if not isinstance(real, dict) or set(shown) != set(real):
                yield f"{name}: {shown} is shown, and there is {real}"
                return
            for key, value in shown.items():
                yield from self.learn(key, value, real[key])
        elif isinstance(shown, list):
            if not isinstance(real, list) or (shown and not real and name not in MAY_DIFFER):
                yield f"{name}: a list is shown, and there is {real}"
                return
            for one, other in zip(shown, real, strict=False):
                yield from self.learn(name, one, other)
        elif shown is not None and real is not None:
            if isinstance(shown, bool | int | float) != isinstance(real, bool | int | float):
                yield f"{name}: {shown!r} is shown, and there is {real!r}"
            if isinstance(shown, str) or name in COUNTED:
                kind = "" if isinstance(shown, str) else "number"
                self._real.setdefault((kind, shown), real)

    def _replaced(self, name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._replaced(key, inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._replaced(name, inner) for inner in value]
        if isinstance(value, str):
            return self._real.get(("", value), value)
        if isinstance(value, int) and name in COUNTED | {"row", "after"}:
            return self._real.get(("number", value), value)
        return value


# What can only be fetched once a job has been done.
OF_DONE_JOBS = {"download_result"}


def work(doors: TwoDoors) -> None:
    """Does the jobs that wait."""
    services = doors.services
    where = {"url": doors.flight.url}
    Worker(services.settings, services.metastore, services.signing_secret, where, "test", 0).run()


def test_every_example_works(
    doors: TwoDoors, api: httpx.Client, operations: dict[str, Any]
) -> None:
    replay = Replay(api, operations)
    wrong = []
    for name, example in examples().items():
        if name in OF_DONE_JOBS:
            work(doors)
        if name in BEFORE:
            method, path, body = BEFORE[name]
            assert api.request(method, path, json=body).status_code == 200
        answer = replay.send(example)
        if answer.status_code >= 300:
            wrong.append(f"{name}: {answer.status_code} {answer.text}")
        elif example.answer is not None:
            wrong += [f"{name}: {one}" for one in replay.learn("", example.answer, answer.json())]
    assert wrong == []
