"""What a request is told that came to no route, or did not fit it: what was wrong, what there is.

Routes, parameters and fields are known from the OpenAPI document, as clients know them.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError

from flight_server.bodies.requests import sentence
from flight_server.errors import (
    ErrorCode,
    InvalidRequest,
    NotFound,
    PixelflightError,
    did_you_mean,
)

JSON = "application/json"
_PARAMETER = re.compile(r"\\?{[^}]*}")

Document = Mapping[str, Any]


def nothing_there(document: Document, path: str, prefix: str) -> PixelflightError:
    """The error for a path that no route has."""
    known = {found.partition("/{")[0] for found in document["paths"]}
    near = f" Did you mean '{prefix}{path}'?" if _methods(document, prefix + path) else ""
    near = near or did_you_mean(path, sorted(known))
    return NotFound(f"There is nothing at '{path}'.{near} What there is stands at '/docs'.")


def other_methods(document: Document, method: str, path: str) -> tuple[str, PixelflightError]:
    """What a path takes, as the header Allow lists it, and the error for what it does not."""
    allowed = ", ".join(method.upper() for method in _methods(document, path))
    message = f"'{method} {path}' is not possible: there is {allowed}."
    return allowed, InvalidRequest(message)


def unreadable() -> PixelflightError:
    """The error for a body that no JSON can be read from, not even up to some place."""
    return InvalidRequest("The body is not JSON: it is not UTF-8 text, or is nested too deeply.")


def ill_fitting(
    document: Document, request: Request, error: RequestValidationError
) -> PixelflightError:
    """The error for a request whose parameters or whose body do not fit its route."""
    operation = _operation(document, request.scope["endpoint"].__name__)
    sentences = []
    for problem in error.errors():
        where, *rest = problem["loc"]
        if where != "body":
            sentences.append(_of_parameter(operation, where, {**problem, "loc": rest}))
        elif problem["type"] == "json_invalid":
            sentences.append(f"The body is not JSON: {_why_not(problem, error.body)}.")
        elif not rest and isinstance(problem["input"], bytes):
            return _other_type(request)
        elif not rest and problem["type"] == "missing":
            sentences.append(f"The body is missing: send JSON, as {JSON}.")
        elif not rest and problem["type"] == "model_attributes_type":
            sentences.append("The body is not an object of JSON.")
        else:
            names = _fields(document, operation)
            sentences.append(sentence({**problem, "loc": rest}, error.body, names, "body"))
    return InvalidRequest(" ".join(dict.fromkeys(sentences)))


def _of_parameter(operation: Document, where: str, problem: Mapping[str, Any]) -> str:
    names = [one["name"] for one in operation.get("parameters", ()) if one["in"] == where]
    if where == "header":
        return sentence(problem, {}, names, "request", "header")
    return sentence(problem, {}, names, "route", "parameter")


def _other_type(request: Request) -> PixelflightError:
    """The body came as something else, mostly because `curl -d` says so where nobody does."""
    sent = request.headers.get("content-type", "")
    what = f"Bodies of the type '{sent}' are not read here" if sent else "The body has no type"
    return InvalidRequest(
        f"{what}: send JSON, with the header 'content-type: {JSON}'.",
        code=ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    )


def _why_not(problem: Mapping[str, Any], body: Any) -> str:
    reason = problem["ctx"]["error"]
    position = problem["loc"][1]
    return str(json.JSONDecodeError(reason, body, position)) if isinstance(body, str) else reason


def _methods(document: Document, path: str) -> list[str]:
    """The methods of the most particular route of a path."""
    found = [known for known in document["paths"] if _pattern(known).fullmatch(path)]
    best = max(found, key=lambda known: len(_PARAMETER.sub("", known)), default=None)
    return sorted(document["paths"][best]) if best is not None else []


@functools.cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(_PARAMETER.sub(".+", re.escape(path)))


def _operation(document: Document, name: str) -> Document:
    """What is told of a route; nothing of one that is not told of."""
    operations = (one for methods in document["paths"].values() for one in methods.values())
    return next((one for one in operations if one["operationId"] == name), {})


def _fields(document: Document, operation: Document) -> list[str]:
    """The names of the fields that the body of a route has."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get(JSON, {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    return list(document["components"]["schemas"].get(name, schema).get("properties", ()))
