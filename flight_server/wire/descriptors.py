"""Descriptors and plain tickets: which request a client means by a path or a JSON command."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeAlias

from pyarrow import flight

from flight_server.bodies.requests import Changes, Diff, Ingest, Scan, Sql, loaded, parsed
from flight_server.bodies.search import Search
from flight_server.errors import InvalidRequest, did_you_mean
from flight_server.model import (
    DEFAULT_CATALOG,
    DEFAULT_NAMESPACE,
    CommitEvery,
    IngestRequest,
    Staged,
    TableRef,
)

Read: TypeAlias = Scan | Sql | Changes | Diff | Search

_READS: dict[str, type[Scan | Changes | Diff | Search]] = {
    "scan": Scan,
    "changes": Changes,
    "diff": Diff,
    "search": Search,
}
_COMMANDS = (*_READS, "sql", "ingest")


def read_of(descriptor: flight.FlightDescriptor, catalogs: Collection[str]) -> Read:
    """What a descriptor of GetFlightInfo or GetSchema asks for."""
    if descriptor.descriptor_type is flight.DescriptorType.PATH:
        return Scan(table=str(table_of_path(descriptor.path, catalogs)))
    return read_of_command(_command(descriptor), "command")


def read_of_command(command: bytes, what: str) -> Read:
    """What a JSON command or a plain ticket asks for: `{"scan": …}`, `{"sql": "…"}` and so on."""
    values = loaded(command, what)
    if "sql" in values:
        return parsed(Sql, values, f"{what} 'sql'")
    for verb, kind in _READS.items():
        if verb in values:
            return parsed(kind, _only(values, verb, what), f"{what} '{verb}'")
    raise _unknown(values, what)


def kind_of_read(read: Read) -> str:
    """What a read is called: `scan`, `sql`, `changes`, `diff` or `search`."""
    return type(read).__name__.lower()


def ingest_of(
    descriptor: flight.FlightDescriptor, catalogs: Collection[str]
) -> tuple[TableRef, IngestRequest]:
    """Where and how the batches of a DoPut go: a path appends, a command says more."""
    if descriptor.descriptor_type is flight.DescriptorType.PATH:
        return table_of_path(descriptor.path, catalogs), IngestRequest()
    values = loaded(_command(descriptor), "command")
    if "ingest" not in values:
        raise _unknown(values, "command")
    body = parsed(Ingest, _only(values, "ingest", "command"), "command 'ingest'")
    every = CommitEvery(**vars(body.commit_every)) if body.commit_every else None
    staged = Staged(**vars(body.staged)) if body.staged else None
    request = IngestRequest(
        body.mode, body.key, body.create_if_missing, body.token, every, body.content, staged
    )
    return TableRef.parse(body.table), request


def table_of_path(path: list[bytes], catalogs: Collection[str]) -> TableRef:
    """The table of a Flight path; a first part that names a catalog is taken as one."""
    parts = [part.decode() for part in path]
    if len(parts) == 2 and parts[0] in catalogs:
        return TableRef(parts[0], DEFAULT_NAMESPACE, parts[1])
    return TableRef.of(*parts)


def path_of_table(table: TableRef, catalogs: Collection[str]) -> tuple[str, ...]:
    """The shortest path that `table_of_path` reads as this table."""
    if table.catalog == DEFAULT_CATALOG and table.namespace in catalogs:
        return (table.catalog, table.namespace, table.name)
    return table.path


def _command(descriptor: flight.FlightDescriptor) -> bytes:
    if descriptor.descriptor_type is not flight.DescriptorType.CMD:
        raise InvalidRequest("The descriptor is neither a path nor a command.")
    return bytes(descriptor.command)


def _only(values: dict[str, object], verb: str, what: str) -> dict[str, object]:
    """What the one key of a command holds."""
    others = sorted(set(values) - {verb})
    if others:
        raise InvalidRequest(f"The {what} has '{others[0]}' beside '{verb}': put it inside of it.")
    inner = values[verb]
    if not isinstance(inner, dict):
        raise InvalidRequest(
            f"The {what} '{verb}' is {inner!r:.60}, where an object is needed: "
            f'{{"{verb}": {{"table": …}}}}.'
        )
    return inner


def _unknown(values: dict[str, object], what: str) -> InvalidRequest:
    given = next(iter(values), "")
    near = did_you_mean(given, _COMMANDS)
    known = ", ".join(f"'{name}'" for name in _COMMANDS)
    return InvalidRequest(f"The {what} starts with '{given}'; known are {known}.{near}")
