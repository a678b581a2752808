"""Searches within SQL: each is a scan that the statement reads by a name, as foreign tables are."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pyarrow as pa

from flight_server.auth import Action
from flight_server.engines.base import require
from flight_server.engines.cancellation import Cancellation
from flight_server.engines.search import SCORE_FIELD, SupportsSearch
from flight_server.engines.sql import ForeignScan
from flight_server.engines.stream import Batches, BatchStream
from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.model import HIDDEN_PREFIX, SCORE, SearchRequest, Sought, TableRef
from flight_server.operations.authorise import permitted
from flight_server.operations.foreign import Parameters, value_of
from flight_server.operations.searching import schema_of_search, search
from flight_server.operations.services import Call, Services
from flight_server.query import SearchCall


def search_scan(
    services: Services, call: Call, table: TableRef, asked: SearchCall, parameters: Parameters
) -> ForeignScan:
    """What a search finds of a table, as somebody may read it. Errors as those of `search`.

    As long as a parameter has no value, as when a statement is prepared, the columns alone are
    known of the answer.
    """
    allowed = permitted(services, call, table, Action.READ)
    require(allowed.engine, SupportsSearch)
    values = asked.values(lambda name: value_of(name, parameters))
    if len(values) == len(asked.arguments):
        schema = schema_of_search(services, call, table, _request(values))
    else:
        schema = pa.schema([*allowed.schema, SCORE_FIELD])

    def opened(columns: tuple[str, ...], cancellation: Cancellation) -> Batches:
        request = _request(values)
        own = tuple(name for name in columns if name != SCORE) or (request.column,)
        inside = replace(call, cancellation=cancellation)
        found = search(services, inside, table, replace(request, columns=own))
        chosen = pa.schema([found.schema.field(name) for name in columns])
        return BatchStream(chosen, _chosen(found, columns), found.close)

    # Without the values of parameters, as of other scans.
    text = repr((str(allowed.table), asked, allowed.columns))
    name = f"{HIDDEN_PREFIX}_search_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    return ForeignScan(name, schema, opened)


def _chosen(found: Batches, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with closing(found):
        for batch in found:
            yield batch.select(list(columns))


def _request(values: dict[str, Any]) -> SearchRequest:
    """The search that the arguments mean. InvalidRequest."""
    given = [(by, values[by]) for by in Sought if by in values]
    if "sought" in values:
        given.append((_kind_of(values["sought"]), values["sought"]))
    if "column" not in values or len(given) != 1:
        raise _wrong(
            "takes a column, and one thing that is sought, which is not null: "
            f"{len(given)} {'is' if len(given) == 1 else 'are'} given."
        )
    [(by, item)] = given
    if not isinstance(limit := values.get("limit", 10), int) or isinstance(limit, bool):
        raise _wrong("takes a whole number as 'limit'.")
    for name in ("column", "index", "filter"):
        if not isinstance(values.get(name, ""), str):
            raise _wrong(f"takes a text as '{name}'.")
    sought = _sought(by, item)
    return SearchRequest(
        values["column"], by, sought, values.get("index"), None, values.get("filter"), limit
    )


def _kind_of(sought: Any) -> Sought:
    if isinstance(sought, str):
        return Sought.TEXT
    if isinstance(sought, Sequence) and not isinstance(sought, bytes):
        return Sought.VECTOR
    raise _wrong(
        "takes a text or a vector as its third argument. Say of anything else what it is: "
        "'image := ?', and 'audio', 'video' or 'document' likewise."
    )


def _sought(by: Sought, value: Any) -> str | bytes | tuple[float, ...]:
    if by is Sought.TEXT and isinstance(value, str):
        return value
    if by is Sought.VECTOR:
        is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        if is_list and all(isinstance(one, int | float) for one in value):
            return tuple(float(one) for one in value)
        raise _wrong("takes a list of numbers, none of them null, as 'vector'.")
    if by is not Sought.TEXT:
        try:
            # JSON has no bytes: a text is base64, as it is where a search is sent as JSON.
            return value if isinstance(value, bytes) else base64.b64decode(value, validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise _wrong(f"takes the bytes of a file as '{by}', or base64 of them.") from None
    raise _wrong("takes a text as 'text'.")


def _wrong(what: str) -> InvalidRequest:
    return InvalidRequest(f"search() {what}", code=ErrorCode.INVALID_SQL)
