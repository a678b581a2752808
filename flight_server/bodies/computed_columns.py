"""The bodies of requests about functions and computed columns."""

from __future__ import annotations

from flight_server.bodies.requests import Body
from flight_server.model import PIXELTABLE_CATALOG


class ListFunctions(Body):
    """`list_functions`: those of a catalog."""

    catalog: str = PIXELTABLE_CATALOG
