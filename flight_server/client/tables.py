"""The client itself: one method for each verb, a thin translation into descriptors and actions."""

from __future__ import annotations

import base64
import weakref
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from pyarrow import flight

from flight_server.client import bodies, frames, puts
from flight_server.client.bodies import (
    AsOf,
    command,
    commit_from,
    given,
    moment,
    names,
    table_from,
    tag_from,
    version_from,
)
from flight_server.client.bookkeeping import Bookkeeping
from flight_server.client.computed import ComputedCalls
from flight_server.client.connection import Connection, Key
from flight_server.client.exports import ExportCalls
from flight_server.client.imports import ImportCalls
from flight_server.client.jobs import JobCalls
from flight_server.client.plans import PlanCalls
from flight_server.client.puts import OnCommit, OnSent
from flight_server.client.results import Result
from flight_server.client.searches import SearchCalls
from flight_server.client.statements import Executed, transaction
from flight_server.client.webhooks import WebhookCalls
from flight_server.model import (
    Commit,
    CommitEvery,
    Housekeeping,
    IngestMode,
    TableInfo,
    TableRef,
    Tag,
    Version,
)

PemFile = str | bytes | Path


def connect(
    url: str | None = None,
    key: Key | None = None,
    *,
    tls_root_certificates: PemFile | None = None,
    tls_client_certificate: PemFile | None = None,
    tls_client_key: PemFile | None = None,
    timeout_seconds: float | None = None,
) -> Client:
    """A client of the server at a URL, `grpc://host:port` or `grpc+tls://host:port`.

    The URL and the API key come from PIXELFLIGHT_URL and PIXELFLIGHT_KEY where they are left out;
    `key` may be a function that gives the token of the moment.
    PEM is given as text or as a file's path. `timeout_seconds` bounds every call; without it the
    server's own limit does. Nothing is sent before the first call. InvalidRequest.
    """
    connection = Connection(
        url, key, tls_root_certificates, tls_client_certificate, tls_client_key, timeout_seconds
    )
    return Client(connection)


@dataclass(frozen=True)
class TableSummary:
    """A table as the list has it; -1 where a number is not known."""

    table: TableRef
    schema: pa.Schema
    rows: int
    bytes: int


