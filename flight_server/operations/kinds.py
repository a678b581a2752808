"""What clients call the kinds of statements."""

from __future__ import annotations

from flight_server.query import Control, Statement, Write


def kind_of(statement: Statement | Write) -> str:
    """What clients call the kind: `select`, `insert`, `create_table`, `begin` and so on."""
    match statement:
        case Statement():
            return statement.kind
        case Control():
            return statement.verb
    return _KINDS[type(statement).__name__]


_KINDS = {
    "Insert": "insert",
    "Update": "update",
    "Delete": "delete",
    "Merge": "merge",
    "CreateTable": "create_table",
    "DropTable": "drop_table",
    "AlterTable": "alter_table",
    "RenameTable": "alter_table",
    "CreateView": "create_view",
    "DropView": "drop_view",
    "RenameView": "alter_view",
    "CreateNamespace": "create_schema",
    "DropNamespace": "drop_schema",
    "Use": "use",
}
