"""Schemas of functions and computed columns."""

from __future__ import annotations

from control_api.openapi.nouns import (
    BOOLEAN,
    INTEGER,
    STRING,
    Schema,
    array,
    maybe,
    members,
    one_of,
)

_TYPE: dict[str, Schema] = {
    "type": maybe(STRING, "By the engine's name, null where only a call tells it."),
    "arrow": maybe(STRING),
    "nullable": BOOLEAN,
}
_PARAMETER = members(
    {
        "name": STRING,
        "passed": one_of(
            "positional_only",
            "positional_or_keyword",
            "keyword_only",
            "var_positional",
            "var_keyword",
        ),
        "required": BOOLEAN,
        "default": {"description": "Null as well where there is none."},
        **_TYPE,
    }
)
_SIGNATURE = members({"parameters": array(_PARAMETER), "returns": members(_TYPE)})
_COMPUTED: dict[str, Schema] = {
    "commit": INTEGER,
    "rows": INTEGER,
    "errors": {**INTEGER, "description": "Cells that hold an error instead."},
}
COMPUTED_NOUNS: dict[str, Schema] = {
    "Computed": members(_COMPUTED),
    "Recomputed": members(
        {
            **_COMPUTED,
            "rows_total": maybe(INTEGER, "How many there are in all."),
            "after": maybe(INTEGER, "What the next request says, null where all are done."),
        }
    ),
    "ComputedColumn": members(
        {
            "name": STRING,
            "expression": STRING,
            "type": STRING,
            "arrow": STRING,
            "stored": BOOLEAN,
            "comment": STRING,
            "errors": maybe(INTEGER, "Cells that hold one, null where that is not yours to know."),
        }
    ),
    "CellError": members({"key": {"type": "object"}, "errortype": STRING, "errormsg": STRING}),
    "Function": members(
        {
            "name": STRING,
            "kind": one_of("udf", "aggregate", "expression"),
            "provider": maybe(STRING, "Whose models it calls."),
            "withheld": maybe(STRING, "What keeps it from being called."),
            "is_method": BOOLEAN,
            "is_property": BOOLEAN,
            "is_deterministic": BOOLEAN,
            "description": maybe(STRING),
            "signatures": array(_SIGNATURE),
        }
    ),
}
