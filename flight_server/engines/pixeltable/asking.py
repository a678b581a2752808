"""What every part of the engine does: it asks the process that holds Pixeltable."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.pixeltable.channel import raise_failure
from flight_server.engines.pixeltable.processes import Process
from flight_server.model import TableRef


class Asking:
    """One that has such a process."""

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
