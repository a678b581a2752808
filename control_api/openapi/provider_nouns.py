"""Schemas of what is told of providers of models."""

from __future__ import annotations

from control_api.openapi.nouns import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    STRING,
    Schema,
    maybe,
    members,
    reference,
)

PROVIDER_NOUNS: dict[str, Schema] = {
    "ProviderKey": members(
        {
            "masked": maybe(STRING, "Its last letters; null where it cannot be decrypted."),
            "set_by": STRING,
            "set_at": STRING,
        }
    ),
    "Provider": members(
        {
            "provider": STRING,
            "takes_key": BOOLEAN,
            "key": maybe(reference("ProviderKey"), "Your workspace's."),
            "from_environment": {
                **BOOLEAN,
                "description": "Whether the server has one for those who have none.",
            },
            "url": maybe(STRING, "Where its models are called instead."),
            "requests_per_minute": {
                "type": "object",
                "additionalProperties": INTEGER,
                "description": "By model, of all together under the empty name.",
            },
        }
    ),
    "ModelUsage": members(
        {
            **dict.fromkeys(("workspace", "day", "provider", "function", "model"), STRING),
            **dict.fromkeys(("calls", "errors", "input_tokens", "output_tokens"), INTEGER),
            "cost": NUMBER,
        }
    ),
}
