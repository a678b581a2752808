"""Schemas of what imports and uploads are answered with."""

from __future__ import annotations

from control_api.openapi.nouns import (
    BOOLEAN,
    INTEGER,
    ROW,
    STRING,
    Schema,
    array,
    maybe,
    members,
    reference,
)

_TIME = reference("Time")
_FOUND_MEMBERS: dict[str, Schema] = {
    "name": STRING,
    "type": STRING,
    "nullable": BOOLEAN,
    "metadata": {"type": "object", "additionalProperties": STRING},
}
_FOUND_COLUMN = members(_FOUND_MEMBERS)
IMPORT_NOUNS: dict[str, Schema] = {
    "Upload": members(
        {
            "upload_id": STRING,
            "name": STRING,
            "bytes": maybe(INTEGER, "How many it is to have, where that was said."),
            "sha256": maybe(STRING),
            "offset": {**INTEGER, "description": "How many bytes are there."},
            "complete": BOOLEAN,
            "created_at": _TIME,
            "expires_at": _TIME,
        }
    ),
    "Preview": members(
        {
            "format": STRING,
            "found": array(_FOUND_COLUMN, "The columns of the file, as they look."),
            "columns": array(
                members({"source": STRING, **_FOUND_MEMBERS}),
            ),
            "rows": array(ROW),
            "rows_checked": INTEGER,
            "rows_wrong": INTEGER,
            "rows_total": maybe(INTEGER),
            "bytes": INTEGER,
            "problems": array(
                members(
                    {
                        "row": maybe(INTEGER),
                        "column": maybe(STRING),
                        "reason": STRING,
                        "raw": maybe(STRING),
                    }
                )
            ),
        }
    ),
}
