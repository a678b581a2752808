"""An engine that keeps its tables in memory: correct and simple, for tests and as a reference.

It knows pyarrow and polars and nothing of DuckDB, so that what it and the lake engine agree on is
the contract and not shared code.
"""

from flight_server.testing.memory.engine import MemoryEngine

__all__ = ["MemoryEngine"]
