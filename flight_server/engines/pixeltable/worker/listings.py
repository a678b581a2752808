"""What a home holds: directories, tables, and what is known of each."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping
from typing import Any

import pixeltable as pxt
import pixeltable.exceptions as theirs
import sqlalchemy as sa
from pixeltable.catalog.table_metadata import TableMetadata
from pixeltable.runtime import get_runtime

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.worker import names
from flight_server.engines.pixeltable.worker.columns import schema_of
from flight_server.engines.pixeltable.worker.home import Home
from flight_server.errors import ErrorCode, NotFound
from flight_server.model import PIXELTABLE_CATALOG, TableRef, table_not_found


def namespaces(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """Every directory, as a namespace."""
    directories = pxt.list_dirs("", recursive=True)
    return {"namespaces": sorted(map(names.namespace_of, ["", *directories]))}


def tables(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """The tables, views and snapshots right in a directory."""
    namespace = arguments["namespace"]
    directory = names.directory_of(namespace)
    if directory and directory not in pxt.list_dirs("", recursive=True):
        raise names.namespace_not_found(namespace)
    return {"tables": sorted(map(names.split, pxt.list_tables(directory, recursive=False)))}


def resolve(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """What reading a table needs to know."""
    return home.known("resolve", arguments, lambda: _facts(arguments, opened(arguments)))


def describe(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """The table with everything known about it."""
    return home.known("describe", arguments, lambda: _described(home, arguments))


def opened(arguments: Mapping[str, Any]) -> pxt.Table:
    """The table that a request names, at the version that it names.

    NotFound (table_not_found, version_not_found).
    """
    namespace, name, version = (arguments[part] for part in ("namespace", "name", "version"))
    path = names.path_of(namespace, name)
    table = pxt.get_table(path, if_not_exists="ignore")
    if table is None:
        raise table_not_found(TableRef(PIXELTABLE_CATALOG, namespace, name))
    if version is None:
        return table
    told = table.get_metadata()
    if told["kind"] == "view" and version == told["version"]:
        # What changes in its base alone makes no version of it, and is seen in the newest one.
        return table
    try:
        found = pxt.get_table(f"{path}:{version}", if_not_exists="ignore") if version >= 0 else None
    except theirs.Error:
        found = None
    if found is None and version == table.get_metadata()["version"]:
        # Snapshots have one version, and Pixeltable refuses to be asked for it.
        return table
    if found is None:
        named = TableRef(PIXELTABLE_CATALOG, namespace, name)
        raise NotFound(
            f"The table '{named}' has no version {version}.",
            code=ErrorCode.VERSION_NOT_FOUND,
        )
    return found


def _described(home: Home, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    table = opened(arguments)
    facts = _facts(arguments, table)
    history = [one for one in table.get_versions() if one["version"] <= facts["version"]]
    # A snapshot is of another table, and has no history of its own.
    rows = table.count()
    moments = [one["created_at"] for one in history] or [table.get_metadata()["version_created"]]
    return facts | {
        "rows": rows,
        "bytes": 0 if home.distrust else _bytes(table),
        "files": int(rows > 0),
        "versions": max(1, len(history)),
        "created_at": _text(moments[-1]),
        "changed_at": _text(moments[0]),
    }


def _facts(arguments: Mapping[str, Any], table: pxt.Table) -> dict[str, Any]:
    told = table.get_metadata()
    path = names.path_of(arguments["namespace"], arguments["name"])
    namespace, name = names.split(path)
    # At one of its versions Pixeltable takes anything for a snapshot.
    now = told if arguments["version"] is None else pxt.get_table(path).get_metadata()
    return {
        "namespace": namespace,
        "name": name,
        "schema": base64.b64encode(schema_of(table, told).serialize()).decode(),
        "key": told["primary_key"] or [],
        "comment": told["comment"] or "",
        "version": told["version"],
        "derived": None if now["base"] is None else derived(now),
    }


def derived(told: TableMetadata) -> dict[str, Any]:
    """What a view or a snapshot is made of."""
    path, _, version = (told["base"] or "").partition(":")
    return {
        "is_snapshot": told["is_snapshot"],
        "base": names.split(path),
        "version": int(version) if version else None,
        "filter": told["view_filter"] or "",
        "iterator": told["iterator_call"] or "",
    }


def _bytes(table: pxt.Table) -> int:
    """What PostgreSQL holds of it, indexes and old versions and all; media are not counted."""
    path = table._tbl_path
    size = sa.text("SELECT pg_total_relation_size(to_regclass(:name))")
    with get_runtime().catalog.begin_xact(for_write=False, read_tvps=[path]) as connection:
        name = path.tbl_version.get().store_tbl.sa_tbl.name
        return int(connection.execute(size, {"name": name}).scalar_one() or 0)


def _text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat()