class Client(
    PlanCalls,
    SearchCalls,
    ExportCalls,
    ImportCalls,
    ComputedCalls,
    JobCalls,
    WebhookCalls,
    Bookkeeping,
):
    """Tables in and out. Every method may be called from any thread.

    Tables are named `[catalog:][namespace.]name`. Methods raise the classes of
    `flight_server.errors`; an error that the server raised carries its `request_id`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._results: weakref.WeakSet[Result] = weakref.WeakSet()

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._connection.url

    @property
    def session(self) -> str | None:
        """The name of the session that the server keeps for this client, None before it does."""
        return self._connection.session

    def scan(
        self,
        table: str,
        columns: Sequence[str] | None = None,
        filter: str | None = None,
        order_by: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        version: int | str | None = None,
        as_of: AsOf | None = None,
        with_row_id: bool = False,
        media: str | None = None,
        media_size: int | None = None,
        media_on_error: str | None = None,
    ) -> Result:
        """Rows of a table. `filter` and `order_by` are SQL; `version` is a number or a tag.

        `media` is `url` or `bytes`: then images come within `media_size` pixels a side, and files
        that cannot be read as `media_on_error` says, `abort` or `null`.

        A large scan is fetched in several streams at once and arrives in order all the same.
        """
        read = command(
            "scan",
            table=table,
            columns=None if columns is None else names(columns, "columns"),
            filter=filter,
            order_by=order_by,
            limit=limit,
            offset=offset or None,
            version=version,
            as_of=moment(as_of),
            with_row_id=with_row_id or None,
            media=media,
            media_size=media_size,
            media_on_error=media_on_error,
        )
        if limit is not None or filter is not None:
            # Likely small: it is read at once, which saves a round trip.
            return self._kept(Result.of_ticket(self._connection, read))
        info = self._connection.flight_info(flight.FlightDescriptor.for_command(read))
        return self._kept(Result.of_info(self._connection, info))

    def sql(
        self,
        text: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        version: int | None = None,
        as_of: AsOf | None = None,
    ) -> Result:
        """One SELECT. `parameters` is a list for `?` and `$1`, a mapping for `$name`.

        Each has in SQL the type that it has here. InvalidRequest names one that cannot be sent.
        """
        ticket = bodies.query(text, parameters, version, as_of)
        return self._kept(Result.of_ticket(self._connection, ticket))

    def execute(
        self, text: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None
    ) -> Executed:
        """One statement that writes: INSERT, UPDATE, CREATE TABLE, BEGIN … and what it has done.

        It runs once, and is a commit of its own unless a transaction is open. InvalidRequest for
        a SELECT, which `sql` is for.
        """
        return Executed.of(self._act("execute", **bodies.statement(text, parameters)))

    def transaction(self) -> AbstractContextManager[None]:
        """A block whose writes become one commit at its end, or nothing where it raises.

        Everything this client does meanwhile, from any thread, is part of it; use another client
        for what is not. Conflict where another commit came first: do the block again.
        """
        return transaction(self.execute, self._close_results)

    def put(
        self,
        table: str,
        data: Any,
        mode: IngestMode | str = IngestMode.APPEND,
        key: Sequence[str] = (),
        token: str | None = None,
        commit_every: CommitEvery | Mapping[str, int] | None = None,
        create_if_missing: bool = True,
        on_commit: OnCommit | None = None,
        on_sent: OnSent | None = None,
        content: str | None = None,
    ) -> Commit:
        """Writes rows: an Arrow table, reader or batches, a polars or pandas frame, dicts.

        Streams are sent as they come, and become one commit unless `commit_every` says
        otherwise; the answer sums up all of them. `key` names the columns that `upsert` and
        `merge` match by; `append` does not check it. A put with a `token` may be sent again: it
        counts once, and `content` may name what is sent under it, so that the server compares
        the name and not the rows. An error of the data's iterator abandons the put.
        InvalidRequest names the column of data that cannot be put as it is.
        """
        chosen = bodies.mode(mode)
        ingest = command(
            "ingest",
            table=table,
            mode=chosen,
            key=names(key, "key") or None,
            token=token,
            commit_every=bodies.policy(commit_every),
            create_if_missing=create_if_missing and chosen != IngestMode.CREATE,
            content=content,
        )
        reader = frames.as_reader(data)
        return puts.put(self._connection, ingest, reader, on_commit, on_sent)

    def tables(
        self,
        namespace: str | None = None,
        catalog: str | None = None,
        pattern: str | None = None,
    ) -> list[TableSummary]:
        """The tables you may see; `pattern` is a glob over names."""
        criteria = {"catalog": catalog, "namespace": namespace, "pattern": pattern}
        infos = self._connection.flights(given(criteria))
        return [
            TableSummary(
                TableRef.of(*(part.decode() for part in info.descriptor.path)),
                info.schema,
                info.total_records,
                info.total_bytes,
            )
            for info in infos
        ]

    def schema(self, table: str) -> pa.Schema:
        """The columns of a table."""
        return self.describe(table).spec.schema

    def describe(
        self, table: str, version: int | str | None = None, as_of: AsOf | None = None
    ) -> TableInfo:
        """Everything known about a table; numbers that you may not know are -1."""
        answer = self._act("describe_table", table=table, version=version, as_of=moment(as_of))
        return table_from(answer)

    def create_table(
        self,
        table: str,
        schema: pa.Schema,
        key: Sequence[str] = (),
        partition_by: Sequence[str] = (),
        defaults: Mapping[str, str] | None = None,
        comment: str = "",
        constraints: Mapping[str, Mapping[str, Any]] | None = None,
        checks: Mapping[str, str] | None = None,
    ) -> Commit:
        """Makes a table; `defaults` are SQL literals by column.

        Every row must meet `constraints`, JSON Schemas by column, and `checks`, SQL by name.
        """
        answer = self._act(
            "create_table",
            table=table,
            schema_ipc=base64.b64encode(schema.serialize().to_pybytes()).decode(),
            key=names(key, "key"),
            partition_by=names(partition_by, "partition_by"),
            defaults=dict(defaults or {}),
            comment=comment,
            constraints={name: dict(one) for name, one in (constraints or {}).items()},
            checks=dict(checks or {}),
        )
        return commit_from(answer)

    def drop_table(self, table: str) -> Commit:
        """Removes a table; `undrop_table` brings it back while its snapshots live."""
        return commit_from(self._act("drop_table", table=table))

    def undrop_table(self, table: str) -> Commit:
        """Brings a dropped table back."""
        return commit_from(self._act("undrop_table", table=table))

    def rename_table(self, table: str, to: str) -> Commit:
        """Gives a table another name in its namespace."""
        return commit_from(self._act("rename_table", table=table, to=to))

    def alter_table(self, table: str, *changes: Mapping[str, Any]) -> Commit:
        """Changes in one commit, each as `{"add_column": {"name": …, "type": …}}` and the like."""
        return commit_from(self._act("alter_table", table=table, changes=list(changes)))

    def namespaces(self, catalog: str | None = None) -> list[str]:
        """The namespaces of a catalog, or of all: those outside of the lake with their catalog."""
        found: list[str] = self._act("list_namespaces", catalog=catalog)["namespaces"]
        return found

    def create_namespace(self, namespace: str) -> Commit:
        """Makes a namespace."""
        return commit_from(self._act("create_namespace", namespace=namespace))

    def drop_namespace(self, namespace: str) -> Commit:
        """Removes an empty namespace."""
        return commit_from(self._act("drop_namespace", namespace=namespace))

    def versions(self, table: str, limit: int | None = None) -> list[Version]:
        """A table's history, newest first."""
        answers = self._act("list_versions", table=table, limit=limit)["versions"]
        return [version_from(answer) for answer in answers]

    def restore(
        self, table: str, version: int | str | None = None, as_of: AsOf | None = None
    ) -> Commit:
        """Brings an old state back as a new version: by number, by tag or by time."""
        return commit_from(self._act("restore", table=table, version=version, as_of=moment(as_of)))

    def tag(self, table: str, name: str, version: int | None = None) -> Tag:
        """Names a version, the newest without one; a named version never expires."""
        return tag_from(self._act("create_tag", table=table, name=name, version=version))

    def tags(self, table: str) -> list[Tag]:
        """A table's tags."""
        return [tag_from(answer) for answer in self._act("list_tags", table=table)["tags"]]

    def drop_tag(self, table: str, name: str) -> None:
        """Removes a tag; its version may then expire."""
        self._act("drop_tag", table=table, name=name)

    def update(
        self,
        table: str,
        assignments: Mapping[str, str],
        filter: str | None = None,
        all: bool = False,
    ) -> Commit:
        """Sets columns to SQL expressions where the filter holds; every row only with `all`."""
        answer = self._act("update", table=table, set=dict(assignments), filter=filter, all=all)
        return commit_from(answer)

    def delete(self, table: str, filter: str | None = None, all: bool = False) -> Commit:
        """Deletes the rows where the filter holds; every row only with `all`."""
        return commit_from(self._act("delete", table=table, filter=filter, all=all))

    def changes(
        self, table: str, after: int, until: int | None = None, images: str = "after"
    ) -> Result:
        """The rows that changed after a snapshot; `images` is `after` or `both`."""
        read = command("changes", table=table, after=after, until=until, images=images)
        return self._kept(Result.of_ticket(self._connection, read))

    def diff(self, table: str, older: int | str, newer: int | str | None = None) -> Result:
        """The net difference between two versions."""
        read = command("diff", table=table, older=older, newer=newer)
        return self._kept(Result.of_ticket(self._connection, read))

    def optimize(self, table: str | None = None) -> Housekeeping:
        """A round of housekeeping now, for one table or for the whole lake."""
        return Housekeeping(**self._act("optimize", table=table))

    def explain(
        self, text: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None
    ) -> str:
        """DuckDB's plan of a statement."""
        return str(self._act("explain", **bodies.statement(text, parameters))["plan"])

    def close(self) -> None:
        """Ends the connection; a transaction that is open is rolled back."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _kept(self, result: Result) -> Result:
        """Remembers the result while somebody has it."""
        self._results.add(result)
        return result

    def _close_results(self) -> None:
        for result in list(self._results):
            result.close()

    def _act(self, action: str, /, **fields: Any) -> Any:
        return self._connection.action(action, given(fields))
