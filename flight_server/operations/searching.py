"""Indexes, and the rows that are near to something by one of them.

What may be found is what may be read: a hidden column is not sought by, and hidden rows are left
out before the nearest are taken.
"""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from flight_server.auth import Action
from flight_server.engines.base import require
from flight_server.engines.search import SCORE_FIELD, SupportsIndexes, SupportsSearch
from flight_server.engines.stream import Batches
from flight_server.model import Commit, Index, ScanRequest, SearchRequest, TableRef
from flight_server.operations.authorise import Permitted, known, narrow, permitted
from flight_server.operations.seen_scans import checked_scan, without_metadata
from flight_server.operations.services import Call, Services


def list_indexes(services: Services, call: Call, table: TableRef) -> list[Index]:
    """The indexes of the columns that the principal may read. NotFound; Forbidden."""
    allowed = known(services, call, table, Action.READ)
    engine = require(allowed.engine, SupportsIndexes)
    return [one for one in engine.indexes(allowed.table) if one.column in allowed.columns]


def create_index(services: Services, call: Call, table: TableRef, index: Index) -> Commit:
    """AlreadyExists; InvalidRequest (column_not_found); NotFound; Forbidden."""
    allowed = known(services, call, table, Action.ALTER)
    engine = require(allowed.engine, SupportsIndexes)
    (column,) = narrow(allowed, (index.column,))
    author = call.author("create index", allowed.table, column=column)
    index = replace(index, column=column)
    return engine.create_index(allowed.table, index, author, call.cancellation)


def drop_index(services: Services, call: Call, table: TableRef, name: str) -> Commit:
    """NotFound (index_not_found); Forbidden."""
    allowed = known(services, call, table, Action.ALTER)
    engine = require(allowed.engine, SupportsIndexes)
    author = call.author("drop index", allowed.table, index=name)
    return engine.drop_index(allowed.table, name, author)


def search(services: Services, call: Call, table: TableRef, request: SearchRequest) -> Batches:
    """The nearest rows with their scores, as far as the principal may read them.

    NotFound (index_not_found); InvalidRequest; Unsupported; Forbidden.
    """
    allowed, checked = _checked(services, call, table, request)
    engine = require(allowed.engine, SupportsSearch)
    found = engine.search(allowed.table, checked, call.cancellation)
    if found.schema.metadata and len(allowed.columns) < len(allowed.version.schema):
        return without_metadata(found)
    return found


def schema_of_search(
    services: Services, call: Call, table: TableRef, request: SearchRequest
) -> pa.Schema:
    """The schema that a search would answer in; nothing is sought. Errors as `search`."""
    allowed, checked = _checked(services, call, table, request)
    require(allowed.engine, SupportsSearch)
    names = checked.columns or allowed.columns
    return pa.schema([*(allowed.schema.field(name) for name in names), SCORE_FIELD])


def _checked(
    services: Services, call: Call, table: TableRef, request: SearchRequest
) -> tuple[Permitted, SearchRequest]:
    """The table, and the request as `checked_scan` leaves one to read rows."""
    allowed = permitted(services, call, table, Action.READ)
    scan = checked_scan(allowed, ScanRequest(request.columns, request.filter))
    (column,) = narrow(allowed, (request.column,))
    return allowed, replace(request, column=column, columns=scan.columns, filter=scan.filter)
