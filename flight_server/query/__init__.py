"""SQL: one statement of a client, parsed whole, checked, and rewritten to what may be seen.

Knows DuckDB's dialect and the nouns of the model; knows no engine's tables, no users and no
protocol. Who may see what comes in as `Source`; running the SQL is an engine's work.
"""

from flight_server.query.admission import Admission
from flight_server.query.expressions import (
    check_expression,
    check_literal,
    check_order_by,
    check_predicate,
)
from flight_server.query.statement import Statement, parse, rewrite
from flight_server.query.tables import Source, TableUse

__all__ = [
    "Admission",
    "Source",
    "Statement",
    "TableUse",
    "check_expression",
    "check_literal",
    "check_order_by",
    "check_predicate",
    "parse",
    "rewrite",
]
