"""The Python client: `connect(url, key)`, tables in and out as Arrow, polars or pandas.

The command line is built on it. It knows the model and the errors, and nothing else of the
server: what it says goes over the wire, in the words of docs/flight.md.
"""

from flight_server.client.connection import DEFAULT_URL
from flight_server.client.plans import Plan
from flight_server.client.results import Result
from flight_server.client.statements import Executed
from flight_server.client.tables import Client, TableSummary, connect

__all__ = ["DEFAULT_URL", "Client", "Executed", "Plan", "Result", "TableSummary", "connect"]
