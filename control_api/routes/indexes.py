"""Indexes of a table, and the rows that are near to something by one of them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from control_api.answers import rows_answer
from control_api.dependencies import Call, Services
from control_api.described import rows_of
from control_api.paths import Table
from control_api.row_queries import Wanted
from flight_server import operations
from flight_server.bodies.answers import committed
from flight_server.bodies.search import NewIndex, SearchRows, index_listed

router = APIRouter(prefix="/tables/{table:table}", tags=["indexes"])


@router.get("/indexes")
def list_indexes(services: Services, call: Call, table: Table) -> dict[str, Any]:
    """The indexes of the columns that you may read."""
    found = operations.list_indexes(services, call, table)
    return {"indexes": [index_listed(one) for one in found]}


@router.post("/indexes", status_code=201)
def create_index(services: Services, call: Call, table: Table, body: NewIndex) -> dict[str, Any]:
    """Makes an index of a column: of embeddings, which rows are searched by, or a `btree`.

    It is kept up to date as rows are written. Embeddings are made by functions that `GET
    /functions` lists; a column of embeddings needs none.
    """
    return committed(operations.create_index(services, call, table, body.index()))


@router.delete("/indexes/{index}")
def drop_index(services: Services, call: Call, table: Table, index: str) -> dict[str, Any]:
    """Removes an index."""
    return committed(operations.drop_index(services, call, table, index))


@router.post("/search", response_class=Response, responses=rows_of("The nearest rows."))
def search_rows(
    services: Services, call: Call, table: Table, body: SearchRows, wanted: Wanted
) -> Response:
    """The rows that are nearest to a text, an image or an embedding, the nearest first.

    `_score` tells how near each is. With the metric `l2` it is a distance, else it grows with
    nearness. Rows that `where` leaves out, or that you may not see, are left out beforehand.
    """
    rows = operations.search(services, call, table, body.request(services, call, table))
    return rows_answer(rows, wanted, call, services.settings.batch_bytes)
