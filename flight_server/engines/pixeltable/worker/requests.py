"""Requests from the server: each is done by one of a few threads, and answered by its own.

Pixeltable keeps a connection and what it knows of tables for every thread: so there are few that
use it. Rows are whole before the first is sent, and a client that reads slowly holds up a thread
that nobody else needs.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.channel import Channel, failure_of, received_rows
from flight_server.engines.pixeltable.worker import (
    altering,
    changing,
    computing,
    deriving,
    failures,
    functions,
    indexes,
    listings,
    making,
    models,
    past,
    reading,
    restoring,
    searching,
    writing,
)
from flight_server.engines.pixeltable.worker.files import Filled
from flight_server.engines.pixeltable.worker.home import Home
from flight_server.engines.pixeltable.worker.metering import COUNTS
from flight_server.engines.pixeltable.worker.scopes import within
from flight_server.engines.pixeltable.worker.spools import Spool
from flight_server.errors import Internal, PixelflightError, Unavailable

THREADS = 4

Answer = Mapping[str, Any] | Spool | Filled
Verb = Callable[[Home, Mapping[str, Any], Cancellation], Answer]

VERBS: Mapping[str, Verb] = {
    "namespaces": listings.namespaces,
    "tables": listings.tables,
    "resolve": listings.resolve,
    "describe": listings.describe,
    "functions": functions.listed,
    "providers": models.listed,
    "snapshots": deriving.snapshots,
    "dependents": deriving.dependents,
    "computed_columns": computing.listed,
    "cell_errors": computing.errors,
    "scan": reading.scan,
    "indexes": indexes.indexes,
    "versions": past.versions,
    "diff": past.diff,
    "changes": past.changes,
}
# What a request changes is in a transaction of its own, and what it seeks is embedded in none.
# Tables of ours are made before there is one.
CHANGES: Mapping[str, Verb] = {
    "create_namespace": making.create_namespace,
    "drop_namespace": making.drop_namespace,
    "create_table": making.create_table,
    "rename_table": making.rename_table,
    "drop_table": making.drop_table,
    "alter_table": altering.alter_table,
    "create_derived": deriving.create_derived,
    "drop_with_dependents": deriving.drop_with_dependents,
    "delete": changing.delete,
    "update": changing.update,
    "add_computed_column": computing.add,
    "change_computed_column": computing.change,
    "drop_computed_column": computing.drop,
    "recompute": computing.recompute,
    "create_index": indexes.create_index,
    "drop_index": indexes.drop_index,
    "search": searching.search,
    "restore": restoring.restore,
    "offset": writing.offset,
}

log = logging.getLogger(__name__)


def serve(control: socket.socket, home: Home) -> None:
    """Answers every request, until there is nobody to ask."""
    pool = ThreadPoolExecutor(THREADS, "pixeltable")
    while True:
        told, descriptors, *_ = socket.recv_fds(control, 1, 1)
        if not told:
            pool.shutdown(wait=False, cancel_futures=True)
            return
        channel = Channel(socket.socket(fileno=descriptors[0]))
        answering = threading.Thread(target=_answer, args=(channel, home, pool), daemon=True)
        answering.start()


def _answer(channel: Channel, home: Home, pool: ThreadPoolExecutor) -> None:
    with closing(channel):
        try:
            request = channel.receive()
            cancellation = Cancellation(is_gone=channel.is_shut)
            with _sent(channel, request) as rows:
                act = _act(home, request, cancellation, rows)
                done = pool.submit(_done, act, cancellation, request["scope"]).result()
            _send(channel, done)
            if isinstance(done, Unavailable) and not home.database_answers():
                log.warning("Pixeltable's PostgreSQL is gone: another process starts it")
                os._exit(1)
        except (PixelflightError, OSError) as error:
            # The server took the request back.
            log.debug("an answer was not sent: %s", error)


@contextmanager
def _sent(channel: Channel, request: Mapping[str, Any]) -> Iterator[Spool | None]:
    """The rows that come with a request, all of them; where they break off, so does this."""
    if not request.get("rows"):
        yield None
        return
    reader = channel.rows()
    with closing(Spool(reader.schema, received_rows(channel, reader))) as rows:
        yield rows


def _act(
    home: Home, request: Mapping[str, Any], cancellation: Cancellation, rows: Spool | None
) -> Callable[[], Answer]:
    verb, arguments = request["verb"], request["arguments"]
    if rows is not None:
        return lambda: writing.ingest(home, arguments, cancellation, rows)
    if verb in CHANGES:
        return lambda: CHANGES[verb](home, arguments, cancellation)
    return lambda: home.in_one(lambda: VERBS[verb](home, arguments, cancellation))


def _done(
    act: Callable[[], Answer], cancellation: Cancellation, scope: Mapping[str, Any] | None
) -> Answer | PixelflightError:
    try:
        cancellation.check(surely=True)
        with within(scope, cancellation):
            return act()
    except PixelflightError as error:
        return error
    except Exception as error:
        known = failures.of_request(error)
        if known is None:
            log.exception("A request to Pixeltable failed")
            return Internal("Pixeltable met an error of its own: the server's log tells of it.")
        return known


def _send(channel: Channel, answer: Answer | PixelflightError) -> None:
    """Sends the answer, and with its first line what was counted of calls of models."""
    taken = COUNTS.take()
    try:
        _send_first(channel, answer, {"called": taken} if taken else {})
    except OSError:
        COUNTS.give_back(taken)
        raise


def _send_first(
    channel: Channel, answer: Answer | PixelflightError, more: Mapping[str, Any]
) -> None:
    if isinstance(answer, PixelflightError):
        channel.send({"failure": failure_of(answer), **more})
    elif isinstance(answer, Spool | Filled):
        with closing(answer):
            channel.send({"rows": True, **more})
            try:
                channel.send_rows(answer.schema, answer.rows())
            except PixelflightError as error:
                channel.send({"failure": failure_of(error)})
    else:
        channel.send({"result": answer, **more})
