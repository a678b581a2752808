"""`POST /batch/operations`: inserts, updates, deletes and upserts of several tables, in order."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from flight_server import operations
from flight_server.bodies.changes import set_columns, where_sql
from flight_server.bodies.requests import Body
from flight_server.bodies.rows_in import check_count, ingest_text
from flight_server.errors import InvalidRequest, PixelflightError
from flight_server.formats.json_lines import row_batches
from flight_server.model import DEFAULT_CATALOG, Commit, IngestMode, IngestRequest, TableRef
from flight_server.operations import Call, Services

# What is kept of each operation, to be told of it again.
_COUNTS = ("rows", "rows_inserted", "rows_updated", "rows_deleted")
Rows = dict[str, Any] | list[dict[str, Any]]


class _OfTable(Body):
    table: str

    def run(self, services: Services, call: Call) -> Commit:
        """Does it."""
        raise NotImplementedError

    @property
    def count(self) -> int:
        """How many rows it brings."""
        return 1


class _Insert(_OfTable):
    operation: Literal["insert"]
    data: Rows

    @property
    def count(self) -> int:
        return len(_listed(self.data))

    def run(self, services: Services, call: Call) -> Commit:
        return _ingested(services, call, self.table, self.data, IngestRequest())


class _Upsert(_OfTable):
    operation: Literal["upsert"]
    data: Rows
    key: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return len(_listed(self.data))

    def run(self, services: Services, call: Call) -> Commit:
        request = IngestRequest(IngestMode.UPSERT, self.key)
        return _ingested(services, call, self.table, self.data, request)


class _Update(_OfTable):
    operation: Literal["update"]
    where: dict[str, Any] | str | None = None
    values: dict[str, Any] = Field(alias="set")
    all: bool = False

    def run(self, services: Services, call: Call) -> Commit:
        table = TableRef.parse(self.table)
        where = where_sql(services, call, table, self.where)
        return set_columns(services, call, table, self.values, where, self.all)


class _Delete(_OfTable):
    operation: Literal["delete"]
    where: dict[str, Any] | str | None = None
    all: bool = False

    def run(self, services: Services, call: Call) -> Commit:
        table = TableRef.parse(self.table)
        where = where_sql(services, call, table, self.where)
        return operations.delete(services, call, table, where, self.all)


Operation = Annotated[_Insert | _Upsert | _Update | _Delete, Field(discriminator="operation")]


class Batch(Body):
    """Operations in their order.

    `transaction` makes one commit of them, or none; otherwise each is one, and
    `continue_on_error` goes on behind one that fails.
    """

    operations: list[Operation]
    transaction: bool | None = None
    continue_on_error: bool = False
    return_results: bool = True

    @property
    def is_one(self) -> bool:
        """Whether it is one transaction, as it is where nothing is said."""
        return not self.continue_on_error if self.transaction is None else self.transaction


class Outcome:
    """What became of a batch. `failure` is the error that ended it, where one did."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._began = time.monotonic()
        self.failure: PixelflightError | None = None
        self.results: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []

    def add(self, done: Commit) -> None:
        """One more that succeeded."""
        told = {
            "operation": len(self.results),
            "status": "success",
            "commit": done.snapshot if done.snapshot >= 0 else None,
            "rows": done.rows,
            "rows_inserted": done.rows_inserted,
            "rows_updated": done.rows_updated,
            "rows_deleted": done.rows_deleted,
        }
        self.results.append(told)

    def fail(self, error: PixelflightError, request_id: str) -> None:
        """One more, that failed."""
        told = error.as_json(request_id)
        self.errors.append({"operation": len(self.results), **told})
        self.results.append({"operation": len(self.results), "status": "failed", "error": told})

    def end(self, commit: Commit | None = None) -> None:
        """Nothing comes any more: of one transaction, all is in its commit or nothing happened."""
        for result in self.results:
            if self._batch.is_one and result["status"] == "success":
                if commit is None:
                    result["status"] = "rolled_back"
                else:
                    result["commit"] = commit.snapshot
        for number in range(len(self.results), len(self._batch.operations)):
            self.results.append({"operation": number, "status": "skipped"})

    def as_json(self) -> dict[str, Any]:
        """The answer."""
        statuses = [result["status"] for result in self.results]
        return {
            "total_operations": len(statuses),
            "successful": statuses.count("success"),
            "failed": statuses.count("failed"),
            "errors": self.errors,
            "results": self.results if self._batch.return_results else [],
            "execution_time_ms": round((time.monotonic() - self._began) * 1000, 3),
        }


class RunBatch(Batch):
    """`batch`. What is done under a `token` is done once, however often it is sent."""

    token: Annotated[str, Field(min_length=1, max_length=400)] | None = None

    def answer(self, services: Services, call: Call) -> dict[str, Any]:
        """The answer. Errors as `run_batch`; one that ended the batch is a part of it."""
        outcome = run_batch(services, call, self, self.token)
        ended = outcome.failure
        told = {} if ended is None else {"error": ended.as_json(call.request_id)}
        return {**outcome.as_json(), **told}


