"""The control database: what is the server's own and not the lake's.

Its tables are SQLAlchemy Core, its schema grows by the Alembic migrations beside them, which run
when it is opened. This room keeps rows; it knows nothing of what they mean to anybody.
"""

from flight_server.metastore.database import Metastore

__all__ = ["Metastore"]
