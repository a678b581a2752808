"""The engine of the catalog `pixeltable`: questions to the process that holds Pixeltable.

It is started by the first of them; a server that nobody asks for this catalog pays nothing.
"""

from __future__ import annotations

import base64
import datetime as dt
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.pixeltable.asking import by
from flight_server.engines.pixeltable.computing import Computing
from flight_server.engines.pixeltable.deriving import Deriving, derived
from flight_server.engines.pixeltable.history import History
from flight_server.engines.pixeltable.ingests import Ingesting
from flight_server.engines.pixeltable.media_fields import media_schema
from flight_server.engines.pixeltable.models import Models
from flight_server.engines.pixeltable.processes import Process
from flight_server.engines.pixeltable.providing import Providing
from flight_server.engines.pixeltable.searches import Indexes, sought
from flight_server.engines.stream import BatchStream
from flight_server.errors import InvalidRequest, Unsupported
from flight_server.model import (
    PIXELTABLE_CATALOG,
    Author,
    Commit,
    MediaBytes,
    NamespaceRef,
    ScanRequest,
    SearchRequest,
    TableInfo,
    TableRef,
    TableSpec,
    TableVersion,
)

# Directories have no versions.
NO_SNAPSHOT = -1
NO_MODELS = Models()


class PixeltableEngine(Computing, Deriving, History, Indexes, Ingesting, Providing):
    """The tables, views and snapshots of one Pixeltable home.

    A snapshot is the number of a table's own version: there is none of all tables together.
    """

    def __init__(
        self,
        name: str,
        home: Path,
        database: str | None = None,
        media: Sequence[str] = (),
        functions: Sequence[str] = (),
        providers: Sequence[str] = (),
        bulk_writes: bool = False,
        models: Models = NO_MODELS,
    ) -> None:
        admitted = {"functions": functions, "providers": providers}
        self._process = Process(str(home.resolve()), database, admitted, models)
        self.name = name
        self._media = media
        self._bulk_writes = bulk_writes

    @classmethod
    def at(
        cls,
        home: Path,
        database: str | None = None,
        media: Sequence[str] = (),
        functions: Sequence[str] = (),
        providers: Sequence[str] = (),
        bulk_writes: bool = False,
        models: Models = NO_MODELS,
    ) -> PixeltableEngine:
        """The engine of a home, or of a PostgreSQL beside it. InvalidRequest.

        `media` are the folders, and s3://bucket/prefix, that rows may name files in. `functions`
        are modules, or single functions, and `providers` some of Pixeltable's, that expressions
        may call beside what all may. `bulk_writes`: rows are copied where that can be; `models`
        says how those functions call models.
        """
        if importlib.util.find_spec("pixeltable") is None:
            raise InvalidRequest(
                "The setting 'pixeltable' needs Pixeltable, which is not installed: "
                "pip install 'pixelflight[pixeltable]'."
            )
        if home.exists() and not home.is_dir():
            raise InvalidRequest(f"'{home}' is no folder: the setting 'pixeltable' names one.")
        admitted = (functions, providers)
        return cls(PIXELTABLE_CATALOG, home, database, media, *admitted, bulk_writes, models)

    def namespaces(self) -> list[str]:
        """The home's directories; the root is `main`."""
        return list(self._asked("namespaces")["namespaces"])

    def tables(self, namespace: str) -> list[TableRef]:
        """The tables, views and snapshots right in a directory. NAMESPACE_NOT_FOUND."""
        found = self._asked("tables", namespace=namespace)["tables"]
        return [TableRef(self.name, *names) for names in found]

    def resolve(self, table: TableRef, version: int | None = None) -> TableVersion:
        """The table at one of its versions."""
        return self._version(self._about("resolve", table, version))

    def describe(self, table: TableRef, version: int | None = None) -> TableInfo:
        """The table with everything known about it."""
        told = self._about("describe", table, version)
        at = self._version(told)
        return TableInfo(
            at.table,
            at.spec,
            at.snapshot,
            rows=told["rows"],
            bytes=told["bytes"],
            files=told["files"],
            versions=told["versions"],
            created_at=dt.datetime.fromisoformat(told["created_at"]),
            changed_at=dt.datetime.fromisoformat(told["changed_at"]),
        )

    def scan(
        self, table: TableRef, request: ScanRequest, cancellation: Cancellation = NEVER
    ) -> BatchStream:
        """The rows asked for. They are read whole before the first of them comes."""
        if request.slice is not None:
            raise Unsupported("Pixeltable's tables are read whole: no part of one has a name.")
        wanted = _scan(table, request) | {"media": self._media_wanted(request)}
        return self._streamed("scan", wanted, cancellation)

    def search(
        self, table: TableRef, request: SearchRequest, cancellation: Cancellation = NEVER
    ) -> BatchStream:
        """The nearest rows. They are read whole before the first of them comes."""
        return self._streamed("search", sought(table, request), cancellation)

    def media_schema(self, schema: pa.Schema, media: MediaBytes) -> pa.Schema:
        """Columns of URLs hold the files, as `large_binary`."""
        return media_schema(schema, media)

    def create_namespace(self, namespace: NamespaceRef, author: Author) -> Commit:
        """A directory. ALREADY_EXISTS, NAMESPACE_NOT_FOUND."""
        self._asked("create_namespace", namespace=namespace.name)
        return Commit(NO_SNAPSHOT)

    def drop_namespace(self, namespace: NamespaceRef, author: Author) -> Commit:
        """NAMESPACE_NOT_FOUND; CONFLICT while anything is in it."""
        self._asked("drop_namespace", namespace=namespace.name)
        return Commit(NO_SNAPSHOT)

    def create_table(self, table: TableRef, spec: TableSpec, author: Author) -> Commit:
        """A table with these columns and this key. UNSUPPORTED_TYPE besides; UNSUPPORTED."""
        _check_spec(spec)
        told = self._asked(
            "create_table",
            namespace=table.namespace,
            name=table.name,
            schema=base64.b64encode(spec.schema.serialize()).decode(),
            key=list(spec.key),
            comment=spec.comment,
        )
        return Commit(told["snapshot"])

    def rename_table(self, table: TableRef, to: TableRef, author: Author) -> Commit:
        """TABLE_NOT_FOUND, ALREADY_EXISTS; into another directory as well."""
        told = self._of(table, "rename_table", to_namespace=to.namespace, to_name=to.name)
        return Commit(told["snapshot"])

    def drop_table(self, table: TableRef, author: Author) -> Commit:
        """TABLE_NOT_FOUND; CONFLICT where views are made of it."""
        told = self._asked("drop_table", namespace=table.namespace, name=table.name)
        return Commit(told["snapshot"])

    def update(
        self,
        table: TableRef,
        assignments: Mapping[str, str],
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Sets columns where the filter holds, in one transaction of Pixeltable's."""
        none = pa.record_batch([], schema=pa.schema([]))
        return self.set_values(table, none, assignments, filter, author, cancellation)

    def set_values(
        self,
        table: TableRef,
        values: pa.RecordBatch,
        assignments: Mapping[str, str],
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """As `update`, and columns of `values` to the one row of it."""
        more = {
            "assignments": dict(assignments),
            "values": _sent(values),
            "filter": filter,
            "media": list(self._media),
        }
        return self._changed("update", table, more | by(author), cancellation)

    def delete(
        self,
        table: TableRef,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Deletes the rows where the filter holds, in one transaction of Pixeltable's."""
        return self._changed("delete", table, {"filter": filter} | by(author), cancellation)

    def close(self) -> None:
        """Ends the process, and with it PostgreSQL where nobody else uses it."""
        self._process.close()

    @property
    def is_awake(self) -> bool:
        """Whether the process runs."""
        return self._process.is_running

    @property
    def notice(self) -> str:
        """Why its tables are read slowly and not written, where that is so."""
        return self._process.notice

    @property
    def about(self) -> Mapping[str, Any]:
        """What the process told of itself when it was started last."""
        return self._process.about

    def _media_wanted(self, request: ScanRequest) -> Mapping[str, Any] | None:
        if request.media is None:
            return None
        return {**asdict(request.media), "allowed": list(self._media)}

    def _about(self, verb: str, table: TableRef, version: int | None) -> Mapping[str, Any]:
        return self._of(table, verb, version=version)

    def _version(self, told: Mapping[str, Any]) -> TableVersion:
        schema = pa.ipc.read_schema(pa.BufferReader(base64.b64decode(told["schema"])))
        spec = TableSpec(
            schema,
            key=tuple(told["key"]),
            comment=told["comment"],
            derived=derived(told["derived"]),
        )
        return TableVersion(
            TableRef(self.name, told["namespace"], told["name"]), spec, told["version"]
        )


def _check_spec(spec: TableSpec) -> None:
    wanted = {
        "partitions": spec.partition_by,
        "defaults": spec.defaults,
        "constraints": spec.constraints,
        "checks": spec.checks,
        "definition": spec.definition,
    }
    for what, given in wanted.items():
        if given:
            raise Unsupported(f"Pixeltable's tables have no {what}.")


def _sent(values: pa.RecordBatch) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, values.schema) as writer:
        writer.write_batch(values)
    return base64.b64encode(sink.getvalue()).decode()


def _scan(table: TableRef, request: ScanRequest) -> dict[str, Any]:
    return {
        "namespace": table.namespace,
        "name": table.name,
        "version": request.version,
        "columns": None if request.columns is None else list(request.columns),
        "filter": request.filter,
        "order_by": request.order_by,
        "limit": request.limit,
        "offset": request.offset,
        "with_row_id": request.with_row_id,
        "lane": None,
    }
