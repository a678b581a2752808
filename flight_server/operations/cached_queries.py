"""Answers of queries that are kept: of one snapshot, for whoever may see the same of it.

What a query means once it has been rewritten for a principal is the key, with its parameters and
its snapshot: rights that change make another query of it, and a commit makes another snapshot.
Tables of other engines change without one, so that answers of theirs are not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from flight_server.engines.stream import Batches, BatchStream
from flight_server.model import DEFAULT_CATALOG, SqlRequest
from flight_server.operations.query import authorised, parsed_for, query
from flight_server.operations.results import Key, Results
from flight_server.operations.services import Call, Services
from flight_server.operations.versions import newest_snapshot

# What answers otherwise each time. Words within texts count as well: then nothing is kept.
_VOLATILE = re.compile(
    r"\b(now|today|uuid\w*|gen_random_uuid|random\w*|current_\w+|localtime\w*|get_current_\w+|"
    r"transaction_timestamp|nextval|currval|setseed|shuffle|sample|tablesample)\b",
    re.IGNORECASE,
)


def pinned_query(services: Services, call: Call, request: SqlRequest) -> tuple[Batches, int]:
    """A SELECT or EXPLAIN at a snapshot, and which: the newest where it names none."""
    pinned = _pinned(services, request)
    assert pinned.version is not None, "it has just been set"
    return query(services, call, pinned), pinned.version


def cached_query(services: Services, call: Call, request: SqlRequest) -> tuple[Batches, int, bool]:
    """As `pinned_query`, and whether the answer was there already. Errors as `query`."""
    request = _pinned(services, request)
    assert request.version is not None, "it has just been set"
    statement = parsed_for(call, request.sql)
    checked, _ = authorised(services, call, statement, request)
    key = _key(checked)
    is_kept = statement.kind == "select" and call.session is None and not checked.scans
    if not is_kept or _VOLATILE.search(checked.sql):
        return query(services, call, request), request.version, False
    found = services.results.find(key)
    if found is not None:
        return BatchStream(found.schema, iter(found.to_batches())), request.version, True
    answer = query(services, call, request)
    return _keeping(services.results, key, answer), request.version, False


def _pinned(services: Services, request: SqlRequest) -> SqlRequest:
    if request.version is not None:
        return request
    return replace(request, version=newest_snapshot(services, DEFAULT_CATALOG))


def _keeping(results: Results, key: Key, answer: Batches) -> Batches:
    """The answer, which is kept once it has been read to its end and has not grown too large."""

    def kept() -> Iterator[pa.RecordBatch]:
        batches: list[pa.RecordBatch] | None = []
        size = 0
        for batch in answer:
            size += batch.nbytes
            if size > results.bytes_each_max:
                batches = None
            if batches is not None:
                batches.append(batch)
            yield batch
        if batches is not None:
            results.keep(key, pa.Table.from_batches(batches, answer.schema))

    return BatchStream(answer.schema, kept(), answer.close)


def _key(request: SqlRequest) -> Key:
    given = request.parameters
    values = given.items() if isinstance(given, Mapping) else enumerate(given)
    return (request.sql, request.version, tuple((name, _exactly(one)) for name, one in values))


def _exactly(value: Any) -> Any:
    """A text, or bytes, that no other value has."""
    if isinstance(value, pa.Scalar):
        batch = pa.RecordBatch.from_arrays([pa.array([value], value.type)], ["value"])
        return str(value.type), batch.serialize().to_pybytes()
    return type(value), repr(value)
