"""What routes have in common: the errors that they may answer with, and the headers they take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from control_api.openapi.errors_of import WRITES, errors_of
from control_api.openapi.examples import REQUEST_ID
from flight_server.errors import ErrorCode

_MEANINGS = {
    ErrorCode.UNSUPPORTED_MEDIA_TYPE.http: "The body's Content-Type or Content-Encoding is not "
    "understood.",
    ErrorCode.CONFLICT.http: "Something of this name exists, another commit came first, or the "
    "Idempotency-Key is in use or was used for another request.",
}
# Parameters that are the same wherever they are.
_PARAMETERS = {
    "upload_id": "The upload's name, as it was given when it began.",
    "sha256": "The SHA-256 of the part, which is then checked.",
    "job_id": "The job's id.",
    "schedule_id": "The schedule's id.",
    "job_type": "Only jobs of this type.",
    "status": "Only jobs that stand so.",
    "action": "What was done, such as create_user.",
    "catalog": "Of this catalog.",
    "comment": "What the new table is for.",
    "delivery_id": "The delivery's id.",
    "id": "Its id.",
    "key_id": "The key's id, which is a part of the key.",
    "limit": "How many at most; all of them without it.",
    "name": "Its name.",
    "namespace": "`[catalog:]namespace`, as in a/b.",
    "outcome": "How it ended.",
    "request_id": "What one request did.",
    "table": "`[catalog:][namespace.]name`.",
    "column": "The name of the column.",
    "tag": "The name of the version.",
    "index": "The name of the index.",
    "provider": "The provider's name, as openai.",
    "webhook_id": "The webhook's id.",
    "workspace": "A workspace; your own without it.",
}
_EXAMPLES = {
    ErrorCode.INVALID_REQUEST: "The body has no 'namespace'.",
    ErrorCode.UNAUTHENTICATED: "No credential was shown.",
    ErrorCode.FORBIDDEN: "You may not create tables in 'sales'.",
    ErrorCode.NOT_FOUND: "There is no table 'sales.dialy'. Did you mean 'sales.daily'?",
    ErrorCode.CONFLICT: "Another commit changed 'sales.daily'. Nothing was written; try again.",
    ErrorCode.TOO_LARGE: "The body of JSON is larger than 33554432 bytes. Send several smaller "
    "ones, or rows as an Arrow stream.",
    ErrorCode.LIMIT_EXCEEDED: "100 requests a minute are allowed: wait and try again.",
    ErrorCode.CANCELLED: "The client went away.",
    ErrorCode.INTERNAL: f"internal error (id={REQUEST_ID})",
    ErrorCode.UNSUPPORTED: "Tables of the catalog 'pixeltable' do not support ingest.",
    ErrorCode.UNAVAILABLE: "The server is at its limit: try again in a moment.",
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: "The body's Content-Encoding 'br' is not understood: send it "
    "as gzip or zstd, or as it is.",
    ErrorCode.TIMED_OUT: "The deadline passed before the work was done.",
}


def errors(*codes: ErrorCode) -> dict[int | str, dict[str, Any]]:
    """What a route says in `responses` of errors that not every route may answer with."""
    return {code.http: {"$ref": f"#/components/responses/{_name(code.http)}"} for code in codes}


def error_references(method: str, operation: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The errors that a route may answer with, by what can be seen of it."""
    found = errors(*errors_of(method, operation))
    return {str(status): reference for status, reference in found.items()}


def meanings_of(parameters: Iterable[dict[str, Any]]) -> None:
    """Says of parameters what they are where their routes do not."""
    for one in parameters:
        if not one.get("description"):
            one["description"] = _PARAMETERS.get(one["name"], "")


def error_components() -> dict[str, Any]:
    """Each status that errors have, with its meanings, as `components.responses` has them."""
    return {_name(status): _response(status) for status in _statuses()}


def error_schema() -> dict[str, Any]:
    """The one shape of errors."""
    fields: dict[str, Any] = {
        "code": {
            "type": "string",
            "description": "For programs. There may be more of them in later versions.",
            "examples": [code.text for code in ErrorCode],
        },
        "message": {"type": "string", "description": "A sentence for people."},
        "retryable": {
            "type": "boolean",
            "description": "Whether the same request, sent again unchanged, may succeed.",
        },
        "request_id": {"type": "string"},
        "details": {"type": "object", "description": "Values for programs."},
    }
    error = {"type": "object", "properties": fields, "required": list(fields)}
    return {
        "type": "object",
        "description": "What every protocol tells of an error.",
        "properties": {"error": error},
        "required": ["error"],
    }


def header_parameters(method: str, takes_timeout: bool, takes_key: bool) -> list[dict[str, Any]]:
    """The headers that a route under the prefix takes."""
    found = [
        _header(
            "x-request-id",
            "Names the request in answers, logs, traces and the commit log; made where missing.",
            {"type": "string", "pattern": r"^[A-Za-z0-9._:/+=@-]{1,128}$"},
            REQUEST_ID,
        ),
    ]
    if takes_timeout:
        timeout = _header(
            "x-timeout-seconds",
            "How long the request may take; the server has a limit of its own.",
            {"type": "number", "exclusiveMinimum": 0},
            30,
        )
        found.append(timeout)
    if method in WRITES and takes_key:
        key = _header(
            "idempotency-key",
            "Sent again with the same key, a write is done once, and answered as it was before.",
            {"type": "string", "pattern": r"^[!-~]([ -~]{0,253}[!-~])?$"},
            "8e03978e-40d5-43e8-bc93-6894a57f9324",
        )
        found.append(key)
    return found


def _statuses() -> list[int]:
    return sorted({code.http for code in ErrorCode})


def _response(status: int) -> dict[str, Any]:
    codes = [code for code in ErrorCode if code.http == status]
    listed = ", ".join(f"`{code.text}`" for code in codes)
    meaning = _MEANINGS.get(status) or codes[0].meaning
    found: dict[str, Any] = {
        "description": f"{meaning} {listed}".strip(),
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "example": _example(codes),
            }
        },
        "headers": {"x-request-id": {"schema": {"type": "string"}}},
    }
    if status in (ErrorCode.LIMIT_EXCEEDED.http, ErrorCode.UNAVAILABLE.http):
        seconds = {"schema": {"type": "integer"}, "description": "Seconds to wait."}
        found["headers"]["retry-after"] = seconds
    return found


def _example(codes: Sequence[ErrorCode]) -> dict[str, Any]:
    code = next((code for code in codes if code in _EXAMPLES), codes[0])
    message = _EXAMPLES.get(code, code.meaning)
    return {
        "error": {
            "code": code.text,
            "message": message,
            "retryable": code.retryable,
            "request_id": REQUEST_ID,
            "details": {},
        }
    }


def _header(name: str, description: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": schema,
        "example": example,
    }


def _name(status: int) -> str:
    """What a status is called among the components."""
    names = {ErrorCode.CANCELLED.http: "ClientClosedRequest"}
    if status in names:
        return names[status]
    return HTTPStatus(status).phrase.title().replace(" ", "")
