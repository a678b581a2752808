"""Exports as JSON: which rows, as what files, and where to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

import pyarrow as pa
from pydantic import Field, model_validator

from flight_server import operations
from flight_server.bodies.filters import filter_sql, order_sql
from flight_server.bodies.requests import AsOf, Body, Sql, Version, parsed
from flight_server.bodies.statements import sql_request
from flight_server.model import ScanRequest, TableRef, quoted
from flight_server.operations import Call, Services
from flight_server.transfer.exports import layout_for, stem_of
from flight_server.transfer.outputs import Layout
from flight_server.transfer.places import Target, checked_target

WHAT = "export"
# What a statement says by itself.
_OF_TABLES = ("columns", "where", "order_by", "limit")


class ExportData(Body):
    """The parameters of `data_export`: rows of a table, or of a statement, as files."""

    table_name: Annotated[str | None, Field(description="A table or a view.")] = None
    sql: Annotated[str | None, Field(description="A SELECT, in place of a table.")] = None
    parameters: list[Any] | dict[str, Any] = Field(default_factory=list)
    columns: tuple[str, ...] | None = None
    where: dict[str, Any] | str | None = None
    order_by: list[Any] | str | None = None
    limit: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    version: Version | None = None
    as_of: AsOf | None = None
    format: str
    compression: Annotated[
        str | None, Field(description="A codec of the format; none is none.")
    ] = None
    compress: Annotated[
        bool, Field(description="Where no codec is named, the usual one of the format.")
    ] = False
    include_headers: Annotated[
        bool, Field(description="Whether CSV and Excel begin with the names of the columns.")
    ] = True
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    partition_by: tuple[str, ...] = ()
    rows_per_file: Annotated[int | None, Field(ge=1)] = None
    destination: Annotated[
        str | None,
        Field(description="A path on the server, or s3://bucket/key; without one, a download."),
    ] = None
    overwrite: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.table_name is None) == (self.sql is None):
            raise ValueError("Give 'table_name' or 'sql'")
        given = [name for name in _OF_TABLES if getattr(self, name) is not None]
        if self.sql is not None and given:
            raise ValueError(f"'{given[0]}' goes with a table: write it into the statement")
        if self.table_name is not None and self.parameters:
            raise ValueError("'parameters' go with a statement")
        if self.version is not None and self.as_of is not None:
            raise ValueError("Give 'version' or 'as_of', not both")
        if isinstance(self.version, str) and self.sql is not None:
            raise ValueError("A tag is one of a table: give a statement the snapshot's number")
        return self

    @property
    def layout(self) -> Layout:
        """How the rows become files. InvalidRequest."""
        return layout_for(
            self.format,
            stem_of(self.table_name),
            codec=self.compression,
            compress=self.compress,
            header=self.include_headers,
            delimiter=self.delimiter,
            partition_by=self.partition_by,
            rows_per_file=self.rows_per_file,
        )

    @property
    def source(self) -> dict[str, Any]:
        """What a manifest says of where the rows are from."""
        names = ("table_name", "sql", "parameters", *_OF_TABLES)
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value not in (None, [], {})}

    @property
    def statement(self) -> str:
        """The statement, with its rows in the order of the folders they go to."""
        text = (self.sql or "").strip().rstrip(";")
        if not self.partition_by:
            return text
        return f"SELECT * FROM (\n{text}\n) ORDER BY {_listed(self.partition_by)}"

    def filter(self, schema: pa.Schema) -> str | None:
        """`where` as SQL, for columns of the schema. InvalidRequest."""
        return filter_sql(self.where, schema)

    def order(self, schema: pa.Schema) -> str | None:
        """`order_by` as SQL, within the folders that the rows go to. InvalidRequest."""
        order = order_sql(self.order_by, schema)
        if not self.partition_by:
            return order
        return ", ".join(part for part in (_listed(self.partition_by), order) if part)


def checked_export(services: Services, call: Call, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters, once all is refused that can be seen before a row is read.

    InvalidRequest; NotFound; Forbidden. What is read is found out when the job runs, with the
    rights that its owner has then.
    """
    body = parsed(ExportData, given, WHAT)
    target_of(services, body)
    if body.sql is not None:
        assert not isinstance(body.version, str), "checked by the body"
        sql = Sql(
            sql=body.statement, parameters=body.parameters, version=body.version, as_of=body.as_of
        )
        _check_partition(
            body, operations.plan_query(services, call, sql_request(services, sql)).schema
        )
        return given
    table = TableRef.parse(body.table_name or "")
    version = operations.snapshot_of(services, call, table, body.version, body.as_of)
    schema = operations.readable_schema(services, call, table, version)
    scan = ScanRequest(
        body.columns, body.filter(schema), body.order(schema), body.limit, version=version
    )
    _check_partition(body, operations.plan_scan(services, call, table, scan).schema)
    return given


def target_of(services: Services, body: ExportData) -> Target | None:
    """Where the result goes, None where it is fetched. InvalidRequest; Forbidden."""
    layout = body.layout
    if body.destination is None:
        return None
    return checked_target(services.settings, body.destination, layout, body.overwrite)


def _check_partition(body: ExportData, schema: pa.Schema) -> None:
    body.layout.check(schema)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(quoted(name) for name in names)
