"""How a delivery is written and signed: as Standard Webhooks has it, and as it was before.

The body is an object whose last member is `signature`: `sha256=` and, in hex, the HMAC of the body
as it would be without this member, by the text of the secret. The headers `webhook-id`,
`webhook-timestamp` and `webhook-signature` are those of https://www.standardwebhooks.com; during
the overlap of a rotation both secrets sign there.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from flight_server.errors import InvalidRequest

PREFIX = "whsec_"
SECRET_BYTES, SECRET_BYTES_MIN, SECRET_BYTES_MAX = 32, 8, 128


def new_secret() -> str:
    """A secret as the specification writes it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def checked_secret(text: str) -> str:
    """A secret that somebody brings along. InvalidRequest, which does not quote it."""
    size = len(_key(text))
    if not SECRET_BYTES_MIN <= size <= SECRET_BYTES_MAX:
        raise InvalidRequest(
            f"The 'secret' has {size} bytes: give {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX}, or "
            "leave it out and one is made."
        )
    return text


def written(
    webhook_id: str, event: str, at: str, data: Mapping[str, Any], keys: Sequence[str]
) -> str:
    """The body of a delivery, the same at each attempt."""
    content = {"webhook_id": webhook_id, "event": event, "timestamp": at, "data": data}
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    if not keys:
        return body
    digest = hmac.new(keys[0].encode(), body.encode(), hashlib.sha256).hexdigest()
    return f'{body[:-1]},"signature":"sha256={digest}"}}'


def signed(id: str, body: str, keys: Sequence[str], now: dt.datetime) -> dict[str, str]:
    """The headers of an attempt; without a key there is no signature."""
    timestamp = str(int(now.timestamp()))
    headers = {"webhook-id": id, "webhook-timestamp": timestamp}
    if keys:
        text = f"{id}.{timestamp}.{body}".encode()
        made = (hmac.new(_key(key), text, hashlib.sha256).digest() for key in keys)
        headers["webhook-signature"] = " ".join(
            f"v1,{base64.b64encode(each).decode()}" for each in made
        )
    return headers


def _key(text: str) -> bytes:
    """The bytes that a secret stands for: base64 behind the prefix, and else its own."""
    if not text.startswith(PREFIX):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise InvalidRequest(f"A 'secret' that begins with {PREFIX} goes on in base64.") from None
