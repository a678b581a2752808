"""Tokens: a login, its going on, its end. None of these needs a credential beside its own."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request, Response

from control_api.dependencies import Peer, Services
from flight_server import operations
from flight_server.bodies.identity import RefreshToken, RevokeToken, TakeToken, tokens_told
from flight_server.bodies.requests import Body, loaded, parsed
from flight_server.errors import ErrorCode, LimitExceeded

router = APIRouter(prefix="/auth/token", tags=["auth"])

FORM = "application/x-www-form-urlencoded"
# Whoever has shown nothing yet is not listened to for long.
BODY_BYTES_MAX = 64 * 2**10


async def _given(request: Request) -> tuple[str, dict[str, Any]]:
    """The fields of a small body, JSON or a form. InvalidRequest; LimitExceeded (too_large)."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise LimitExceeded(
                f"The body is larger than {BODY_BYTES_MAX} bytes.", code=ErrorCode.TOO_LARGE
            )
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM:
        return "form", dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return "body", loaded(body, "body")


Given = Annotated[tuple[str, dict[str, Any]], Depends(_given)]


def _described(kind: type[Body]) -> dict[str, Any]:
    """What OpenAPI is told of a body that is read here and not by FastAPI."""
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    content = {name: {"schema": schema} for name in ("application/json", FORM)}
    return {"requestBody": {"required": True, "content": content}}


def _unstored(response: Response) -> None:
    """Tells every cache on the way to keep nothing, as OAuth 2 asks."""
    response.headers["cache-control"] = "no-store"


@router.post("", openapi_extra=_described(TakeToken))
def take_token(services: Services, peer: Peer, given: Given, response: Response) -> dict[str, Any]:
    """Logs in by a user's password, an API key or a refresh token; JSON or a form of OAuth 2."""
    body = parsed(TakeToken, given[1], given[0])
    _unstored(response)
    issued = operations.take_token(
        services,
        peer,
        grant=body.grant_type,
        username=body.username,
        password=_text(body.password),
        api_key=_text(body.api_key),
        refresh_token=_text(body.refresh_token),
    )
    return tokens_told(issued)


@router.post("/refresh", openapi_extra=_described(RefreshToken))
def refresh_token(services: Services, given: Given, response: Response) -> dict[str, Any]:
    """New tokens for a refresh token, which is good for this once."""
    body = parsed(RefreshToken, given[1], given[0])
    _unstored(response)
    text = body.refresh_token.get_secret_value()
    return tokens_told(operations.refresh_login(services, text))


@router.post(
    "/revoke", openapi_extra=_described(RevokeToken), status_code=204, response_class=Response
)
def revoke_token(services: Services, given: Given) -> None:
    """Ends an access token, or with a refresh token the whole login."""
    body = parsed(RevokeToken, given[1], given[0])
    operations.revoke_token(services, body.token.get_secret_value())


def _text(secret: Any) -> str | None:
    return None if secret is None else str(secret.get_secret_value())
