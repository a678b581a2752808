"""Schemas of what is told of indexes."""

from __future__ import annotations

from control_api.openapi.nouns import OBJECT, STRING, Schema, maybe, members, one_of
from flight_server.model import IndexKind, Metric, Precision

INDEX_NOUNS: dict[str, Schema] = {
    "Index": members(
        {
            "name": STRING,
            "column": STRING,
            "kind": one_of(*IndexKind),
            "metric": maybe(one_of(*Metric)),
            "precision": maybe(one_of(*Precision)),
            "embedders": {
                "type": "object",
                "additionalProperties": members({"function": STRING, "arguments": OBJECT}),
            },
        }
    ),
}
