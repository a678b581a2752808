"""Everything that Flight SQL has: done or refused, what that means here, and which tests show it.

The documents print it; a test holds it against the messages and actions of the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

DONE, REFUSED = "done", "refused"
INFO, SCHEMA, GET, PUT = "GetFlightInfo", "GetSchema", "DoGet", "DoPut"


@dataclass(frozen=True)
class Row:
    """One command or action. `tests` are `file::test` in this folder.

    `messages` are those that belong to it, its own name first where it is a message itself.
    """

    name: str
    messages: tuple[str, ...]
    state: str
    says: str
    tests: tuple[str, ...]
    calls: tuple[str, ...] = ()


def _metadata(name: str, says: str, *tests: str) -> Row:
    travels = "test_metadata.py::test_info_schema_and_stream_agree"
    return Row(name, (name,), DONE, says, (travels, *tests), (INFO, SCHEMA, GET))


_TOLD = "test_metadata.py::test_what_they_tell"
_MISSING_KEYS = "test_metadata.py::test_keys_of_what_is_missing"

COMMANDS: tuple[Row, ...] = (
    Row(
        "CommandStatementQuery",
        ("CommandStatementQuery", "TicketStatementQuery"),
        DONE,
        "a read is planned, not run; a statement that writes runs once, within `GetFlightInfo`; "
        "tickets are our own signed ones, so a `TicketStatementQuery` is refused",
        (
            "test_queries.py::test_a_query_is_planned_and_fetched",
            "test_queries.py::test_nothing_is_read_before_doget",
            "test_queries.py::test_a_write_runs_once_within_the_info",
            "test_queries.py::test_the_schema_of_a_write_runs_nothing",
            "test_queries.py::test_a_large_scan_has_several_endpoints",
            "test_queries.py::test_the_order_of_endpoints_counts",
            "test_queries.py::test_what_a_query_orders_is_one_endpoint",
            "test_transactions.py::test_reads_see_their_own_writes_and_others_do_not",
        ),
        (INFO, SCHEMA),
    ),
    Row(
        "CommandPreparedStatementQuery",
        ("CommandPreparedStatementQuery", "DoPutPreparedStatementResult"),
        DONE,
        "`DoPut` binds rows of parameters, by value; each row gives its rows, in order",
        (
            "test_prepared.py::test_parameters_by_position_and_by_name",
            "test_prepared.py::test_a_row_of_answers_for_each_row_of_parameters",
            "test_prepared.py::test_values_are_bound_as_they_are",
            "test_prepared.py::test_it_runs_again_and_sees_what_is_new",
        ),
        (INFO, SCHEMA, PUT),
    ),
    Row(
        "CommandStatementUpdate",
        ("CommandStatementUpdate", "DoPutUpdateResult"),
        DONE,
        "runs it once and answers the number of rows, -1 where it is not about rows",
        (
            "test_updates.py::test_inserts",
            "test_updates.py::test_updates",
            "test_updates.py::test_deletes",
            "test_updates.py::test_merges",
            "test_updates.py::test_tables_and_schemas",
        ),
        (PUT,),
    ),
    Row(
        "CommandPreparedStatementUpdate",
        ("CommandPreparedStatementUpdate",),
        DONE,
        "runs it for each row of parameters that comes with it: one commit, all or nothing",
        (
            "test_prepared.py::test_updates_row_by_row",
            "test_prepared.py::test_an_update_takes_the_parameters_that_come_with_it",
            "test_prepared.py::test_a_batch_of_updates_is_one_commit",
            "test_prepared.py::test_a_batch_of_updates_is_all_or_nothing",
        ),
        (PUT,),
    ),
    Row(
        "CommandStatementIngest",
        ("CommandStatementIngest", "TableDefinitionOptions"),
        DONE,
        "every option; ours beside them, see above",
        (
            "test_ingest.py::test_how_a_table_is_made_or_filled",
            "test_ingest.py::test_what_is_to_happen_must_be_said",
            "test_ingest.py::test_catalog_and_schema",
            "test_ingest.py::test_within_a_named_transaction",
            "test_ingest.py::test_within_the_sessions_transaction",
            "test_ingest.py::test_a_token_counts_once",
            "test_ingest.py::test_upsert_by_key",
            "test_ingest.py::test_options_of_the_session",
            "test_ingest.py::test_a_corrupt_batch_writes_nothing",
        ),
        (PUT,),
    ),
    Row(
        "CommandStatementSubstraitPlan",
        ("CommandStatementSubstraitPlan", "SubstraitPlan"),
        REFUSED,
        "plans of Substrait are not read: send SQL",
        ("test_control.py::test_substrait_plans_are_refused",),
        (INFO, SCHEMA, PUT),
    ),
    _metadata(
        "CommandGetCatalogs", "the mounted engines, and `temp` in a session that has it", _TOLD
    ),
    _metadata("CommandGetDbSchemas", "namespaces, by pattern", _TOLD),
    _metadata(
        "CommandGetTables",
        "tables that one may know of, by patterns and types, with schemas on request",
        _TOLD,
        "test_metadata.py::test_schemas_of_tables",
        "test_metadata.py::test_temporary_tables_are_listed_in_their_session",
        "test_limited.py::test_a_hidden_table_is_in_no_listing",
    ),
    _metadata("CommandGetTableTypes", "`TABLE`, `VIEW` and `LOCAL TEMPORARY`", _TOLD),
    _metadata(
        "CommandGetPrimaryKeys",
        "the columns that upserts match by, which nothing else enforces",
        _TOLD,
        _MISSING_KEYS,
    ),
    _metadata("CommandGetExportedKeys", "there are no foreign keys: no rows", _TOLD, _MISSING_KEYS),
    _metadata("CommandGetImportedKeys", "there are no foreign keys: no rows", _TOLD, _MISSING_KEYS),
    _metadata(
        "CommandGetCrossReference", "there are no foreign keys: no rows", _TOLD, _MISSING_KEYS
    ),
    _metadata(
        "CommandGetSqlInfo",
        "every code below",
        "test_metadata.py::test_the_union_of_sql_info",
        "test_metadata.py::test_chosen_codes_of_sql_info",
    ),
    _metadata(
        "CommandGetXdbcTypeInfo",
        "the types that columns of tables can have",
        "test_metadata.py::test_chosen_types",
    ),
)

ACTIONS: tuple[Row, ...] = (
    Row(
        "CreatePreparedStatement",
        ("ActionCreatePreparedStatementRequest", "ActionCreatePreparedStatementResult"),
        DONE,
        "tells the schema of the answer, with nulls for parameters, and names the parameters, "
        "whose types DuckDB learns when they are bound",
        (
            "test_prepared.py::test_its_schemas_are_told",
            "test_prepared.py::test_mistakes_are_found_while_preparing",
            "test_prepared.py::test_an_idle_one_expires",
            "test_prepared.py::test_it_is_its_makers",
        ),
    ),
    Row(
        "ClosePreparedStatement",
        ("ActionClosePreparedStatementRequest",),
        DONE,
        "a second time changes nothing",
        ("test_prepared.py::test_a_closed_one_is_gone",),
    ),
    Row(
        "CreatePreparedSubstraitPlan",
        ("ActionCreatePreparedSubstraitPlanRequest",),
        REFUSED,
        "plans of Substrait are not read: send SQL",
        ("test_control.py::test_refused_actions",),
    ),
    Row(
        "BeginTransaction",
        ("ActionBeginTransactionRequest", "ActionBeginTransactionResult"),
        DONE,
        "it sees one state, that of its first statement",
        (
            "test_transactions.py::test_it_sees_one_state_from_its_beginning",
            "test_transactions.py::test_an_idle_one_is_rolled_back",
            "test_transactions.py::test_a_lost_clients_is_rolled_back",
            "test_transactions.py::test_two_statements_at_once_take_turns",
            "test_transactions.py::test_it_is_its_principals",
        ),
    ),
    Row(
        "EndTransaction",
        ("ActionEndTransactionRequest",),
        DONE,
        "commit or rollback, once; a conflict ends it and may be tried again",
        (
            "test_transactions.py::test_it_is_one_commit",
            "test_transactions.py::test_it_ends_once",
            "test_transactions.py::test_a_conflict_can_be_tried_again",
            "test_transactions.py::test_rolling_back_takes_all_of_it_back",
            "test_transactions.py::test_rolling_back_ends_a_stream_that_is_read",
        ),
    ),
    Row(
        "BeginSavepoint",
        ("ActionBeginSavepointRequest", "ActionBeginSavepointResult"),
        REFUSED,
        "DuckDB has no savepoints, and SqlInfo says so",
        ("test_control.py::test_refused_actions",),
    ),
    Row(
        "EndSavepoint",
        ("ActionEndSavepointRequest",),
        REFUSED,
        "DuckDB has no savepoints",
        ("test_control.py::test_refused_actions",),
    ),
    Row(
        "CancelQuery",
        ("ActionCancelQueryRequest", "ActionCancelQueryResult"),
        DONE,
        "as `CancelFlightInfo`, by its older name",
        (
            "test_control.py::test_cancelling_ends_streams_and_tickets",
            "test_control.py::test_what_cannot_be_cancelled",
        ),
    ),
    Row(
        "CancelFlightInfo",
        (),
        DONE,
        "ends the streams of a query and refuses its tickets; what has run within "
        "`GetFlightInfo` cannot be cancelled any more",
        (
            "test_control.py::test_cancelling_ends_streams_and_tickets",
            "test_control.py::test_what_cannot_be_cancelled",
        ),
    ),
    Row(
        "RenewFlightEndpoint",
        (),
        DONE,
        "the same ticket with a later end",
        ("test_control.py::test_renewing_an_endpoint",),
    ),
    Row(
        "SetSessionOptions",
        (),
        DONE,
        "any name; some have a meaning, see above",
        (
            "test_sessions.py::test_bare_names_are_the_sessions_schemas",
            "test_sessions.py::test_the_past_by_a_moment",
            "test_sessions.py::test_a_deadline",
            "test_sessions.py::test_options_that_cannot_be",
        ),
    ),
    Row(
        "GetSessionOptions",
        (),
        DONE,
        "what was set",
        ("../test_sessions.py::test_options_of_every_type_stay",),
    ),
    Row(
        "CloseSession",
        (),
        DONE,
        "rolls back its transactions, and drops its prepared statements and temporary tables",
        (
            "test_transactions.py::test_closing_the_session_ends_it",
            "test_sessions.py::test_a_temporary_table_goes_with_its_session",
        ),
    ),
    Row(
        "execute",
        (),
        DONE,
        "our own, in JSON: one statement that writes, `BEGIN`, `COMMIT`, `ROLLBACK` and `USE`",
        (
            "test_sessions.py::test_begin_commit_and_rollback_by_sql",
            "test_sessions.py::test_execute_takes_parameters",
        ),
    ),
)


def commands() -> Iterator[tuple[str, ...]]:
    """The lines of the table of commands."""
    for row in COMMANDS:
        yield f"`{row.name}`", ", ".join(row.calls), row.state, row.says, _shown(row)


def actions() -> Iterator[tuple[str, ...]]:
    """The lines of the table of actions."""
    for row in ACTIONS:
        yield f"`{row.name}`", row.state, row.says, _shown(row)


def _shown(row: Row) -> str:
    files = dict.fromkeys(test.partition("::")[0].rpartition("/")[2] for test in row.tests)
    return ", ".join(f"`{name}`" for name in files)
