"""Scans as far as somebody may read: their columns, their filters, and what is told with rows."""

from __future__ import annotations

from dataclasses import replace

from flight_server.engines.base import SupportsMedia, require
from flight_server.engines.stream import Batches, BatchStream
from flight_server.errors import Forbidden
from flight_server.model import ScanRequest
from flight_server.operations.authorise import Permitted, narrow
from flight_server.query import check_order_by, check_predicate


def checked_scan(allowed: Permitted, request: ScanRequest) -> ScanRequest:
    """The request with true column names, checked SQL, and the principal's row filter in it."""
    if not allowed.columns:
        raise Forbidden(f"You may see no column of '{allowed.table}'.")
    if request.media is not None:
        require(allowed.engine, SupportsMedia)
    order_by = request.order_by
    return replace(
        request,
        columns=narrow(allowed, request.columns),
        filter=joined_filter(allowed, checked_predicate(allowed, request.filter)),
        order_by=check_order_by(order_by, allowed.columns) if order_by else None,
    )


def checked_predicate(allowed: Permitted, text: str | None) -> str | None:
    """The filter over columns that may be read. Errors as those of `check_predicate`."""
    return check_predicate(text, allowed.columns) if text is not None else None


def joined_filter(allowed: Permitted, text: str | None) -> str | None:
    """The filter within the rows of the principal's, in which alone it is evaluated.

    Of two conditions DuckDB chooses which it tries first, and an error that the text makes in a
    hidden row would tell what is in it.
    """
    mine = allowed.row_filter
    if mine is None or text is None:
        return mine or text
    return f"({mine}) AND CASE WHEN ({mine}) THEN ({text}) ELSE false END"


def without_metadata(found: Batches) -> Batches:
    """The batches without what is noted of the whole table, which may name its other columns."""
    batches = (batch.replace_schema_metadata(None) for batch in found)
    return BatchStream(found.schema.remove_metadata(), batches, found.close)
