"""What an engine must do, and what it may be able to do.

`Engine` is obligatory. Every ability beyond it is a small protocol: code that needs one asks
`require(engine, SupportsIngest)`, the conformance suite runs the parts whose protocols an engine
satisfies, and what the server advertises comes from `abilities(engine)`: one source.

Engines trust what operations have checked: rights, SQL predicates, names. They raise only the
errors of `flight_server.errors`. Everything they hand out is Arrow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import pyarrow as pa

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.computed import SupportsComputedColumns, SupportsFunctions
from flight_server.engines.derived import SupportsDerivedTables
from flight_server.engines.history import (
    SupportsChanges,
    SupportsSchemaVersions,
    SupportsTags,
    SupportsTimeline,
    SupportsVersions,
)
from flight_server.engines.log import SupportsCommitLog
from flight_server.engines.rules import SupportsRules
from flight_server.engines.search import SupportsIndexes, SupportsSearch
from flight_server.engines.snapshots import SupportsSnapshots
from flight_server.engines.soft_deletes import SupportsSoftDelete
from flight_server.engines.sql import SupportsSql, SupportsSqlWrites
from flight_server.engines.stream import Batches
from flight_server.engines.upkeep import SupportsHousekeeping, SupportsPins
from flight_server.engines.values import SupportsValues
from flight_server.engines.views import SupportsMaterializedViews, SupportsViews
from flight_server.errors import Unsupported
from flight_server.model import (
    Author,
    Commit,
    IngestRequest,
    MediaBytes,
    NamespaceRef,
    ScanRequest,
    SchemaChange,
    Slice,
    TableInfo,
    TableRef,
    TableSpec,
    TableVersion,
)

Acknowledge = Callable[[Commit], None]


class Engine(Protocol):
    """A catalog of tables that can be read. Every method may be called from any thread."""

    name: str

    def namespaces(self) -> list[str]:
        """The names of all namespaces, sorted; hidden ones are left out."""

    def tables(self, namespace: str) -> list[TableRef]:
        """The tables of a namespace, sorted. NotFound (namespace_not_found)."""

    def resolve(self, table: TableRef, version: int | None = None) -> TableVersion:
        """The table at a version, cheaply. NotFound (table_not_found, version_not_found)."""

    def describe(self, table: TableRef, version: int | None = None) -> TableInfo:
        """The table with everything known about it. NotFound."""

    def scan(
        self, table: TableRef, request: ScanRequest, cancellation: Cancellation = NEVER
    ) -> Batches:
        """Rows in the table's Arrow schema, narrowed to `request.columns` in their order.

        The reader is closed by whoever reads it. NotFound, InvalidRequest (column_not_found,
        invalid_sql).
        """

    def close(self) -> None:
        """Ends the engine; what was acknowledged is safe."""


@runtime_checkable
class SupportsNamespaces(Protocol):
    """Namespaces can be made and removed."""

    def create_namespace(self, namespace: NamespaceRef, author: Author) -> Commit:
        """AlreadyExists."""

    def drop_namespace(self, namespace: NamespaceRef, author: Author) -> Commit:
        """NotFound; Conflict while tables are in it."""


@runtime_checkable
class SupportsTables(Protocol):
    """Tables can be made, renamed and dropped."""

    def create_table(self, table: TableRef, spec: TableSpec, author: Author) -> Commit:
        """AlreadyExists; NotFound (namespace_not_found); InvalidRequest (unsupported_type)."""

    def rename_table(self, table: TableRef, to: TableRef, author: Author) -> Commit:
        """NotFound; AlreadyExists; Unsupported where `to` is in another namespace."""

    def drop_table(self, table: TableRef, author: Author) -> Commit:
        """NotFound."""


@runtime_checkable
class SupportsUndrop(Protocol):
    """A dropped table can be brought back while its snapshots live."""

    def undrop_table(self, table: TableRef, author: Author) -> Commit:
        """The table as it was just before it was dropped. NotFound; AlreadyExists."""


@runtime_checkable
class SupportsSchemaChange(Protocol):
    """Columns and properties of a table can be changed."""

    def alter_table(
        self, table: TableRef, changes: Sequence[SchemaChange], author: Author
    ) -> Commit:
        """All changes in one commit, in order. NotFound; AlreadyExists; InvalidRequest."""


@runtime_checkable
class SupportsIngest(Protocol):
    """Batches can be written."""

    def ingest(
        self,
        table: TableRef,
        request: IngestRequest,
        batches: Batches,
        author: Author,
        acknowledge: Acknowledge = lambda commit: None,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Writes the stream in bounded memory; all of it or, without `commit_every`, nothing.

        Columns are matched by name; a column that is left out gets its default, else null.
        `acknowledge` is called after each commit has become durable; the last commit is also
        the answer. InvalidRequest (schema_mismatch, invalid_data); NotFound; AlreadyExists;
        Conflict (token_conflict).
        """


