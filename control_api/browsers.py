"""What browsers are told: whose pages may ask, and what none may do with an answer.

Everybody else ignores these headers.
"""

from __future__ import annotations

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flight_server.settings import Settings

# The documentation, an exception, is a page with scripts, and says so itself.
POLICY = "default-src 'none'; frame-ancestors 'none'"
HSTS_SECONDS = 180 * 24 * 3600
PREFLIGHT_SECONDS = 600
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# Headers of answers that scripts of other origins may read, beside those that they always may.
EXPOSED = (
    "content-disposition",
    "content-encoding",
    "etag",
    "idempotency-replayed",
    "link",
    "location",
    "ratelimit",
    "ratelimit-limit",
    "ratelimit-policy",
    "ratelimit-remaining",
    "ratelimit-reset",
    "retry-after",
    "www-authenticate",
    "x-cache",
    "x-next-cursor",
    "x-request-id",
    "x-version",
)


def cors_options(settings: Settings) -> dict[str, Any]:
    """What Starlette's layer for other origins is told."""
    return {
        "allow_origins": settings.cors_origins,
        "allow_credentials": settings.cors_credentials,
        "allow_methods": METHODS,
        "allow_headers": ("*",),
        "expose_headers": EXPOSED,
        "max_age": PREFLIGHT_SECONDS,
    }


class SafeHeaders:
    """A layer that puts on every answer what keeps a browser from making more of it."""

    def __init__(self, app: ASGIApp, is_tls: bool) -> None:
        self._app = app
        self._always = [
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
        ]
        if is_tls:
            age = f"max-age={HSTS_SECONDS}".encode()
            self._always.append((b"strict-transport-security", age))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or whatever else ASGI brings."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] = [*message.get("headers", ()), *self._always]
                if not any(name == b"content-security-policy" for name, _ in headers):
                    headers.append((b"content-security-policy", POLICY.encode()))
            await send(message)

        await self._app(scope, receive, send_safe)
