"""SQL: one statement of a client, parsed whole, checked, and rewritten to what may be seen.

Knows DuckDB's dialect and the nouns of the model; knows no engine's tables, no users and no
protocol. Who may see what comes in as `Source`; running the SQL is an engine's work.
"""

from flight_server.query.admission import Admission
from flight_server.query.aggregates import aggregate_sql
from flight_server.query.expressions import (
    check_expression,
    check_literal,
    check_order_by,
    check_predicate,
    columns_named,
)
from flight_server.query.keysets import behind, total_order
from flight_server.query.kinds import parse_any
from flight_server.query.literals import with_values
from flight_server.query.merges import merge_source, rewrite_merge
from flight_server.query.parameter_hints import parameter_hints
from flight_server.query.parameter_rows import over_rows
from flight_server.query.row_by_row import is_row_by_row, is_volatile
from flight_server.query.row_filters import (
    WORDS,
    Asker,
    bound_filter,
    check_row_filter,
    fits,
    mentions_asker,
)
from flight_server.query.rules import check_rule
from flight_server.query.scans import ScanShape, simple_scan
from flight_server.query.search_calls import SearchCall
from flight_server.query.statement import Statement, parse, rewrite
from flight_server.query.tables import Compared, Conjunct, Source, TableUse
from flight_server.query.value_lists import with_defaults, with_set_defaults
from flight_server.query.widths import width_of
from flight_server.query.writes import (
    AlterTable,
    Column,
    Control,
    CreateNamespace,
    CreateTable,
    CreateView,
    Delete,
    DropNamespace,
    DropTable,
    DropView,
    Insert,
    Merge,
    MergeClause,
    RenameTable,
    RenameView,
    Update,
    Use,
    Write,
    parameters_of,
    uses_of,
)

__all__ = [
    "WORDS",
    "Admission",
    "AlterTable",
    "Asker",
    "Column",
    "Compared",
    "Conjunct",
    "Control",
    "CreateNamespace",
    "CreateTable",
    "CreateView",
    "Delete",
    "DropNamespace",
    "DropTable",
    "DropView",
    "Insert",
    "Merge",
    "MergeClause",
    "RenameTable",
    "RenameView",
    "ScanShape",
    "SearchCall",
    "Source",
    "Statement",
    "TableUse",
    "Update",
    "Use",
    "Write",
    "aggregate_sql",
    "behind",
    "bound_filter",
    "check_expression",
    "check_literal",
    "check_order_by",
    "check_predicate",
    "check_row_filter",
    "check_rule",
    "columns_named",
    "fits",
    "is_row_by_row",
    "is_volatile",
    "mentions_asker",
    "merge_source",
    "over_rows",
    "parameter_hints",
    "parameters_of",
    "parse",
    "parse_any",
    "rewrite",
    "rewrite_merge",
    "simple_scan",
    "total_order",
    "uses_of",
    "width_of",
    "with_defaults",
    "with_set_defaults",
    "with_values",
]