@runtime_checkable
class SupportsUpdate(Protocol):
    """Rows can be changed and deleted where a filter holds."""

    def update(
        self,
        table: TableRef,
        assignments: Mapping[str, str],
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """`assignments` maps columns to SQL expressions over the row's old values."""

    def delete(
        self,
        table: TableRef,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Deletes the rows where the filter holds, all without one."""


class Transaction(
    SupportsNamespaces,
    SupportsTables,
    SupportsSchemaChange,
    SupportsIngest,
    SupportsUpdate,
    Protocol,
):
    """Writes to several tables that become one commit, and reads that see them.

    It stands in for its engine: `namespaces`, `tables`, `resolve`, `describe` and `scan` are as
    `Engine` says, with what this transaction has written, and so is everything else that it can
    do. One thread at a time uses it. The commits that its writes answer with have no snapshot
    (-1): there is one at the end, by the author who began.
    """

    name: str

    def namespaces(self) -> list[str]:
        """As `Engine.namespaces`."""

    def tables(self, namespace: str) -> list[TableRef]:
        """As `Engine.tables`."""

    def resolve(self, table: TableRef, version: int | None = None) -> TableVersion:
        """As `Engine.resolve`."""

    def describe(self, table: TableRef, version: int | None = None) -> TableInfo:
        """As `Engine.describe`."""

    def scan(
        self, table: TableRef, request: ScanRequest, cancellation: Cancellation = NEVER
    ) -> Batches:
        """As `Engine.scan`. Read it to its end or close it before the next statement."""

    @property
    def snapshot(self) -> int:
        """The snapshot that it reads."""

    @property
    def has_written(self) -> bool:
        """Whether there is anything to commit."""

    def commit(self) -> Commit:
        """Makes it so. Conflict, after which nothing of it has happened."""

    def rollback(self) -> None:
        """Nothing of it has happened."""

    def close(self) -> None:
        """Rolls back what was not committed."""


@runtime_checkable
class SupportsTransactions(Protocol):
    """Several writes can become one commit."""

    def transaction(
        self, author: Author, since: int | None = None
    ) -> AbstractContextManager[Transaction]:
        """Commits at the end of the block unless that was done; rolls back on an error.

        `since` is an older snapshot that its client has read as well: the commit is a Conflict
        where it changes rows of a table that others have changed since then.
        """


@runtime_checkable
class SupportsSlices(Protocol):
    """A large scan can be read in parts, in parallel."""

    def slices(self, table: TableRef, request: ScanRequest, bytes_each: int) -> list[Slice]:
        """Parts of about `bytes_each`, in the order of the scan.

        One whose name is None where it is not worth splitting.
        """


@runtime_checkable
class SupportsTemporaryTables(Protocol):
    """Tables can be made that only one session sees, and that end with it."""

    def temporary_tables(self, session: str) -> TemporaryTables:
        """The temporary tables of a session: none at first. `session` is a plain identifier."""


class TemporaryTables(SupportsTables, SupportsIngest, SupportsUpdate, SupportsSqlWrites, Protocol):
    """The temporary tables of one session: an engine of the catalog `temp`.

    Their one namespace is `main`. They are in no log: their commits have no snapshot (-1).
    """

    name: str

    def namespaces(self) -> list[str]:
        """`main`."""

    def tables(self, namespace: str) -> list[TableRef]:
        """As `Engine.tables`."""

    def resolve(self, table: TableRef, version: int | None = None) -> TableVersion:
        """As `Engine.resolve`; there are no versions."""

    def describe(self, table: TableRef, version: int | None = None) -> TableInfo:
        """As `Engine.describe`."""

    def scan(
        self, table: TableRef, request: ScanRequest, cancellation: Cancellation = NEVER
    ) -> Batches:
        """As `Engine.scan`."""

    def sql_name(self, table: TableRef) -> TableRef:
        """What the table is called in SQL that the lake runs."""

    def close(self) -> None:
        """Drops them all."""


@runtime_checkable
class SupportsListings(Protocol):
    """Many tables can be described for little more than one."""

    def describe_all(self, tables: Sequence[TableRef]) -> list[TableInfo]:
        """As `describe`, of the newest version; those that are missing are left out."""


@runtime_checkable
class SupportsMedia(Protocol):
    """Columns may hold URLs of media, and scans may bring the files themselves."""

    def media_schema(self, schema: pa.Schema, media: MediaBytes) -> pa.Schema:
        """The schema of a scan with `media`, given that of the same scan without."""


@runtime_checkable
class SupportsRest(Protocol):
    """It costs nothing until it is asked something: who only wants to know how it is does not."""

    @property
    def is_awake(self) -> bool:
        """Whether it has been asked, and runs."""

    @property
    def notice(self) -> str:
        """What it does not do as it was started last, and why; empty where it does all."""


Ability = TypeVar("Ability")

ABILITIES: tuple[type[Any], ...] = (
    SupportsNamespaces,
    SupportsTables,
    SupportsUndrop,
    SupportsViews,
    SupportsMaterializedViews,
    SupportsDerivedTables,
    SupportsSchemaChange,
    SupportsIngest,
    SupportsUpdate,
    SupportsValues,
    SupportsSoftDelete,
    SupportsTransactions,
    SupportsVersions,
    SupportsTimeline,
    SupportsSchemaVersions,
    SupportsTags,
    SupportsSnapshots,
    SupportsChanges,
    SupportsCommitLog,
    SupportsSlices,
    SupportsIndexes,
    SupportsSearch,
    SupportsSql,
    SupportsSqlWrites,
    SupportsTemporaryTables,
    SupportsListings,
    SupportsFunctions,
    SupportsComputedColumns,
    SupportsMedia,
    SupportsRules,
    SupportsPins,
    SupportsHousekeeping,
)


# Asking a protocol looks at every one of its methods, which is slow for what each call does.
_KNOWN: dict[tuple[type, type], bool] = {}


def require(engine: Engine, ability: type[Ability]) -> Ability:
    """The engine as one that has the ability, or Unsupported naming both."""
    known = _KNOWN.get((type(engine), ability))
    if known is None:
        known = _KNOWN[type(engine), ability] = isinstance(engine, ability)
    if not known:
        name = ability.__name__.removeprefix("Supports")
        what = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
        whose = getattr(engine, "whose", f"Tables of the catalog '{engine.name}'")
        raise Unsupported(f"{whose} do not support {what}.")
    return cast(Ability, engine)


def abilities(engine: Engine) -> list[str]:
    """The names of what the engine can do beyond reading, as clients see them."""
    return [
        ability.__name__.removeprefix("Supports").lower()
        for ability in ABILITIES
        if isinstance(engine, ability)
    ]
