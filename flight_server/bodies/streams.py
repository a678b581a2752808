"""`POST /batch/stream/{table}`: rows as they come, in a form and a size that the client chooses."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import ConfigDict, Field

from flight_server import operations
from flight_server.bodies.filters import filter_sql, order_sql
from flight_server.bodies.requests import AsOf, Body, Version
from flight_server.model import ScanRequest, TableRef
from flight_server.operations import Call, Services

CHUNK_ROWS, CHUNK_ROWS_MAX = 1000, 1_000_000


class StreamRows(Body):
    """Which rows of a table are streamed, and how."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "chunk_size": 1000,
                "format": "jsonl",
                "compression": "gzip",
                "include_headers": True,
            }
        }
    )

    chunk_size: Annotated[
        int, Field(ge=1, le=CHUNK_ROWS_MAX, description="Rows that are sent at a time.")
    ] = CHUNK_ROWS
    format: Literal["json", "jsonl", "csv", "arrow"] = "jsonl"
    compression: Annotated[
        Literal["gzip", "zstd", "none"], Field(description="What Content-Encoding names.")
    ] = "none"
    include_headers: Annotated[
        bool, Field(description="Whether CSV begins with the names of the columns.")
    ] = True
    columns: tuple[str, ...] | None = None
    where: dict[str, Any] | str | None = None
    order_by: list[Any] | str | None = None
    limit: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    version: Version | None = None
    as_of: AsOf | None = None

    def request(self, services: Services, call: Call, table: TableRef) -> ScanRequest:
        """The scan that is meant. InvalidRequest; NotFound."""
        version = operations.snapshot_of(services, call, table, self.version, self.as_of)
        schema = pa.schema([])
        if not (isinstance(self.where, str | None) and isinstance(self.order_by, str | None)):
            schema = operations.readable_schema(services, call, table, version)
        return ScanRequest(
            self.columns,
            filter_sql(self.where, schema),
            order_sql(self.order_by, schema),
            self.limit,
            version=version,
        )
