"""The shape of DuckDB's parse tree: every kind of node that is let through, and its fields.

This is an allow-list of syntax. A kind of node, or a field of one, that a newer DuckDB brings is
refused until it stands here, because nobody has said yet whether something can hide in it.

A field is `plain` (names, flags, constants, types), or holds another node: `expression`, `table`,
`query`, `modifier`, or one of the small records named here in lower case. A star means a list.
"""

from __future__ import annotations

PLAIN = "plain"

_EXPRESSION = {"class": PLAIN, "type": PLAIN, "alias": PLAIN, "query_location": PLAIN}
_TABLE = {"type": PLAIN, "alias": PLAIN, "sample": PLAIN, "query_location": PLAIN}
_QUERY = {"type": PLAIN, "modifiers": "modifier*", "cte_map": "ctes"}


def _plain(*fields: str) -> dict[str, str]:
    return dict.fromkeys(fields, PLAIN)


_EXPRESSIONS: dict[str, dict[str, str]] = {
    "BETWEEN": dict.fromkeys(("input", "lower", "upper"), "expression"),
    "CASE": {"case_checks": "case*", "else_expr": "expression"},
    "CAST": {"child": "expression", **_plain("cast_type", "try_cast")},
    "COLLATE": {"child": "expression", "collation": PLAIN},
    "COLUMN_REF": _plain("column_names"),
    "COMPARISON": dict.fromkeys(("left", "right"), "expression"),
    "CONJUNCTION": {"children": "expression*"},
    "CONSTANT": _plain("value"),
    "FUNCTION": {
        "children": "expression*",
        "filter": "expression",
        "order_bys": "modifier",
        **_plain("function_name", "schema", "catalog", "distinct", "is_operator", "export_state"),
    },
    "LAMBDA": dict.fromkeys(("lhs", "expr"), "expression"),
    "OPERATOR": {"children": "expression*"},
    "PARAMETER": _plain("identifier"),
    "POSITIONAL_REFERENCE": _plain("index"),
    "STAR": {
        "expr": "expression",
        "replace_list": "replacement*",
        **_plain(
            "relation_name", "exclude_list", "columns", "qualified_exclude_list", "rename_list"
        ),
    },
    "SUBQUERY": {
        "subquery": "select",
        "child": "expression",
        **_plain("subquery_type", "comparison_type"),
    },
    "WINDOW": {
        **dict.fromkeys(("children", "partitions"), "expression*"),
        **dict.fromkeys(("orders", "arg_orders"), "order*"),
        **dict.fromkeys(
            ("start_expr", "end_expr", "offset_expr", "default_expr", "filter_expr"), "expression"
        ),
        **_plain("function_name", "schema", "catalog", "start", "end", "ignore_nulls"),
        **_plain("exclude_clause", "distinct"),
    },
}

_TABLES: dict[str, dict[str, str]] = {
    "BASE_TABLE": _plain(
        "schema_name", "table_name", "column_name_alias", "catalog_name", "at_clause"
    ),
    "EMPTY": {},
    "EXPRESSION_LIST": {"values": "row*", **_plain("expected_names", "expected_types")},
    "JOIN": {
        **dict.fromkeys(("left", "right"), "table"),
        "condition": "expression",
        "duplicate_eliminated_columns": "expression*",
        **_plain("join_type", "ref_type", "using_columns", "delim_flipped"),
    },
    "PIVOT": {
        "source": "table",
        "aggregates": "expression*",
        "pivots": "pivot*",
        **_plain("unpivot_names", "groups", "column_name_alias", "include_nulls"),
    },
    "SHOW_REF": {
        "query": "query",
        **_plain("table_name", "show_type", "catalog_name", "schema_name"),
    },
    "SUBQUERY": {"subquery": "select", "column_name_alias": PLAIN},
    "TABLE_FUNCTION": {"function": "expression", **_plain("column_name_alias", "with_ordinality")},
}

_QUERIES: dict[str, dict[str, str]] = {
    "RECURSIVE_CTE_NODE": {
        **dict.fromkeys(("left", "right"), "query"),
        "key_targets": "expression*",
        **_plain("cte_name", "union_all", "aliases"),
    },
    "SELECT_NODE": {
        "select_list": "expression*",
        "from_table": "table",
        "group_expressions": "expression*",
        **dict.fromkeys(("where_clause", "having", "qualify"), "expression"),
        **_plain("group_sets", "aggregate_handling", "sample"),
    },
    "SET_OPERATION_NODE": {
        **dict.fromkeys(("left", "right"), "query"),
        **_plain("setop_type", "setop_all"),
    },
}

_MODIFIERS: dict[str, dict[str, str]] = {
    "DISTINCT_MODIFIER": {"type": PLAIN, "distinct_on_targets": "expression*"},
    "LIMIT_MODIFIER": {"type": PLAIN, "limit": "expression", "offset": "expression"},
    "LIMIT_PERCENT_MODIFIER": {"type": PLAIN, "limit": "expression", "offset": "expression"},
    "ORDER_MODIFIER": {"type": PLAIN, "orders": "order*"},
}

_RECORDS: dict[str, dict[str, str]] = {
    "case": {"when_expr": "expression", "then_expr": "expression"},
    "cte": {
        "query": "select",
        "key_targets": "expression*",
        **_plain("aliases", "materialized"),
    },
    "ctes": {"map": "named_cte*"},
    "entry": {"star_expr": "expression", **_plain("values", "alias")},
    "named_cte": {"key": PLAIN, "value": "cte"},
    "order": {"expression": "expression", **_plain("type", "null_order")},
    "pivot": {
        "pivot_expressions": "expression*",
        "entries": "entry*",
        **_plain("unpivot_names", "pivot_enum"),
    },
    "replacement": {"key": PLAIN, "value": "expression"},
    "select": {"node": "query", "named_param_map": PLAIN},
}

# Of a node that is found as `expression`, `table`, `query` or `modifier`, this field says which.
DISCRIMINATORS = {"expression": "class", "table": "type", "query": "type", "modifier": "type"}

SHAPES: dict[str, dict[str, str]] = {
    **{f"expression {name}": _EXPRESSION | fields for name, fields in _EXPRESSIONS.items()},
    **{f"table {name}": _TABLE | fields for name, fields in _TABLES.items()},
    **{f"query {name}": _QUERY | fields for name, fields in _QUERIES.items()},
    **{f"modifier {name}": fields for name, fields in _MODIFIERS.items()},
    **_RECORDS,
}

# The operators that are no functions. COMPARISON, CONJUNCTION and WINDOW need no such list: their
# types change how values are compared or numbered and nothing else.
OPERATORS = frozenset(
    {
        "ARRAY_CONSTRUCTOR",
        "ARRAY_EXTRACT",
        "ARRAY_SLICE",
        "COMPARE_IN",
        "COMPARE_NOT_IN",
        "GROUPING_FUNCTION",
        "OPERATOR_COALESCE",
        "OPERATOR_IS_NOT_NULL",
        "OPERATOR_IS_NULL",
        "OPERATOR_NOT",
        "OPERATOR_NULLIF",
        "OPERATOR_TRY",
        "OPERATOR_UNPACK",
        "STRUCT_EXTRACT",
    }
)
