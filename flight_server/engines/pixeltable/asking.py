"""What every part of the engine does: it asks the process that holds Pixeltable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pyarrow as pa

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.pixeltable.channel import Channel, raise_failure, received_rows
from flight_server.engines.pixeltable.processes import Process
from flight_server.engines.stream import BatchStream
from flight_server.model import Author, Commit, TableRef


class Asking:
    """One that has such a process."""

    name: str
    _process: Process

    def _asked(
        self, verb: str, cancellation: Cancellation = NEVER, **arguments: Any
    ) -> Mapping[str, Any]:
        with (
            closing(self._process.request(verb, arguments)) as channel,
            cancellation.interrupting(channel.shut),
        ):
            answer = channel.receive()
        raise_failure(answer)
        result: Mapping[str, Any] = answer["result"]
        return result

    def _of(
        self, table: TableRef, verb: str, cancellation: Cancellation = NEVER, **arguments: Any
    ) -> Mapping[str, Any]:
        """The same of a table."""
        return self._asked(
            verb, cancellation, namespace=table.namespace, name=table.name, **arguments
        )

    def _changed(
        self, verb: str, table: TableRef, more: Mapping[str, Any], cancellation: Cancellation
    ) -> Commit:
        """The same, of what changes its rows."""
        return Commit(**self._of(table, verb, cancellation, **more))

    def _streamed(
        self, verb: str, arguments: Mapping[str, Any], cancellation: Cancellation
    ) -> BatchStream:
        """The rows of an answer."""
        channel = self._process.request(verb, arguments)
        try:
            with cancellation.interrupting(channel.shut):
                raise_failure(channel.receive())
                reader = channel.rows()
        except BaseException:
            channel.close()
            raise
        return BatchStream(reader.schema, _rows(channel, reader, cancellation), channel.close)


def by(author: Author) -> dict[str, str]:
    """Who makes a change and why, as a request tells it."""
    return {"author": author.principal, "reason": author.reason}


def _rows(
    channel: Channel, reader: pa.RecordBatchReader, cancellation: Cancellation
) -> Iterator[pa.RecordBatch]:
    with cancellation.interrupting(channel.shut):
        yield from received_rows(channel, reader)
