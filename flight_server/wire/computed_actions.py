"""Actions on functions and computed columns."""

from __future__ import annotations

from flight_server import operations
from flight_server.bodies.computed_columns import ListFunctions
from flight_server.operations import Call, Services
from flight_server.wire.json_actions import Answer, JsonAction


def _list_functions(services: Services, call: Call, body: ListFunctions) -> Answer:
    return {"functions": operations.list_functions(services, call, body.catalog)}


COMPUTED_ACTIONS: dict[str, JsonAction] = {
    "list_functions": JsonAction(
        "What expressions of computed columns may call.", ListFunctions, _list_functions
    ),
}
