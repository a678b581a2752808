"""Batches on their way into a lake table: they end as what `types` says that it stores."""

from __future__ import annotations

import pyarrow as pa

from flight_server.engines import inbound
from flight_server.engines.inbound import EARLIEST_NANOSECONDS
from flight_server.engines.lake.types import storage_of

__all__ = ["EARLIEST_NANOSECONDS", "Inbound"]


class Inbound(inbound.Inbound):
    """How batches of one schema become rows of one lake table."""

    def __init__(self, incoming: pa.Schema, target: pa.Schema) -> None:
        super().__init__(incoming, target, _arrow_storage, quotes=True)


def _arrow_storage(kind: pa.DataType, path: str, top: bool) -> pa.DataType:
    return storage_of(kind, path, top=top).arrow
