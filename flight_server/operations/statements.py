"""One statement of SQL, whatever its kind: those that write are run here, each once.

`statement_of` says what a text is. A read is planned and opened by `query`; a statement that
writes goes to `row_statements` or `table_statements`; what changes the session itself (BEGIN,
COMMIT, ROLLBACK, USE) is done here and needs one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa

from flight_server.errors import Conflict, InvalidRequest
from flight_server.model import DEFAULT_CATALOG, Commit, SqlRequest
from flight_server.operations import row_statements, table_statements, tables
from flight_server.operations.authorise import namespace_not_found
from flight_server.operations.kinds import kind_of
from flight_server.operations.parameters import rows_of
from flight_server.operations.query import check_at_present, statement_of
from flight_server.operations.services import Call, Services
from flight_server.operations.sessions import OpenTransaction, Session
from flight_server.operations.together import in_one_commit
from flight_server.query import (
    Control,
    CreateTable,
    Insert,
    Statement,
    Use,
    Write,
    parameters_of,
)


@dataclass(frozen=True)
class Executed:
    """What a statement did: its kind, the rows it touched, and its commit where it made one.

    `rows` is None for statements that are not about rows. In a transaction there is no commit.
    """

    kind: str
    rows: int | None = None
    commit: Commit | None = None

    @property
    def snapshot(self) -> int | None:
        """The snapshot that was made."""
        made = self.commit is not None and self.commit.snapshot >= 0
        return self.commit.snapshot if made and self.commit is not None else None


def is_read(statement: Statement | Write) -> bool:
    """Whether it only reads."""
    return isinstance(statement, Statement)


def needs_session(statement: Statement | Write) -> bool:
    """Whether it leaves something behind in the session: a transaction, a temporary table."""
    return is_control(statement) or (isinstance(statement, CreateTable) and statement.temporary)


def is_control(statement: Statement | Write) -> bool:
    """Whether it changes the session, and is to be run outside of its transaction."""
    return isinstance(statement, Control | Use)


def execute(services: Services, call: Call, request: SqlRequest) -> Executed:
    """Runs one statement that writes. InvalidRequest where it reads; and whatever its twin raises.

    Control statements need a session, and a call that is in no transaction.
    """
    statement = statement_of(call, request.sql)
    match statement:
        case Statement():
            raise InvalidRequest(
                "This statement reads: get its rows by DoGet, or by a query of your client.",
                details={"statement": statement.kind},
            )
        case Control():
            return _control(services, call, statement)
        case Use():
            return _use(services, call, statement)
    return write(services, call, statement, request)


def execute_each(services: Services, call: Call, sql: str, parameters: pa.Table) -> Executed:
    """Runs a statement once for each row of parameters, in one commit.

    Of an INSERT … VALUES all rows are one statement.
    """
    statement = statement_of(call, sql)
    if isinstance(statement, Control | Use | Statement):
        return execute(services, call, SqlRequest(sql))
    check_at_present(call)
    names = parameters_of(statement)
    if isinstance(statement, Insert) and parameters.num_rows > 1:
        commit = row_statements.insert_each(services, call, statement, parameters)
        if commit is not None:
            call.meter.wrote(commit.rows)
            return Executed("insert", commit.rows, commit)
    each = list(rows_of(parameters, names))
    if len(each) == 1:
        return write(services, call, statement, SqlRequest(sql, each[0]))
    rows = 0

    def work(inside: Call) -> Commit:
        nonlocal rows
        for row in each:
            call.cancellation.check()
            rows += write(services, inside, statement, SqlRequest(sql, row)).rows or 0
        return Commit(-1)

    kind = kind_of(statement)
    commit = in_one_commit(services, call, DEFAULT_CATALOG, kind, work)
    return Executed(kind, rows, commit)


def write(services: Services, call: Call, statement: Write, request: SqlRequest) -> Executed:
    """Runs a statement that writes rows or changes tables."""
    check_at_present(call)
    kind = kind_of(statement)
    if (commit := row_statements.run(services, call, statement, request)) is not None:
        call.meter.wrote(commit.rows_inserted)
        return Executed(kind, commit.rows, commit)
    commit = table_statements.run(services, call, statement, request)
    is_query = isinstance(statement, CreateTable) and statement.query is not None
    return Executed(kind, commit.rows if commit is not None and is_query else None, commit)


def begin(services: Services, call: Call) -> OpenTransaction:
    """A new transaction of the call's session. LimitExceeded."""
    author = call.author("transaction")
    return _session(call).begin(services.engine(DEFAULT_CATALOG), author)


def _control(services: Services, call: Call, statement: Control) -> Executed:
    session = _session(call)
    current = session.current if session.current and session.current.is_open else None
    if statement.verb == "begin":
        if current is not None:
            raise Conflict("A transaction is open already: COMMIT or ROLLBACK it first.")
        session.current = begin(services, call)
        return Executed("begin")
    was_there, session.current = session.current is not None, None
    if current is None:
        raise InvalidRequest(
            "The transaction was rolled back: it was idle for too long."
            if was_there
            else f"There is no transaction for {statement.verb.upper()}: BEGIN one first."
        )
    if statement.verb == "rollback":
        current.rollback(call.cancellation)
        return Executed("rollback")
    try:
        return Executed("commit", commit=current.commit(call.cancellation))
    except BaseException:
        # In SQL a COMMIT that fails ends the transaction; there is nothing left to roll back.
        current.abandon()
        raise


def _use(services: Services, call: Call, statement: Use) -> Executed:
    """USE of what may not be known of is told like USE of what is missing."""
    session = _session(call)
    found, namespace = statement.catalog, statement.namespace
    if namespace is None and found not in services.engines:
        found, namespace = DEFAULT_CATALOG, found
    if namespace is not None:
        known = tables.list_namespaces(services, replace(call, transaction=None), found)
        names = {one.name.lower(): one.name for one in known}
        if namespace.lower() not in names:
            raise namespace_not_found(namespace, list(names.values()))
        namespace = names[namespace.lower()]
    session.catalog, session.namespace = found, namespace or "main"
    return Executed("use")


def _session(call: Call) -> Session:
    if call.session is None:
        raise InvalidRequest("This statement needs a session, and this call has none.")
    return call.session
