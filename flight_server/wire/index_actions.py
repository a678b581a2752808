"""Actions about indexes."""

from __future__ import annotations

from flight_server import operations
from flight_server.bodies.answers import committed
from flight_server.bodies.requests import OfTable
from flight_server.bodies.search import CreateIndex, OfIndex, index_listed
from flight_server.model import TableRef
from flight_server.operations import Call, Services
from flight_server.wire.json_actions import Answer, JsonAction


def _list_indexes(services: Services, call: Call, body: OfTable) -> Answer:
    found = operations.list_indexes(services, call, TableRef.parse(body.table))
    return {"indexes": [index_listed(one) for one in found]}


def _create_index(services: Services, call: Call, body: CreateIndex) -> Answer:
    table = TableRef.parse(body.table)
    return committed(operations.create_index(services, call, table, body.index()))


def _drop_index(services: Services, call: Call, body: OfIndex) -> Answer:
    table = TableRef.parse(body.table)
    return committed(operations.drop_index(services, call, table, body.name))


INDEX_ACTIONS: dict[str, JsonAction] = {
    "list_indexes": JsonAction("A table's indexes.", OfTable, _list_indexes),
    "create_index": JsonAction("Make an index of a column.", CreateIndex, _create_index),
    "drop_index": JsonAction("Remove an index.", OfIndex, _drop_index),
}