def check_batch(services: Services, batch: Batch) -> None:
    """InvalidRequest, or LimitExceeded (too_large), where it cannot be run at all."""
    most = services.settings.json_rows_max
    check_count(len(batch.operations), most, "operations")
    check_count(sum(one.count for one in batch.operations), most, "rows")
    if batch.is_one and batch.continue_on_error:
        raise InvalidRequest(
            "'transaction' and 'continue_on_error' contradict each other: a transaction is all of "
            'its operations or none. Say "transaction": false to go on behind one that fails.'
        )


def run_batch(services: Services, call: Call, batch: Batch, token: str | None = None) -> Outcome:
    """Runs the operations in their order. InvalidRequest; LimitExceeded (too_large).

    With a token, what was committed under it before is not done again.
    """
    check_batch(services, batch)
    outcome = Outcome(batch)
    if batch.is_one:
        _run_together(services, call, batch, outcome, token)
    else:
        _run_each(services, call, batch, outcome, token)
        outcome.end()
    return outcome


def _run_together(
    services: Services, call: Call, batch: Batch, outcome: Outcome, token: str | None
) -> None:
    failed: list[PixelflightError] = []

    def work(inside: Call) -> Commit:
        for one in batch.operations:
            inside.attempt.author = None
            try:
                outcome.add(one.run(services, inside))
            except PixelflightError as error:
                failed.append(error)
                raise
        return Commit(-1)

    try:
        catalog = _catalog(batch)
        if token is None:
            one = _one_table(batch)
            commit = operations.in_one_commit(services, call, catalog, "batch", work, one)
        else:
            commit = _together_once(services, call, batch, outcome, catalog, token, work)
    except PixelflightError as error:
        outcome.failure = error
        _record(services, call, error)
        if failed:
            outcome.fail(error, call.request_id)
        else:
            # It is the commit that failed, which is no operation's fault.
            outcome.errors.append({"operation": None, **error.as_json(call.request_id)})
        outcome.end()
        return
    outcome.end(commit)


def _together_once(
    services: Services,
    call: Call,
    batch: Batch,
    outcome: Outcome,
    catalog: str,
    token: str,
    work: Callable[[Call], Commit],
) -> Commit:
    """The commit of the work, which the receipt tells of where it was done before."""

    def counted(inside: Call) -> str:
        work(inside)
        return json.dumps([[result[name] for name in _COUNTS] for result in outcome.results])

    asked = batch.model_dump_json(exclude={"token"})
    one = _one_table(batch)
    done = operations.once(services, call, catalog, "batch", token, asked, counted, one)
    if done.is_duplicate:
        for counts in json.loads(done.answer):
            outcome.add(Commit(-1, **dict(zip(_COUNTS, counts, strict=True))))
    return Commit(done.snapshot)


def _catalog(batch: Batch) -> str:
    """The one catalog of all tables. InvalidRequest."""
    catalogs = {TableRef.parse(one.table).catalog for one in batch.operations}
    if len(catalogs) > 1:
        raise InvalidRequest(
            f"One transaction is over one catalog, and these tables are of {sorted(catalogs)}."
        )
    return catalogs.pop() if catalogs else DEFAULT_CATALOG


def _one_table(batch: Batch) -> TableRef | None:
    """The table of all operations, if it is one."""
    tables = {TableRef.parse(one.table) for one in batch.operations}
    return tables.pop() if len(tables) == 1 else None


def _run_each(
    services: Services, call: Call, batch: Batch, outcome: Outcome, token: str | None
) -> None:
    for number, one in enumerate(batch.operations):
        call.attempt.author = None
        try:
            if token is None:
                outcome.add(one.run(services, call))
            else:
                outcome.add(_one_once(services, call, one, f"{token}:{number}"))
        except PixelflightError as error:
            _record(services, call, error)
            outcome.fail(error, call.request_id)
            if not batch.continue_on_error:
                outcome.failure = error
                return


def _one_once(services: Services, call: Call, one: _OfTable, token: str) -> Commit:
    """What one operation did, now or before."""

    def counted(inside: Call) -> str:
        commit = one.run(services, inside)
        return json.dumps([getattr(commit, name) for name in _COUNTS])

    table = TableRef.parse(one.table)
    asked = one.model_dump_json()
    done = operations.once(services, call, table.catalog, "batch", token, asked, counted, table)
    return Commit(done.snapshot, *json.loads(done.answer))


def _record(services: Services, call: Call, error: PixelflightError) -> None:
    """Tells the audit trail of an error that is a part of the answer."""
    call.meter.failed()
    services.audit.told(call.actor, error, "batch", call.attempt)


def _listed(data: Rows) -> list[dict[str, Any]]:
    return [data] if isinstance(data, dict) else data


def _ingested(
    services: Services, call: Call, table: str, data: Rows, request: IngestRequest
) -> Commit:
    return ingest_text(services, call, TableRef.parse(table), request, _listed(data), row_batches)
